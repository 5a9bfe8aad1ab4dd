"""Headline: number of comparisons that confirm the paper's claim, and number of open ones."""

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
class VerdictCounts:
    """Number of comparisons with each verdict."""

    yes: int
    no_difference: int
    hurts: int
    open: int

    @property
    def total(self) -> int:
        return self.yes + self.no_difference + self.hurts + self.open

    @classmethod
    def from_outcomes(cls, outcomes: Iterable[str]) -> VerdictCounts:
        """Count outcomes of verdicts. Raises KeyError for a word that is no outcome, so that none is left out."""
        names = {YES: "yes", NO_DIFFERENCE: "no_difference", HURTS: "hurts", OPEN: "open"}
        counts = Counter(names[outcome] for outcome in outcomes)
        return cls(**{name: counts[name] for name in names.values()})


@dataclass(frozen=True)
class Headline:
    """Counts over all comparisons.

    comparisons: their number.
    metrics: the metrics that decide them.
    claim: verdicts on the paper's claim that DCAL improves each of them.
    open_reasons: reason → number of open comparisons.
    these_runs: verdicts on runs that must not be compared with the paper, None where there are none.
    """

    comparisons: int
    metrics: tuple[str, ...]
    claim: VerdictCounts
    open_reasons: Mapping[str, int]
    these_runs: VerdictCounts | None

    @property
    def text(self) -> str:
        """One sentence, or two where some runs must not be compared."""
        metrics = " or ".join(metric_word(metric) for metric in self.metrics)
        reasons = ", ".join(f"{reason}: {count}" for reason, count in self.open_reasons.items())
        sentence = (
            f"the paper's claim, over {self.comparisons} comparisons (dataset and backbone, in {metrics}): confirmed "
            f"in {self.claim.yes}, no difference shown in {self.claim.no_difference}, DCAL hurts in "
            f"{self.claim.hurts}, open in {self.claim.open}" + (f" ({reasons})" if reasons else "")
        )
        if self.these_runs is None:
            return sentence
        counts = self.these_runs
        return (
            f"{sentence}. These runs alone, not comparable with the paper's: DCAL helps in {counts.yes}, no difference "
            f"shown in {counts.no_difference}, hurts in {counts.hurts}, open in {counts.open}"
        )


def headline(summaries: Iterable[TableSummary]) -> Headline:
    """Count the comparisons of these tables: 34 over the paper's three.

    A comparison is a dataset and a backbone, decided in the table's first metric: top-1, or mAP.
    """
    claim, open_reasons, these_runs, metrics = [], [], [], {}
    for summary in summaries:
        for dataset, backbone in TABLES[summary.key].pairs:
            metric = primary_metric(summary.key, dataset)
            gain = summary.gains.get((dataset, backbone, metric))
            if gain is None:  # not among the selected cells
                continue
            metrics[metric] = None
            decides_claim = _decides_claim(summary, gain)
            claim.append(gain.verdict.outcome if decides_claim else OPEN)
            if claim[-1] == OPEN:
                open_reasons.append(gain.verdict.reason if decides_claim else NOT_COMPARABLE)
            if not decides_claim:
                these_runs.append(gain.verdict.outcome)
    return Headline(
        len(claim),
        tuple(metrics),
        VerdictCounts.from_outcomes(claim),
        dict(Counter(open_reasons).most_common()),
        VerdictCounts.from_outcomes(these_runs) if these_runs else None,
    )


def primary_metric(table: str, dataset: str) -> str:
    """The metric that decides a comparison: ``top1`` or ``mAP``."""
    return paper.metrics(table, dataset)[0]


def _decides_claim(summary: TableSummary, gain: GainSummary) -> bool:
    """False for runs of another recipe or of other data than the paper's; a pair not yet done counts as open."""
    return summary.comparable and (gain.compared or not gain.measured.n)
