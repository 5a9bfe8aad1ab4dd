"""DCAL minus baseline, paired by seed: the gain, how sure it is, and the verdict on it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tables import records, verdicts
from tables.cells import CellSummary, Measured, measure, minus
from tables.paired import evidence
from tables.records import RunView, seeds_text
from tables.statistics import Interval
from tables.verdicts import Verdict


@dataclass(frozen=True)
class GainSummary:
    """DCAL minus baseline for one dataset, backbone and metric; ``note`` says what pairing left out.

    interval: of the gain, in points, or None; ``no_interval`` says why where pairs are there. p_values: McNemar's, by
    seed. verdict: whether DCAL helps in these runs; it speaks of the paper's claim only where ``compared``.
    """

    dataset: str
    backbone: str
    metric: str
    published: float | None
    measured: Measured
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
        """Whether the gain may be held against the paper's: its recipe, its data."""
        return self.difference is not None

    @property
    def comparable_data(self) -> bool:
        return self.coverage == ("full",)


def summarize_gain(
    baseline: CellSummary, dcal: CellSummary, recipe: bool, names: tuple[str, str] = verdicts.NAMES
) -> GainSummary:
    """The gain between two cells in the first one's metric; the second's may be that of one branch alone.

    recipe: as in ``summarize_cell``. names: what the two are called in words.
    """
    before, after = baseline.measured.by_seed, dcal.measured.by_seed
    common = before.keys() & after.keys()
    runs = {seed: (_run(baseline, seed), _run(dcal, seed)) for seed in sorted(common)}
    pairs = {seed: pair for seed, pair in runs.items() if _data(pair[0]) == _data(pair[1])}
    measured = measure({seed: after[seed] - before[seed] for seed in pairs})
    # The published numbers have one decimal, so has their difference: 84.6 − 82.1 is 2.5, not 2.4999….
    gain = minus(dcal.published, baseline.published)
    published = None if gain is None else round(gain, 1)
    coverage = tuple(records.distinct(records.coverage(pair[0]) for pair in pairs.values()))
    cell = baseline.cell
    found = evidence(f"{cell.dataset}/{cell.backbone}/{baseline.metric}", baseline.metric, pairs, dcal.metric)
    open_because = verdicts.why_open(before, after, pairs, found.reason, names)
    return GainSummary(
        dataset=cell.dataset,
        backbone=cell.backbone,
        metric=baseline.metric,
        published=published,
        measured=measured,
        difference=minus(measured.mean, published) if recipe and coverage == ("full",) else None,
        coverage=coverage,
        note=_pairing_note(set(before), set(after), set(pairs), names),
        complete=measured.n == max(len(baseline.runs), len(dcal.runs)),
        interval=found.interval,
        p_values=found.p_values,
        no_interval=f"{found.reason}: {found.detail}" if found.reason else "",
        verdict=verdicts.helps(found.interval, found.differing, measured.by_seed.values(), open_because),
    )


def _run(summary: CellSummary, seed: int) -> RunView:
    return next(run for run in summary.runs if run.seed == seed)


def _data(run: RunView) -> tuple[str, str, str]:
    return records.coverage(run), records.data_text(run), records.fingerprint(run)


def _pairing_note(before: set[int], after: set[int], paired: set[int], names: tuple[str, str]) -> str:
    if not before or not after or before == after == paired:
        return ""
    different = (before & after) - paired
    parts = [f"gain over {seeds_text(paired)} only" if paired else "no gain"]
    for seeds, words in (
        (before - after, f"only {names[0]} has"),
        (after - before, f"only {names[1]} has"),
        (different, "the two methods saw different data in"),
    ):
        if seeds:
            parts.append(f"{words} {seeds_text(seeds)}")
    return "; ".join(parts)
