"""Side tables of the ablations: for each group the measured numbers, and gains over other references; sweep curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from benchmark.config.ablations import SWEEPS, Sweep
from tables import records, verdicts
from tables.ablations.rows import Ablations, RowSummary
from tables.cells import CellSummary
from tables.formats import metric_word, one_line, p_value, percent, signed
from tables.gains import GainSummary
from tables.layout import measured_cell
from tables.outcomes import PairError, base_metric, outcomes
from tables.side_tables import interval_text, verdict_text
from tables.states import TableSummary
from tables.statistics import LEVEL, Interval, mean_interval
from tables.table import Table
from tables.verdicts import Verdict

# Mark of the paper's numbers beside numbers of another recipe.
STAR = "*"
STAR_NOTE = "paper*, gain*: the paper's, of full data and the full recipe"
_DIFFERS = {verdicts.YES: "higher", verdicts.HURTS: "lower"}
DIFFERS_RULE = (
    "higher, lower: the same rule for the row beside the one it is compared with; no difference shown is no proof that "
    "there is none"
)


def group_tables(ablations: Ablations) -> dict[str, list[Table]]:
    """Title of a group → its tables."""
    comparable = ablations.table.comparable
    return {
        title: [_measured_table(title, rows, comparable), *_reference_tables(title, rows, comparable)]
        for title, rows in ablations.groups.items()
    }


def _measured_table(title: str, rows: Sequence[RowSummary], comparable: bool) -> Table:
    metrics = dict.fromkeys(base_metric(row.row.metric) for row in rows)
    metric_names = " and ".join(metric_word(metric) for metric in metrics)
    star = "" if comparable else STAR
    texts = [_texts(row, comparable) for row in rows]
    columns = (
        (f"{metric_names}, in %", "name", "l"),
        (f"paper{star}", "paper", "r"),
        ("measured", "measured", "r"),
        ("difference", "difference", "r"),
        ("paper's gain" if comparable else f"gain{STAR}", "paper's gain", "r"),
        ("gain", "gain", "r"),
        (f"{LEVEL} % interval", "interval", "r"),
        ("helps?" if comparable else "helps here?", "helps", "l"),
        ("reached?", "reached", "l"),
    )
    # Columns that would be empty are left out, but for the essential ones.
    essential = ("measured", "gain", "interval", "helps")
    columns = [column for column in columns if column[1] in essential or any(row[column[1]] for row in texts)]
    headings, names, letters = zip(*columns, strict=True)
    cells = ([row[name] for name in names] for row in texts)
    return Table.from_texts(title, headings, cells, "".join(letters), labels=1)


def _texts(row: RowSummary, comparable: bool) -> dict[str, str]:
    """Name of a column → text of the row."""
    cell, in_paper = row.cell, row.row.published is not None
    paper_gain, gain, interval, helps = gain_texts(row.gain, comparable) if row.gain else ("", "", "", "")
    difference = signed(cell.difference) if in_paper and cell.difference is not None else ""
    return {
        "name": row.title,
        "paper": percent(row.row.published) if in_paper else "",
        "measured": measured_cell(cell, comparable).short,
        "difference": difference,
        "paper's gain": paper_gain if in_paper else "",
        "gain": gain,
        "interval": interval,
        "helps": helps,
        "reached": cell.reproduction if in_paper and comparable else "",
    }


def gain_texts(gain: GainSummary, comparable: bool) -> list[str]:
    """The paper's gain, the measured one, its interval and its verdict, as texts."""
    published = "" if gain.published is None else signed(gain.published)
    measured = measured_cell(gain, comparable).text
    return [published, measured, interval_text(gain.interval), _verdict(gain, gain.verdict, comparable)]


def _verdict(gain: GainSummary, verdict: Verdict, comparable: bool) -> str:
    """Text of the verdict, without the reason where no pair is done: the cell beside it has the state already."""
    return verdict_text(gain, verdict, comparable) if gain.measured.n else verdict.outcome


def _reference_tables(title: str, rows: Sequence[RowSummary], comparable: bool) -> list[Table]:
    """One table for each reference of the group's rows that is not the baseline."""
    references: dict[str, list[RowSummary]] = {}
    for row in rows:
        if row.reference_gain is not None:
            references.setdefault(row.reference_title, []).append(row)
    star = "" if comparable else STAR
    headings = ("in points", f"paper{star}", "measured", f"{LEVEL} % interval", "McNemar p", "differs?")
    tables = []
    for reference, members in references.items():
        texts = [_reference_row(row, row.reference_gain, comparable) for row in members]
        table = Table.from_texts(f"{title}: compared with {reference}", headings, texts, "lrrrrl", labels=1)
        in_paper = any(row[1] for row in texts)
        tables.append(table if in_paper else table.select_columns([1, 2, 3, 4]))
    return tables


