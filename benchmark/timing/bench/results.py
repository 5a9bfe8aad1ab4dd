"""A row of the bench: one quantity of one case, ours and what it is compared with (no torch)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median

MB = 1e6


@dataclass(frozen=True)
class Row:
    """ours, other: one value a repeat; other is empty where there is nothing to compare with, or it was not run.

    most: bar that ours must stay below, in unit.
    cost: ours does more than the other, which is only its measure: DCAL against the plain backbone. The ratio is then
        ours/other; otherwise the two do the same, and it is other/ours, how many times as much the other takes.
    times: bar of the ratio: the least that is asked for, and with cost the most that is allowed.
    note: what a reader must know, for one why other was not run.
    """

    benchmark: str
    case: str
    quantity: str
    unit: str
    ours: Sequence[float]
    other: Sequence[float] = ()
    other_name: str = ""
    most: float | None = None
    times: float | None = None
    cost: bool = False
    note: str = ""

    @property
    def ratio(self) -> float | None:
        """Of the medians; None where there is no other."""
        if not self.other:
            return None
        ours, other = median(self.ours), median(self.other)
        return _quotient(ours, other) if self.cost else _quotient(other, ours)

    @property
    def met(self) -> bool | None:
        """Whether the bars are reached; None without a bar, or where it cannot be told."""
        answers = []
        if self.most is not None:
            answers.append(median(self.ours) < self.most)
        if self.times is not None:
            ratio = self.ratio
            answers.append(
                None if ratio is None else ratio <= self.times if self.cost else ratio >= self.times
            )
        if None in answers:
            return None
        return all(answers) if answers else None

    def record(self) -> dict[str, object]:
        """As it stands in bench.json."""
        return {
            "benchmark": self.benchmark,
            "case": self.case,
            "quantity": self.quantity,
            "unit": self.unit,
            "ours": {"median": median(self.ours), "repeats": list(self.ours)},
            "other": {"name": self.other_name, "median": median(self.other), "repeats": list(self.other)}
            if self.other
            else None,
            "ratio": self.ratio,
            "ratio_of": self._ratio_of(),
            "bar": self._bar() or None,
            "met": self.met,
            "note": self.note,
        }

    def cells(self) -> list[str]:
        """As it stands in the table."""
        other = f"{number(median(self.other))} {self.unit} ({self.other_name})" if self.other else "–"
        met = {True: "yes", False: "NO", None: "?" if self._bar() else ""}[self.met]
        return [
            self.benchmark,
            self.case,
            self.quantity,
            f"{number(median(self.ours))} {self.unit}",
            other,
            "" if self.ratio is None else f"{number(self.ratio)} × ({self._ratio_of()})",
            self._bar(),
            met,
        ]

    def _ratio_of(self) -> str:
        return "ours/other" if self.cost else "other/ours"

    def _bar(self) -> str:
        bars = []
        if self.most is not None:
            bars.append(f"< {self.most:g} {self.unit}")
        if self.times is not None:
            bars.append(f"{'≤' if self.cost else '≥'} {self.times:g} ×")
        return ", ".join(bars)


def table(rows: Iterable[Row]) -> str:
    """All rows as text, the notes below."""
    from tabulate import tabulate

    rows = list(rows)
    headings = ["benchmark", "case", "quantity", "ours", "compared with", "ratio", "bar", "met"]
    align = ("left", "left", "left", "right", "right", "right", "right", "left")
    text = tabulate(
        [row.cells() for row in rows],
        headers=headings,
        tablefmt="simple",
        disable_numparse=True,
        colalign=align,
    )
    notes = dict.fromkeys(f"{row.case}: {row.note}" for row in rows if row.note)
    return "\n".join([text, *([""] if notes else []), *notes])


def number(value: float) -> str:
    """Three significant figures, no exponent."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _quotient(above: float, below: float) -> float | None:
    """None where nothing was measured below: a growth of memory may be zero."""
    return above / below if below else None
