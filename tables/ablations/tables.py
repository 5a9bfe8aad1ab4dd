"""The ablations as small tables, one or two a group: what was measured, and what each row gains over what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from benchmark.config.ablations import SWEEPS, Sweep
from tables import records, states, verdicts
from tables.ablations.rows import Ablations, RowSummary
from tables.cells import CellSummary
from tables.formats import metric_word, one_line, p_value, percent, signed
from tables.gains import GainSummary
from tables.layout import measured_text
from tables.paired import PairError, outcomes, plain
from tables.side_tables import SideTable, interval_text, told
from tables.statistics import LEVEL, Interval, mean_interval
from tables.verdicts import Verdict

# Where the paper's numbers are of another recipe than the ones beside them, they are marked.
STAR = "*"
STAR_NOTE = "paper*, gain*: the paper's, of full data and the full recipe"
_DIFFERS = {verdicts.YES: "higher", verdicts.HURTS: "lower"}
DIFFERS_RULE = (
    "higher, lower: the same rule for the row beside the one it is compared with; no difference shown is no proof that "
    "there is none"
)


def group_tables(found: Ablations) -> dict[str, list[SideTable]]:
    """The tables of each group, by its title."""
    return {
        title: [
            _measured_table(title, rows, found.table.comparable),
            *_compared_tables(title, rows, found.table.comparable),
        ]
        for title, rows in found.groups.items()
    }


def _measured_table(title: str, rows: Sequence[RowSummary], comparable: bool) -> SideTable:
    metrics = dict.fromkeys(plain(row.row.metric) for row in rows)
    words = " and ".join(metric_word(metric) for metric in metrics)
    star = "" if comparable else STAR
    texts = [_texts(row, comparable) for row in rows]
    columns = (
        (f"{words}, in %", "name", "l"),
        (f"paper{star}", "paper", "r"),
        ("measured", "measured", "r"),
        ("difference", "difference", "r"),
        ("paper's gain" if comparable else f"gain{STAR}", "paper's gain", "r"),
        ("gain", "gain", "r"),
        (f"{LEVEL} % interval", "interval", "r"),
        ("helps?" if comparable else "helps here?", "helps", "l"),
        ("reached?", "reached", "l"),
    )
    # A column of which the paper or the profile leaves nothing is left out.
    always = ("measured", "gain", "interval", "helps")
    kept = [column for column in columns if column[1] in always or any(row[column[1]] for row in texts)]
    headings, names, aligns = zip(*kept, strict=True)
    return SideTable(
        title, headings, tuple(tuple(row[name] for name in names) for row in texts), "".join(aligns), 1
    )


def _texts(row: RowSummary, comparable: bool) -> dict[str, str]:
    """The row's cells by column."""
    cell, given = row.cell, row.row.published is not None
    paper_gain, gain, interval, helps = gain_texts(row.gain, comparable) if row.gain else ("", "", "", "")
    difference = signed(cell.difference) if given and cell.difference is not None else ""
    return {
        "name": row.title,
        "paper": percent(row.row.published) if given else "",
        "measured": measured(cell, comparable),
        "difference": difference,
        "paper's gain": paper_gain if given else "",
        "gain": gain,
        "interval": interval,
        "helps": helps,
        "reached": cell.reached if given and comparable else "",
    }


def measured(cell: CellSummary, comparable: bool) -> str:
    """The number, or the state that stands in its place."""
    if cell.measured.mean is None:
        return states.in_table(cell).partition(":")[0]
    return measured_text(cell, comparable, percent)


def gain_texts(gain: GainSummary, comparable: bool) -> list[str]:
    """The paper's gain, ours, its interval, the verdict."""
    published = "" if gain.published is None else signed(gain.published)
    ours = "" if gain.measured.mean is None else measured_text(gain, comparable, signed)
    return [published, ours, interval_text(gain.interval), _said(gain, gain.verdict, comparable)]


def _said(gain: GainSummary, verdict: Verdict, comparable: bool) -> str:
    """The verdict; why it is open stands beside it already where a run is not done."""
    return told(gain, verdict, comparable) if gain.measured.n else verdict.helps


