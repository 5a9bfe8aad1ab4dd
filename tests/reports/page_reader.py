"""An HTML page as a test sees it: its elements, ids, links and text, and whether its tags balance."""

import re
from dataclasses import dataclass, field
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

VOID = {"meta", "link", "img", "br", "hr", "input", "source"}


@dataclass
class Page(HTMLParser):
    path: Path
    elements: list = field(default_factory=list)  # (tag, attributes)
    stack: list = field(default_factory=list)
    problems: list = field(default_factory=list)
    pieces: list = field(default_factory=list)
    rows: list = field(default_factory=list)  # (id of the table, texts of the cells) of body rows

    def __post_init__(self):
        super().__init__(convert_charrefs=True)
        self.source = self.path.read_text(encoding="utf-8")
        self.tables, self.in_body, self.cells, self.cell = [], False, None, None
        self.feed(self.source)
        self.close()
        if self.stack:
            self.problems.append(f"never closed: {self.stack}")

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        if len(attributes) != len(attrs):
            self.problems.append(f"{tag} has an attribute twice")
        self.elements.append((tag, attributes))
        if tag not in VOID:
            self.stack.append(tag)
        if tag == "table":
            self.tables.append(attributes.get("id"))
        elif tag == "tbody":
            self.in_body = True
        elif tag == "tr":
            self.cells = []
        elif tag in ("td", "th"):
            self.cell = []

    def handle_endtag(self, tag):
        if not self.stack or self.stack[-1] != tag:
            self.problems.append(f"</{tag}> at {self.getpos()} closes {self.stack[-3:]}")
            return
        self.stack.pop()
        if tag in ("td", "th"):
            self.cells.append("".join(self.cell).strip())
            self.cell = None
        elif tag == "tr" and self.in_body:
            self.rows.append((self.tables[-1], self.cells))
        elif tag == "tbody":
            self.in_body = False

    def handle_data(self, data):
        if self.stack[-1:] not in (["script"], ["style"]):
            self.pieces.append(data)
        if self.cell is not None:
            self.cell.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.pieces).split())

    @property
    def commands(self):
        """The command lines shown, as one would paste them."""
        return [unescape(text) for text in re.findall(r'aria-label="Command">([^<]*)</pre>', self.source)]

    @property
    def ids(self):
        return [attributes["id"] for _, attributes in self.elements if "id" in attributes]

    def attributes(self, tag, name):
        return [
            attributes[name] for element, attributes in self.elements if element == tag and name in attributes
        ]

    def table(self, key):
        """The body rows of a table as lists of texts."""
        return [cells for table, cells in self.rows if table == key]


def pages(report):
    """Every page of a report."""
    result = [Page(path) for path in sorted(report.rglob("*.html"))]
    assert len(result) == 35  # the index and the 34 comparisons
    return result
