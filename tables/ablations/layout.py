"""The ablations laid out: small tables by group, the selection finding where it belongs, overhead, notes."""

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
from tables.ablations.rows import Ablations, RowSummary, summarize
from tables.ablations.selection import Identity, identities
from tables.exports.csv import COLUMNS, cell_line, gain_line, written
from tables.formats import one_line
from tables.layout import Layout, part_of_table
from tables.notes import weights_note
from tables.side_tables import OVERHEAD_NOTE as OVERHEAD_NOTE
from tables.side_tables import SideTable, overhead_table

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
    "sweeps: R and M with GLCA alone, T with PWCA alone; the paper does not say what else was on in its own"
)
# After the last group that it is about.
_AFTER = "Sweep: local queries"


@dataclass(frozen=True)
class AblationLayout:
    """layout: what the exports render. found: the numbers behind it; selection: what the records say of the selection
    of local queries; tables: those of each group, by its title; overheads: None where nothing was counted.
    """

    layout: Layout
    found: Ablations
    selection: tuple[Identity, ...]
    tables: dict[str, list[SideTable]]
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
    """Lay out the ablations; arguments as for ``layout.build``. overheads: from ``records.glca_cost``."""
    overrides = tuple(overrides)
    found = summarize(profile, runs, overrides, refused)
    total = len({row.row.cell for row in found.rows})
    if cells is not None:
        found = found.only(cells)
    selection = identities(found.table.runs)
    tables = ablation_table.group_tables(found)
    layout = Layout(
        warning=notes.warning(found.table, overrides),
        title=TITLE,
        header=(*notes.header(found.table, overrides, folders), *part_of_table(found.table, total)),
        columns=(),
        rows=(),
        verdicts=None,
        branches=None,
        notes=tuple(_notes(found, overheads)),
        partial=tuple(states.partial(found.table)),
        states=tuple(states.listed(found.table)),
        conflicts=tuple(one_line(text) for text in conflicts),
        summary=found.table,
        more=tuple(_in_order(tables, selection, overheads)),
        findings=((selection_table.LIST_TITLE, tuple(selection_table.paragraphs(selection))),),
    )
    return AblationLayout(layout, found, selection, tables, overheads)


def _in_order(
    tables: dict[str, list[SideTable]], selection: tuple[Identity, ...], overheads: Overheads | None
) -> Iterable[SideTable]:
    beside = selection_table.selection_table(selection)
    for title, of_group in tables.items():
        yield from of_group
        if beside is not None and title.startswith(_AFTER):
            yield beside
    if (counted := overhead_table(overheads)) is not None:
        yield counted


def _notes(found: Ablations, overheads: Overheads | None) -> list[str]:
    table = found.table
    lines = [f"{name}: {meaning}" for name, meaning in TERMS]
    lines += [] if table.comparable else [ablation_table.STAR_NOTE]
    lines += [notes.MEASURED, *notes.of_metrics(table)]
    lines.append("gain: the row minus the baseline of its dataset and backbone, paired by seed")
    if any(cell.difference is not None for cell in table.cells.values()):
        lines += [notes.DIFFERENCE, verdicts.REACHED_RULE]
    apart = "" if table.comparable else f"; {verdicts.HELPS_IN_THESE_RUNS}"
    lines += [verdicts.INTERVAL_RULE, verdicts.P_RULE, f"helps: {verdicts.HELPS_WHEN}{apart}"]
    lines.append(ablation_table.DIFFERS_RULE)
    lines += [SWEEP_NOTE, *remarks(found)]
    if overheads is not None:
        lines.append(OVERHEAD_NOTE)
    return [*lines, *weights_note(table.runs)]


def remarks(found: Ablations) -> list[str]:
    """What has to be known of single rows: the registry's notes, what pairing left out, why an interval is lacking."""
    by_text: dict[str, dict[str, None]] = {}
    for row in found.rows:
        gains = [gain for gain in (row.gain, row.against) if gain is not None]
        texts = [row.row.note, *(gain.note for gain in gains)]
        texts += [f"no interval: {one_line(gain.no_interval)}" for gain in gains if gain.no_interval]
        for text in filter(None, texts):
            by_text.setdefault(text, {})[row.title] = None
    # Titles have commas of their own.
    return [f"{'; '.join(titles)}: {text}" for text, titles in by_text.items()]


# --- The ablations as CSV in long form: of each row its number, then its gains; then GLCA's counted overhead ---

# compared_with: id of the cell that a gain is over; empty in a line of a number.
_FIRST = ("group", "row", "compared_with")


def render(found: Ablations, overheads: Overheads | None) -> str:
    lines = [line for row in found.rows for line in _lines(found, row)]
    return written([*lines, *_overheads(overheads)], (*_FIRST, *COLUMNS))


def _lines(found: Ablations, row: RowSummary) -> Iterator[dict[str, Any]]:
    name = {"group": row.row.group, "row": row.title}
    # A cell's published number stands in the row alone that the paper gives it for.
    told = row.row.published is not None
    hidden = {} if told else {"published": None, "difference": None, "reached": ""}
    yield cell_line(found.table, row.cell) | name | hidden
    baseline = row.row.cell.rpartition("/")[0] + "/baseline"
    for gain, over in ((row.gain, baseline), (row.against, row.row.reference)):
        if gain is not None:
            of = {"method": row.cell.cell.method, "metric": row.cell.metric, "compared_with": over}
            yield gain_line(found.table, gain) | name | hidden | of


def _overheads(found: Overheads | None) -> Iterator[dict[str, Any]]:
    for told in OVERHEADS if found else ():
        cost = found.costs[told.dataset, told.backbone]
        for what, published, counted in (
            ("parameters", told.parameters, cost.parameters_percent),
            ("multiply-adds", told.multiply_adds, cost.multiply_adds_percent),
            ("multiply-adds of the rollout besides", None, cost.rollout_percent),
        ):
            yield {
                "group": "GLCA's overhead, in % of the baseline",
                "row": what,
                "table": ABLATIONS,
                "dataset": told.dataset,
                "backbone": told.backbone,
                "published": published,
                "measured_mean": counted,
            }