def _compared_tables(title: str, rows: Sequence[RowSummary], comparable: bool) -> list[SideTable]:
    """One for each reference of the group's rows that is not the baseline."""
    by_reference: dict[str, list[RowSummary]] = {}
    for row in rows:
        if row.against is not None:
            by_reference.setdefault(row.against_title, []).append(row)
    star = "" if comparable else STAR
    headings = ("in points", f"paper{star}", "measured", f"{LEVEL} % interval", "McNemar p", "differs?")
    tables = []
    for reference, compared in by_reference.items():
        texts = tuple(_compared(row, row.against, comparable) for row in compared)
        table = SideTable(f"{title}: compared with {reference}", headings, texts, "lrrrrl", 1)
        published = any(row[1] for row in texts)
        tables.append(table if published else table.only([0, 2, 3, 4, 5]))
    return tables


def _compared(row: RowSummary, gain: GainSummary, comparable: bool) -> tuple[str, ...]:
    published, ours, interval, _ = gain_texts(gain, comparable)
    p_values = ", ".join(map(p_value, gain.p_values.values()))
    return row.title, published, ours, interval, p_values, _said(gain, differs(gain.verdict), comparable)


def differs(verdict: Verdict) -> Verdict:
    """The verdict in the words for two alternatives, of which neither is there to help."""
    return replace(verdict, helps=_DIFFERS.get(verdict.helps, verdict.helps))


# --- The ablations' sweeps as points with intervals: accuracy against R, M and T, and the baseline's ---

INTERVAL_RULE = (
    f"{LEVEL} % intervals of an accuracy: bootstrap over the test images (percentiles), an image's outcomes first "
    "averaged over the seeds. They cover the choice of test images, not that of seeds. Runs share their images, so "
    "intervals that overlap do not mean that there is no difference: the paired intervals of gains stand in the table"
)


@dataclass(frozen=True)
class Point:
    """x: what the runs really have. mean: over seeds, in percent; interval: None where predictions are lacking, and
    reason why. published: the paper's, None where it gives none or must not stand beside these runs.
    """

    x: float
    mean: float
    by_seed: Mapping[int, float]
    interval: Interval | None
    reason: str
    published: float | None


@dataclass(frozen=True)
class Curve:
    """One sweep. points: of cells with a number, ascending in x. baseline: its x means nothing, None where not done.

    lacking: ids of the cells without a number.
    """

    sweep: Sweep
    points: tuple[Point, ...]
    baseline: Point | None
    lacking: tuple[str, ...]


def curves(found: Ablations) -> tuple[Curve, ...]:
    """R, M and T, in the registry's order."""
    return tuple(_curve(sweep, found) for sweep in SWEEPS)


def _curve(sweep: Sweep, found: Ablations) -> Curve:
    points, lacking = [], []
    for x, cell_id in sweep.points:
        cell = _cell(found, cell_id, sweep.metric)
        if cell.measured.n:
            points.append(_point(cell, sweep.x(cell.runs[0].config)))
        else:
            lacking.append(f"{sweep.name} = {x:g}")
    baseline = _cell(found, sweep.baseline, sweep.metric)
    points.sort(key=lambda point: point.x)
    return Curve(sweep, tuple(points), _point(baseline, 0.0) if baseline.measured.n else None, tuple(lacking))


def _cell(found: Ablations, cell_id: str, metric: str) -> CellSummary:
    return found.table.cells[(*cell_id.split("/"), metric)]


def _point(cell: CellSummary, x: float) -> Point:
    interval, reason = accuracy_interval(cell)
    # Beside a number that may not be held against it, the paper's would be.
    published = cell.published if cell.difference is not None else None
    return Point(x, cell.measured.mean, cell.measured.by_seed, interval, reason, published)


def accuracy_interval(cell: CellSummary) -> tuple[Interval | None, str]:
    """The interval of a cell's mean metric over its seeds, in percent, and "", or None and why there is none."""
    runs = [run for run in cell.runs if run.seed in cell.measured.by_seed]
    try:
        if len({records.fingerprint(run) for run in runs}) > 1:
            raise PairError("", "the data of the seeds have different fingerprints")
        found = [outcomes(run, cell.metric) for run in runs]
        if any(not np.array_equal(one.counted, found[0].counted) for one in found):
            raise PairError("", "the seeds count different images")
    except PairError as error:
        return None, one_line(error, 200)
    values = [one.values[one.counted] for one in found]
    total = np.sum([one.astype(np.int16) if one.dtype == bool else one for one in values], axis=0)
    # One draw for all points: equal outcomes get equal intervals.
    interval = mean_interval(total, cell.metric)
    point = 100 / len(found)
    return Interval(point * interval.low, point * interval.high), ""
