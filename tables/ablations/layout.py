"""Layout of the ablations: side tables by group, the finding on the selection, overhead, notes; and their CSV."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from benchmark.config.grid import ABLATIONS
from benchmark.config.paper import OVERHEADS
from benchmark.records.forecasts import Overheads
from benchmark.records.status import RunView
from tables import notes, states, verdicts
from tables.ablations import selection_table
from tables.ablations import tables as ablation_table
from tables.ablations.rows import Ablations, RowSummary, baseline_id, summarize
from tables.ablations.selection import SelectionComparison, compare_selections
from tables.exports.csv import COLUMNS, cell_line, csv_text, gain_line
from tables.formats import one_line
from tables.layout import TableLayout, selection_header
from tables.notes import weights_note
from tables.side_tables import OVERHEAD_NOTE, overhead_table
from tables.states import TableSummary
from tables.table import Table

TITLE = "Ablations of DCAL: CUB with DeiT-Tiny, VeRi-776 with ViT-Base"
TERMS = (
    ("SA", "self-attention: the backbone itself; a baseline is SA alone"),
    (
        "GLCA",
        "global-local cross-attention: M blocks and a classifier of its own, in which the class token and the R % of "
        "the patches that the attention rollout ranks highest, the local queries, attend to the whole image",
    ),
    (
        "PWCA",
        "pair-wise cross-attention, in training only: in the last T blocks an image attends to a second one as well",
    ),
    (
        "both",
        "DCAL: SA, GLCA and PWCA trained together; in the paper R is 10 % (VeRi-776: 30 %), M is 1 and T is 12",
    ),
)
SWEEP_NOTE = (
    "sweeps: R and M with GLCA alone, T with PWCA alone; the paper does not say which other parts were on in its "
    "sweeps"
)
# Beginning of the title of the group that the table on the selection follows: the last group that it is about.
_SELECTION_GROUP = "Sweep: local queries"


@dataclass(frozen=True)
class AblationLayout:
    """The ablations as text, with the numbers behind it.

    layout: what the exports render. ablations: all rows in numbers. selection: comparisons of runs that differ only in
    the selection of local queries. tables: title of a group → its tables. overheads: None where nothing was counted.
    """

    layout: TableLayout
    ablations: Ablations
    selection: tuple[SelectionComparison, ...]
    tables: dict[str, list[Table]]
    overheads: Overheads | None


def build(
    profile: str,
    runs: Iterable[RunView],
    overrides: Iterable[str] = (),
    *,
    overheads: Overheads | None = None,
    conflicts: Iterable[str] = (),
    folders: Iterable[str] = (),
    refused: Mapping[str, str] = MappingProxyType({}),
    cells: Container[str] | None = None,
) -> AblationLayout:
    """Lay out the ablations; arguments as for ``tables.layout.build``. overheads: from ``read_overheads``."""
    overrides = tuple(overrides)
    ablations = summarize(profile, runs, overrides, refused)
    total = len({row.row.cell for row in ablations.rows})
    if cells is not None:
        ablations = ablations.select(cells)
    summary = ablations.table
    selection = compare_selections(summary.runs)
    tables = ablation_table.group_tables(ablations)
    layout = TableLayout(
        warning=notes.warning(summary, overrides),
        title=TITLE,
        header=(*notes.header(summary, overrides, folders), *selection_header(summary, total)),
        main=None,
        verdicts=None,
        branches=None,
        notes=tuple(_notes(ablations, overheads)),
        partial=tuple(states.partial_cells(summary)),
        states=tuple(states.state_list(summary)),
        conflicts=tuple(one_line(text) for text in conflicts),
        summary=summary,
        more=tuple(_side_tables(tables, selection, overheads)),
        findings=((selection_table.LIST_TITLE, tuple(selection_table.paragraphs(selection))),),
    )
    return AblationLayout(layout, ablations, selection, tables, overheads)


def _side_tables(
    tables: dict[str, list[Table]], selection: tuple[SelectionComparison, ...], overheads: Overheads | None
) -> Iterable[Table]:
    """All tables in the order of rendering."""
    selection_rows = selection_table.selection_table(selection)
    for title, group in tables.items():
        yield from group
        if selection_rows is not None and title.startswith(_SELECTION_GROUP):
            yield selection_rows
    if (overhead := overhead_table(overheads)) is not None:
        yield overhead


def _notes(ablations: Ablations, overheads: Overheads | None) -> list[str]:
    table = ablations.table
    lines = [f"{name}: {meaning}" for name, meaning in TERMS]
    lines += [] if table.comparable else [ablation_table.STAR_NOTE]
    lines += [notes.MEASURED, *notes.metric_notes(table)]
    lines.append("gain: the row minus the baseline of its dataset and backbone, paired by seed")
    if any(cell.difference is not None for cell in table.cells.values()):
        lines += [notes.DIFFERENCE, verdicts.REACHED_RULE]
    scope = "" if table.comparable else f"; {verdicts.HELPS_IN_THESE_RUNS}"
    lines += [verdicts.INTERVAL_RULE, verdicts.P_RULE, f"helps: {verdicts.HELPS_WHEN}{scope}"]
    lines.append(ablation_table.DIFFERS_RULE)
    lines += [SWEEP_NOTE, *row_notes(ablations)]
    if overheads is not None:
        lines.append(OVERHEAD_NOTE)
    return [*lines, *weights_note(table.runs)]


def row_notes(ablations: Ablations) -> list[str]:
    """Notes on single rows: from the registry, on seeds that are not paired, on gains without an interval."""
    titles_by_note: dict[str, dict[str, None]] = {}
    for row in ablations.rows:
        gains = [gain for gain in (row.gain, row.reference_gain) if gain is not None]
        texts = [row.row.note, *(gain.note for gain in gains)]
        texts += [f"no interval: {one_line(gain.no_interval)}" for gain in gains if gain.no_interval]
        for text in filter(None, texts):
            titles_by_note.setdefault(text, {})[row.title] = None
    # Joined by semicolons, because titles contain commas.
    return [f"{'; '.join(titles)}: {text}" for text, titles in titles_by_note.items()]


# --- CSV in long form: each row's number, then its gains; then GLCA's counted overhead ---

# compared_with: id of the cell that a gain is over; empty in the line of a number.
_FIRST = ("group", "row", "compared_with")


def render(ablations: Ablations, overheads: Overheads | None) -> str:
    """The CSV of the ablations. overheads: None where nothing was counted."""
    lines = [line for row in ablations.rows for line in _lines(ablations.table, row)]
    return csv_text([*lines, *_overhead_lines(overheads)], (*_FIRST, *COLUMNS))


def _lines(summary: TableSummary, row: RowSummary) -> Iterator[dict[str, Any]]:
    name = {"group": row.row.group, "row": row.title}
    # Several rows can have one cell: the published number belongs only to the row for which the paper gives it.
    hidden = {} if row.row.published is not None else {"published": None, "difference": None, "reached": ""}
    yield cell_line(summary, row.cell) | name | hidden
    for gain, reference in ((row.gain, baseline_id(row.row.cell)), (row.reference_gain, row.row.reference)):
        if gain is not None:
            keys = {"method": row.cell.cell.method, "metric": row.cell.metric, "compared_with": reference}
            yield gain_line(summary, gain) | name | hidden | keys


def _overhead_lines(overheads: Overheads | None) -> Iterator[dict[str, Any]]:
    for paper in OVERHEADS if overheads else ():
        cost = overheads.costs[paper.dataset, paper.backbone]
        for quantity, published, percent in (
            ("parameters", paper.parameters, cost.parameters_percent),
            ("multiply-adds", paper.multiply_adds, cost.multiply_adds_percent),
            ("multiply-adds of the rollout besides", None, cost.rollout_percent),
        ):
            yield {
                "group": "GLCA's overhead, in % of the baseline",
                "row": quantity,
                "table": ABLATIONS,
                "dataset": paper.dataset,
                "backbone": paper.backbone,
                "published": published,
                "measured_mean": percent,
            }
