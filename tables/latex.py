"""LaTeX with booktabs as the only package: one float with its tables, facts and notes.

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
    "’": "'",
    "‘": "`",
}
MOST_COLUMNS = 9  # of numbers that fit side by side on a page


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
    caption = f"The paper's {escape(layout.title)}."
    if layout.warning:
        caption = rf"\textbf{{{escape(layout.warning)}}} {caption}"
    lines = [
        f"% {layout.warning or layout.title}",
        r"% Needs \usepackage{booktabs}.",
        r"\begin{table}[htbp]",
        r"\centering\footnotesize\setlength{\tabcolsep}{4pt}",
        rf"\caption{{{caption}}}",
        rf"\label{{tab:{layout.summary.key}}}",
    ]
    for panel in _fitting(layout):
        lines += [*_main_table(panel), r"\par\medskip"]
    if layout.branches:
        lines += [escape(layout.branches.title) + r"\par\smallskip", *_branch_table(layout), r"\par\medskip"]
    lines += [r"\begin{minipage}{\linewidth}\raggedright", *_texts(layout), r"\end{minipage}", r"\end{table}"]
    return "\n".join(lines) + "\n"


def _fitting(layout: Layout) -> list[Layout]:
    datasets = len({column.dataset for column in layout.columns})
    for count in range(1, datasets + 1):
        panels = layout.panels(count)
        if max(len(panel.columns) for panel in panels) <= MOST_COLUMNS:
            return panels
    return layout.panels(datasets)


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
    parts = [escape(part) for part in heading.replace(" (", "|(").replace(", ", ",|").split("|")]
    return parts[0] if len(parts) == 1 else r"\shortstack[r]{" + r"\\".join(parts) + "}"


def _branch_table(layout: Layout) -> list[str]:
    table = layout.branches
    spec = "l" * table.numbers_from + "r" * (len(table.headings) - table.numbers_from)
    body = [_line([escape(text) for text in row]) for row in table.rows]
    head = _line([escape(text) for text in table.headings])
    return [
        rf"\begin{{tabular}}{{{spec}}}",
        r"\toprule",
        head,
        r"\midrule",
        *body,
        r"\bottomrule",
        r"\end{tabular}",
    ]


def _texts(layout: Layout) -> Iterable[str]:
    for label, text in layout.header:
        yield rf"{escape(label)}: {escape(text)}\par"
    for title, lines in (
        ("Notes", layout.notes),
        ("Cells with some seeds done", layout.partial),
        ("Cells not done", layout.states),
    ):
        if lines:
            yield r"\medskip"
            yield rf"\textbf{{{title}}}\par"
            yield from (rf"{escape(line)}\par" for line in lines)


def _line(cells: list[str]) -> str:
    return " & ".join(cells) + r" \\"