def _reference_row(row: RowSummary, gain: GainSummary, comparable: bool) -> tuple[str, ...]:
    published, measured, interval, _ = gain_texts(gain, comparable)
    p_values = ", ".join(map(p_value, gain.p_values.values()))
    # The words for two alternatives: "helps" would be wrong for either.
    outcome = _DIFFERS.get(gain.verdict.outcome, gain.verdict.outcome)
    verdict = _verdict(gain, replace(gain.verdict, outcome=outcome), comparable)
    return row.title, published, measured, interval, p_values, verdict


# --- Sweeps as points with intervals: accuracy against R, M and T, and that of the baseline ---

INTERVAL_RULE = (
    f"{LEVEL} % intervals of an accuracy: bootstrap over the test images (percentiles), an image's outcomes first "
    "averaged over the seeds. They cover the choice of test images, not that of seeds. Runs share their images, so "
    "intervals that overlap do not mean that there is no difference: the paired intervals of gains stand in the table"
)


@dataclass(frozen=True)
class Point:
    """Point of a sweep.

    x: value of the setting in these runs.
    mean: over seeds, in percent.
    seed_values: seed → percent.
    interval: of the mean, in percent; None where predictions are lacking, with the reason.
    published: the paper's number, None where it gives none or must not be compared with these runs.
    """

    x: float
    mean: float
    seed_values: Mapping[int, float]
    interval: Interval | None
    reason: str
    published: float | None


@dataclass(frozen=True)
class Curve:
    """One sweep.

    points: of the cells with a number, ascending in x.
    baseline: None where it is not done; its x has no meaning.
    lacking: settings whose cell has no number, ``R = 5``.
    """

    sweep: Sweep
    points: tuple[Point, ...]
    baseline: Point | None
    lacking: tuple[str, ...]


def curves(ablations: Ablations) -> tuple[Curve, ...]:
    """The sweeps of R, M and T, in the registry's order."""
    return tuple(_curve(sweep, ablations.table) for sweep in SWEEPS)


def _curve(sweep: Sweep, summary: TableSummary) -> Curve:
    points, lacking = [], []
    for x, cell_id in sweep.points:
        cell = summary.cells[(*cell_id.split("/"), sweep.metric)]
        if cell.measured.n:
            points.append(_point(cell, sweep.x(cell.runs[0].config)))
        else:
            lacking.append(f"{sweep.name} = {x:g}")
    baseline = summary.cells[(*sweep.baseline.split("/"), sweep.metric)]
    points.sort(key=lambda point: point.x)
    return Curve(sweep, tuple(points), _point(baseline, 0.0) if baseline.measured.n else None, tuple(lacking))


def _point(cell: CellSummary, x: float) -> Point:
    interval, reason = accuracy_interval(cell)
    # The paper's number beside one of other data would invite a comparison that is not valid.
    published = cell.published if cell.difference is not None else None
    return Point(x, cell.measured.mean, cell.measured.seed_values, interval, reason, published)


def accuracy_interval(cell: CellSummary) -> tuple[Interval | None, str]:
    """Bootstrap interval of a cell's mean over its seeds, in percent, and ""; or None and the reason."""
    runs = [run for run in cell.runs if run.seed in cell.measured.seed_values]
    try:
        if len({records.fingerprint(run) for run in runs}) > 1:
            raise PairError("", "the data of the seeds have different fingerprints")
        seeds = [outcomes(run, cell.metric) for run in runs]
        if any(not np.array_equal(seed.counted, seeds[0].counted) for seed in seeds):
            raise PairError("", "the seeds count different images")
    except PairError as error:
        return None, one_line(error, 200)
    values = [seed.values[seed.counted] for seed in seeds]
    total = np.sum([array.astype(np.int16) if array.dtype == bool else array for array in values], axis=0)
    # The metric alone seeds the random numbers: equal outcomes get equal intervals.
    interval = mean_interval(total, cell.metric)
    point = 100 / len(seeds)
    return Interval(point * interval.low, point * interval.high), ""
