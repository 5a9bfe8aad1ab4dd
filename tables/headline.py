"""How many of the comparisons confirm the paper's claim, and how many are open."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from benchmark.config import paper
from benchmark.config.grid import TABLES
from tables.formats import metric_word
from tables.gains import GainSummary
from tables.states import TableSummary
from tables.verdicts import HURTS, NO_DIFFERENCE, OPEN, YES

NOT_COMPARABLE = "not comparable"


@dataclass(frozen=True)
class Counts:
    """Comparisons by verdict."""

    yes: int
    no_difference: int
    hurts: int
    open: int

    @property
    def total(self) -> int:
        return self.yes + self.no_difference + self.hurts + self.open

    @classmethod
    def of(cls, verdicts: Iterable[str]) -> Counts:
        """Raises KeyError for a word that is no verdict, so that none goes uncounted."""
        names = {YES: "yes", NO_DIFFERENCE: "no_difference", HURTS: "hurts", OPEN: "open"}
        found = Counter(names[verdict] for verdict in verdicts)
        return cls(**{name: found[name] for name in names.values()})


@dataclass(frozen=True)
class Headline:
    """metrics: what the comparisons are decided in. claim: what they say of the paper's claim that DCAL improves each
    of them; why_open: how many are open for which reason. these_runs: what the runs show that must not be compared with
    the paper; None where there are none.
    """

    comparisons: int
    metrics: tuple[str, ...]
    claim: Counts
    why_open: Mapping[str, int]
    these_runs: Counts | None

    @property
    def text(self) -> str:
        """One line, or two sentences where some runs must not be compared."""
        metrics = " or ".join(metric_word(metric) for metric in self.metrics)
        reasons = ", ".join(f"{reason}: {count}" for reason, count in self.why_open.items())
        line = (
            f"the paper's claim, over {self.comparisons} comparisons (dataset and backbone, in {metrics}): confirmed "
            f"in {self.claim.yes}, no difference shown in {self.claim.no_difference}, DCAL hurts in "
            f"{self.claim.hurts}, open in {self.claim.open}" + (f" ({reasons})" if reasons else "")
        )
        if self.these_runs is None:
            return line
        own = self.these_runs
        return (
            f"{line}. These runs alone, not comparable with the paper's: DCAL helps in {own.yes}, no difference shown "
            f"in {own.no_difference}, hurts in {own.hurts}, open in {own.open}"
        )


def headline(summaries: Iterable[TableSummary]) -> Headline:
    """The counts over all comparisons of some tables: 34 over the three of the paper.

    A comparison is a dataset and a backbone, in the table's first metric: top-1, or mAP.
    """
    claims, reasons, apart, metrics = [], [], [], {}
    for summary in summaries:
        for dataset, backbone in TABLES[summary.key].pairs:
            metric = primary(summary.key, dataset)
            gain = summary.gains.get((dataset, backbone, metric))
            if gain is None:  # of a part of a table
                continue
            metrics[metric] = None
            counts = _counts_for_claim(summary, gain)
            claims.append(gain.verdict.helps if counts else OPEN)
            if claims[-1] == OPEN:
                reasons.append(gain.verdict.reason if counts else NOT_COMPARABLE)
            if not counts:
                apart.append(gain.verdict.helps)
    return Headline(
        len(claims),
        tuple(metrics),
        Counts.of(claims),
        dict(Counter(reasons).most_common()),
        Counts.of(apart) if apart else None,
    )


def primary(table: str, dataset: str) -> str:
    """The metric that a comparison is decided in: ``top1`` or ``mAP``."""
    return paper.metrics(table, dataset)[0]


def _counts_for_claim(summary: TableSummary, gain: GainSummary) -> bool:
    """False for runs of another recipe or of other data than the paper's; a pair not yet done is simply open."""
    return summary.comparable and (gain.compared or not gain.measured.n)
