"""`python -m benchmark.bench.compare A B`: what changed from one bench to another (no torch)."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from benchmark.bench.document import differences, read
from benchmark.bench.rows import number
from benchmark.command_line import Parser
from benchmark.console import exit_status
from benchmark.exit_codes import COMPLETE, status_of

Row = Mapping[str, object]


def main(arguments: Sequence[str] | None = None) -> int:
    """Compare two files; returns the exit status."""
    parser = Parser(prog="python -m benchmark.bench.compare", description=__doc__)
    parser.add_argument(
        "a", type=Path, metavar="A", help="a bench's file, or its folder if it holds one: what was before"
    )
    parser.add_argument("b", type=Path, metavar="B", help="the same of what is after")
    asked = parser.parse_args(arguments)
    return status_of(lambda: _compare(asked.a, asked.b))


def _compare(first: Path, second: Path) -> int:
    """Print both. Raises SuiteError for files that are none of the bench's."""
    a, b = read(first), read(second)
    print(f"A: {first}, {a.get('started')}\nB: {second}, {b.get('started')}\n")
    print("\n".join(differences(a, b) or ["same machine, same versions, same code"]))
    print(f"\n{table(a['rows'], b['rows'])}")
    for name, here, there in (("A", a, b), ("B", b, a)):
        if alone := [" / ".join(key) for key in by_key(here["rows"]) if key not in by_key(there["rows"])]:
            print(f"\nin {name} only:\n  " + "\n  ".join(alone))
    print(
        "\nB/A of ours: below 1 is less than before. B/A of the ratio: free of the machine's mood, since each ratio is "
        "of one run; see ratio's column for which way it points."
    )
    return COMPLETE


def table(a: Iterable[Row], b: Iterable[Row]) -> str:
    """The rows that both have: ours and ratio of each, and how they changed."""
    from tabulate import tabulate

    before, after = by_key(a), by_key(b)
    lines = [_cells(key, before[key], after[key]) for key in before if key in after]
    headings = ["benchmark", "case", "quantity", "compared with"]
    headings += ["ours A", "ours B", "B/A", "ratio", "ratio A", "ratio B", "B/A"]
    align = ("left",) * 4 + ("right",) * 3 + ("left",) + ("right",) * 3
    return tabulate(lines, headings, tablefmt="simple", disable_numparse=True, colalign=align)


def by_key(rows: Iterable[Row]) -> dict[tuple[str, ...], Row]:
    """Rows by what they measure: benchmark, case, quantity and what it is compared with."""
    return {
        (row["benchmark"], row["case"], row["quantity"], (row["other"] or {}).get("name", "–")): row
        for row in rows
    }


def _cells(key: tuple[str, ...], a: Row, b: Row) -> list[str]:
    ours = [row["ours"]["median"] for row in (a, b)]
    ratios = [row["ratio"] for row in (a, b)]
    same_kind = a["ratio_of"] == b["ratio_of"]
    return [
        *key,
        *(f"{number(value)} {row['unit']}" for value, row in zip(ours, (a, b), strict=True)),
        _quotient(*ours) if a["unit"] == b["unit"] else "",
        a["ratio_of"] if None not in ratios and same_kind else "",
        *("" if ratio is None else number(ratio) for ratio in ratios),
        _quotient(*ratios) if same_kind else "",
    ]


def _quotient(a: float | None, b: float | None) -> str:
    return f"{b / a:.2f}" if a and b is not None else ""


if __name__ == "__main__":
    sys.exit(exit_status(main))
