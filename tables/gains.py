"""Gain of DCAL over the baseline, paired by seed: its mean, its evidence and the verdict on it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from benchmark.records.status import RunView
from tables import records, verdicts
from tables.cells import CellSummary, SeedStatistics, measure, minus
from tables.outcomes import evidence
from tables.records import seeds_text
from tables.statistics import Interval
from tables.verdicts import Verdict


@dataclass(frozen=True)
class GainSummary:
    """DCAL minus baseline for one dataset, backbone and metric.

    published: the paper's gain in points, None where it gives none.
    measured: in points, over the paired seeds.
    difference: measured minus published in points, None where the two must not be compared.
    coverage: of the data of the pairs, each kind once.
    note: which seeds are not paired and why, "" for none.
    complete: whether every seed is paired.
    interval: of the gain in points, or None.
    p_values: seed → p of McNemar's test.
    no_interval: why there is no interval although there are pairs, else "".
    verdict: whether DCAL helps in these runs; it decides the paper's claim only where ``compared``.
    """

    dataset: str
    backbone: str
    metric: str
    published: float | None
    measured: SeedStatistics
    difference: float | None
    coverage: tuple[str, ...]
    note: str
    complete: bool
    interval: Interval | None
    p_values: Mapping[int, float]
    no_interval: str
    verdict: Verdict

    @property
    def compared(self) -> bool:
        """Whether the gain may be compared with the paper's: same recipe, same data."""
        return self.difference is not None

    @property
    def comparable_data(self) -> bool:
        return self.coverage == ("full",)


def summarize_gain(
    baseline: CellSummary, dcal: CellSummary, comparable: bool, names: tuple[str, str] = verdicts.NAMES
) -> GainSummary:
    """Summarize the gain between two cells in the first one's metric; the second's may be that of one branch alone.

    comparable: as in ``summarize_cell``. names: of the two cells, for texts.
    """
    before, after = baseline.measured.seed_values, dcal.measured.seed_values
    common = before.keys() & after.keys()
    runs = {seed: (_run(baseline, seed), _run(dcal, seed)) for seed in sorted(common)}
    pairs = {seed: pair for seed, pair in runs.items() if _data_identity(pair[0]) == _data_identity(pair[1])}
    measured = measure({seed: after[seed] - before[seed] for seed in pairs})
    # The published numbers have one decimal, and so has their difference: 84.6 − 82.1 is 2.5, not 2.4999….
    gain = minus(dcal.published, baseline.published)
    published = None if gain is None else round(gain, 1)
    coverage = tuple(records.distinct(records.coverage(pair[0]) for pair in pairs.values()))
    cell = baseline.cell
    proof = evidence(f"{cell.dataset}/{cell.backbone}/{baseline.metric}", baseline.metric, pairs, dcal.metric)
    open_reason = verdicts.open_reason(before, after, pairs, proof.reason, names)
    return GainSummary(
        dataset=cell.dataset,
        backbone=cell.backbone,
        metric=baseline.metric,
        published=published,
        measured=measured,
        difference=minus(measured.mean, published) if comparable and coverage == ("full",) else None,
        coverage=coverage,
        note=_pairing_note(set(before), set(after), set(pairs), names),
        complete=measured.n == max(len(baseline.runs), len(dcal.runs)),
        interval=proof.interval,
        p_values=proof.p_values,
        no_interval=f"{proof.reason}: {proof.detail}" if proof.reason else "",
        verdict=verdicts.gain_verdict(
            proof.interval, proof.differing, measured.seed_values.values(), open_reason
        ),
    )


def _run(summary: CellSummary, seed: int) -> RunView:
    return next(run for run in summary.runs if run.seed == seed)


def _data_identity(run: RunView) -> tuple[str, str, str]:
    return records.coverage(run), records.data_text(run), records.fingerprint(run)


def _pairing_note(before: set[int], after: set[int], pairs: set[int], names: tuple[str, str]) -> str:
    if not before or not after or before == after == pairs:
        return ""
    parts = [f"gain over {seeds_text(pairs)} only" if pairs else "no gain"]
    for seeds, words in (
        (before - after, f"only {names[0]} has"),
        (after - before, f"only {names[1]} has"),
        ((before & after) - pairs, "the two methods saw different data in"),
    ):
        if seeds:
            parts.append(f"{words} {seeds_text(seeds)}")
    return "; ".join(parts)
