"""A row of the bench: one quantity of one case, ours and what it is compared with (no torch)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True)
class Row:
    """ours, other: one value a repeat; other is empty where there is nothing to compare with, or it was not run.

    most: bar that ours must stay below, in unit. times: bar that other/ours must reach.
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
    note: str = ""

    @property
    def ratio(self) -> float | None:
        """How many times as much the other one takes, by the medians; None where there is none."""
        return median(self.other) / median(self.ours) if self.other else None

    @property
    def met(self) -> bool | None:
        """Whether the bars are reached; None without a bar, or where it cannot be told."""
        answers = []
        if self.most is not None:
            answers.append(median(self.ours) < self.most)
        if self.times is not None:
            answers.append(None if self.ratio is None else self.ratio >= self.times)
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
            "bar": self._bar() or None,
            "met": self.met,
            "note": self.note,
        }

    def cells(self) -> list[str]:
        """As it stands in the table."""
        other = f"{_number(median(self.other))} {self.unit} ({self.other_name})" if self.other else "–"
        met = {True: "yes", False: "NO", None: "?" if self._bar() else ""}[self.met]
        return [
            self.benchmark,
            self.case,
            self.quantity,
            f"{_number(median(self.ours))} {self.unit}",
            other,
            "" if self.ratio is None else f"{self.ratio:.1f} ×",
            self._bar(),
            met,
        ]

    def _bar(self) -> str:
        bars = []
        if self.most is not None:
            bars.append(f"< {self.most:g} {self.unit}")
        if self.times is not None:
            bars.append(f"≥ {self.times:g} ×")
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


def _number(value: float) -> str:
    """Three significant figures, no exponent."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
