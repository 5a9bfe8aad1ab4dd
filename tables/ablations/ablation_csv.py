"""The ablations as CSV in long form: of each row its number, then its gains; then GLCA's counted overhead."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from benchmark.config.grid import ABLATIONS
from benchmark.config.paper_ablations import OVERHEADS
from benchmark.records.glca_cost import Overheads
from tables.ablations.rows import Ablations, RowSummary
from tables.exports.csv import COLUMNS, cell_line, gain_line, written

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
