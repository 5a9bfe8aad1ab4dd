"""LaTeX with booktabs as the only package: a float for each table or part of one, then header and notes as text.

Tables wider than a line are split into parts, because they would print beyond the edge of the page. Characters beyond
ASCII would need packages or fonts that the including document may lack: known signs become commands, accents are
dropped, other scripts become ``?``. The Markdown and HTML exports keep them.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

from tables.layout import TableLayout
from tables.table import Table

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
    # The default font encoding prints these three as other signs.
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
# Letters on a line of 6.5 inches (a letter page with margins of one inch), the gap of a column counted as two.
LETTERS = 100


def escape(text: str) -> str:
    """Text that prints as itself and cannot be a command."""
    # TeX would join the two hyphens of --jobs into one dash. Dashes in _COMMANDS are made of hyphens on purpose.
    separated = re.sub("-(?=-)", "-\0", text)
    return "".join(_letter(letter) for letter in separated).replace("\0", "{}")


def _letter(letter: str) -> str:
    if letter in _COMMANDS:
        return _COMMANDS[letter]
    if letter.isascii():
        return letter
    plain = "".join(part for part in unicodedata.normalize("NFKD", letter) if not unicodedata.combining(part))
    if plain and plain.isascii():
        return "".join(_COMMANDS.get(part, part) for part in plain)
    return "?"


def render(layout: TableLayout) -> str:
    lines = [f"% {layout.warning or layout.title}", r"% Needs \usepackage{booktabs}."]
    # A float may stand alone on its page, so each repeats the warning.
    warning = rf"\textbf{{{escape(layout.warning)}}} " if layout.warning else ""
    parts = layout.main.fit(lambda part: _letters(part) <= LETTERS) if layout.main else []
    lines += _floats(
        f"{warning}The paper's {escape(layout.title)}", layout.summary.key, map(_main_table, parts)
    )
    for place, table in enumerate(layout.side_tables, start=1):
        bodies = map(_side_table, table.split_by_width(LETTERS))
        lines += _floats(f"{warning}{escape(table.title)}", f"{layout.summary.key}-{place}", bodies)
    lines += [
        r"\begingroup\footnotesize\raggedright\parindent=0pt",
        *_texts(layout),
        r"\endgroup",
    ]
    return "\n".join(lines) + "\n"


def _floats(caption: str, label: str, bodies: Iterable[list[str]]) -> Iterable[str]:
    """Lines of the floats of one table, one for each part; the first has the label."""
    parts = list(bodies)
    for number, part in enumerate(parts, start=1):
        suffix = f" (part {number} of {len(parts)})" if len(parts) > 1 else ""
        yield r"\begin{table}[htbp]"
        yield r"\centering\footnotesize\setlength{\tabcolsep}{4pt}"
        yield rf"\caption{{{caption}{suffix}.}}"
        if number == 1:
            yield rf"\label{{tab:{label}}}"
        yield from part
        yield r"\end{table}"


def _letters(table: Table) -> int:
    """Approximate width of a main table in print."""
    columns = [list(texts) for texts in zip(*(row.labels for row in table.rows), strict=True)]
    for place, column in enumerate(table.columns):
        columns.append([*_heading_parts(column.heading), *(row.cells[place].short for row in table.rows)])
    return sum(max(map(len, texts)) + 2 for texts in columns)


def _main_table(table: Table) -> list[str]:
    first, rules, heads = 3, [], []
    for name, width in table.groups:
        heads.append(rf"\multicolumn{{{width}}}{{c}}{{{escape(name)}}}")
        rules.append(rf"\cmidrule(lr){{{first}-{first + width - 1}}}")
        first += width
    lines = [rf"\begin{{tabular}}{{{table.align}}}", r"\toprule"]
    lines += [_line(["", "", *heads]), "".join(rules)]
    lines.append(_line(map(_heading, table.headings)))
    for row in table.rows:
        if row.kind == "baseline":
            lines.append(r"\midrule")
        # The list below the table has the states in full; inside the table they must not widen it.
        lines.append(_line(map(escape, (*row.labels, *(cell.short for cell in row.cells)))))
    return [*lines, r"\bottomrule", r"\end{tabular}"]


def _heading(heading: str) -> str:
    """Heading in LaTeX; a long one on several lines, broken before the bracket and after the comma."""
    parts = [escape(part) for part in _heading_parts(heading)]
    return parts[0] if len(parts) == 1 else r"\shortstack[r]{" + r"\\".join(parts) + "}"


def _heading_parts(heading: str) -> list[str]:
    return heading.replace(" (", "|(").replace(", ", ",|").split("|")


def _side_table(table: Table) -> list[str]:
    return [
        rf"\begin{{tabular}}{{{table.align}}}",
        r"\toprule",
        _line(map(escape, table.headings)),
        r"\midrule",
        *(_line(map(escape, texts)) for texts in table.texts),
        r"\bottomrule",
        r"\end{tabular}",
    ]


def _texts(layout: TableLayout) -> Iterable[str]:
    for label, text in layout.header:
        yield rf"{escape(label)}: {_breakable(text)}\par"
    for title, lines in layout.lists:
        yield r"\medskip"
        yield rf"\textbf{{{title}}}\par"
        yield from (rf"{_breakable(line)}\par" for line in lines)


def _breakable(text: str) -> str:
    """Text in LaTeX that may break inside a path, after a slash."""
    return escape(text).replace("/", r"/\allowbreak{}")


def _line(cells: Iterable[str]) -> str:
    return " & ".join(cells) + r" \\"
