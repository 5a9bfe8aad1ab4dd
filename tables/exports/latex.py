"""LaTeX with booktabs as the only package: a float for each table or part of one, then facts and notes as text.

What is wider than a line or higher than a page would print beyond its edge, so wide tables come in parts.
Characters beyond ASCII would need packages or fonts that the including document may lack: known
signs become commands, accents are dropped, other scripts become ``?``. The Markdown and HTML
exports keep them.
"""

from __future__ import annotations

import itertools
import re
import unicodedata
from collections.abc import Iterable

from tables.layout import Layout, Row
from tables.side_tables import SideTable

_COMMANDS = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    # In the default font encoding these three print as other signs.
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "±": r"$\pm$",
    "−": r"$-$",
    "×": r"$\times$",
    "–": "--",
    "—": "---",
    "…": r"\dots{}",
    "√": r"$\surd$",
    "·": r"$\cdot$",
    "≈": r"$\approx$",
    "’": "'",
    "‘": "`",
}
# Letters that fit on a line of 6.5 inches, a letter page with margins of one inch, the gap of a column counted as two.
LETTERS = 100


def escape(text: str) -> str:
    """Text that prints as itself and cannot be a command."""
    # TeX would join the two hyphens of --jobs into one dash; a real dash is made of them on purpose.
    parted = re.sub("-(?=-)", "-\0", text)
    return "".join(_letter(letter) for letter in parted).replace("\0", "{}")


def _letter(letter: str) -> str:
    if letter in _COMMANDS:
        return _COMMANDS[letter]
    if letter.isascii():
        return letter
    plain = "".join(part for part in unicodedata.normalize("NFKD", letter) if not unicodedata.combining(part))
    if plain and plain.isascii():
        return "".join(_COMMANDS.get(part, part) for part in plain)
    return "?"


def render(layout: Layout) -> str:
    lines = [f"% {layout.warning or layout.title}", r"% Needs \usepackage{booktabs}."]
    # Each float stands alone on its page, so each says what its numbers are not.
    warning = rf"\textbf{{{escape(layout.warning)}}} " if layout.warning else ""
    main = [_main_table(panel) for panel in _fitting(layout)] if layout.rows else []
    lines += _floats(f"{warning}The paper's {escape(layout.title)}", layout.summary.key, main)
    for place, table in enumerate(layout.side_tables, start=1):
        parts = [_side_table(panel) for panel in table.panels(LETTERS)]
        lines += _floats(f"{warning}{escape(table.title)}", f"{layout.summary.key}-{place}", parts)
    lines += [
        r"\begingroup\footnotesize\raggedright\parindent=0pt",
        *_texts(layout),
        r"\endgroup",
    ]
    return "\n".join(lines) + "\n"


def _floats(caption: str, label: str, parts: list[list[str]]) -> Iterable[str]:
    """One float a part; the first has the label."""
    for number, part in enumerate(parts, start=1):
        some = f" (part {number} of {len(parts)})" if len(parts) > 1 else ""
        yield r"\begin{table}[htbp]"
        yield r"\centering\footnotesize\setlength{\tabcolsep}{4pt}"
        yield rf"\caption{{{caption}{some}.}}"
        if number == 1:
            yield rf"\label{{tab:{label}}}"
        yield from part
        yield r"\end{table}"


def _fitting(layout: Layout) -> list[Layout]:
    datasets = len({column.dataset for column in layout.columns})
    for count in range(1, datasets + 1):
        panels = layout.panels(count)
        if max(map(_letters, panels)) <= LETTERS:
            return panels
    return layout.panels(datasets)


def _letters(panel: Layout) -> int:
    """About how wide a part of the main table prints."""
    names = [(row.backbone, row.label) for row in panel.rows]
    columns = [list(texts) for texts in zip(*names, strict=True)]
    for place, column in enumerate(panel.columns):
        columns.append([*_heading_parts(column.heading), *(row.entries[place].short for row in panel.rows)])
    return sum(max(map(len, texts)) + 2 for texts in columns)


def _main_table(layout: Layout) -> list[str]:
    groups = [(name, len(list(found))) for name, found in itertools.groupby(c.group for c in layout.columns)]
    first, rules, heads = 3, [], []
    for name, width in groups:
        heads.append(rf"\multicolumn{{{width}}}{{c}}{{{escape(name)}}}")
        rules.append(rf"\cmidrule(lr){{{first}-{first + width - 1}}}")
        first += width
    lines = [rf"\begin{{tabular}}{{ll{'r' * len(layout.columns)}}}", r"\toprule"]
    lines += [_line(["", "", *heads]), "".join(rules)]
    lines.append(_line(["Backbone", "Method", *(_heading(column.heading) for column in layout.columns)]))
    for row in layout.rows:
        if row.kind == "baseline":
            lines.append(r"\midrule")
        lines.append(_line([escape(text) for text in (row.backbone, row.label, *_entries(row))]))
    return [*lines, r"\bottomrule", r"\end{tabular}"]


def _entries(row: Row) -> list[str]:
    # States are named in full in the list below the table; inside it they must not widen the page.
    return [entry.short for entry in row.entries]


def _heading(heading: str) -> str:
    """A long heading on several lines, broken before the bracket and after the comma."""
    parts = [escape(part) for part in _heading_parts(heading)]
    return parts[0] if len(parts) == 1 else r"\shortstack[r]{" + r"\\".join(parts) + "}"


def _heading_parts(heading: str) -> list[str]:
    return heading.replace(" (", "|(").replace(", ", ",|").split("|")


def _side_table(table: SideTable) -> list[str]:
    body = [_line([escape(text) for text in row]) for row in table.rows]
    head = _line([escape(text) for text in table.headings])
    return [
        rf"\begin{{tabular}}{{{table.align}}}",
        r"\toprule",
        head,
        r"\midrule",
        *body,
        r"\bottomrule",
        r"\end{tabular}",
    ]


def _texts(layout: Layout) -> Iterable[str]:
    for label, text in layout.header:
        yield rf"{escape(label)}: {_breakable(text)}\par"
    for title, lines in layout.lists:
        yield r"\medskip"
        yield rf"\textbf{{{title}}}\par"
        yield from (rf"{_breakable(line)}\par" for line in lines)


def _breakable(text: str) -> str:
    """Text whose paths may go on in the next line."""
    return escape(text).replace("/", r"/\allowbreak{}")


def _line(cells: list[str]) -> str:
    return " & ".join(cells) + r" \\"
