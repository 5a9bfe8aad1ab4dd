"""The page of one dataset and backbone: verdict, all numbers, curves, pictures, errors, cost, provenance."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from benchmark.config.backbones import BACKBONES
from benchmark.config.datasets import DATASETS
from benchmark.config.quantities import duration
from benchmark.records.run_folder import last_log_lines
from benchmark.records.status import RunView
from reports.page import commands_to_run, cost_tables, provenance, render, run_numbers
from reports.page.attention import Attention
from reports.page.comparisons import page_of, pair_sheet, pair_title
from reports.page.errors import Errors
from reports.page.example_pairs import Pictures
from reports.page.figures import Curves, Heatmaps
from reports.page.inputs import Asked, Material, Pair, table_of
from reports.page.site import MARK
from tables import notes, states, verdicts
from tables.cells import LEFT_OUT
from tables.formats import one_line
from tables.layout import Layout

LOG_LINES, LOG_WIDTH = 5, 300


@dataclass(frozen=True)
class Figures:
    """What the page shows besides numbers."""

    curves: Curves
    heatmaps: Heatmaps
    attention: Attention
    errors: Errors
    examples: Pictures


def cell(material: Material, pair: Pair, figures: Figures, written: str) -> str:
    """cells/<dataset>-<backbone>.html. written: when, in words."""
    runs = sorted(material.pairs[pair], key=lambda run: (run.cell.method, run.seed))
    layout = material.layouts[table_of(pair)]
    lacking = [run for run in runs if run.state != "done"]
    own_costs = material.costs.of(*pair)
    return render.page(
        "cell.html",
        mark=MARK,
        root="../",
        written=written,
        profile=material.asked.profile,
        title=pair_title(*pair),
        dataset=DATASETS[pair[0]].title,
        backbone=BACKBONES[pair[1]].title,
        table=table_of(pair),
        warning=_warning(layout, pair, material.asked),
        **_neighbours(pair, list(material.pairs)),
        comparison=pair_sheet(layout, *pair),
        rules=_rules(layout),
        numbers=run_numbers.sheet(runs, DATASETS[pair[0]].task),
        lacking=[
            *(_left_out(*found) for found in material.left_out(pair).items()),
            *(_lacking(run) for run in lacking),
        ],
        commands=_commands(material.asked, pair, lacking),
        curves=figures.curves,
        heatmaps=figures.heatmaps,
        attention=figures.attention,
        mistakes=figures.errors,
        examples=figures.examples,
        costs=cost_tables.run_rows(own_costs, key="costs", sortable=False, caption=_cost_caption(own_costs))
        if own_costs
        else None,
        protocol=provenance.card(runs),
        provenance=provenance.overview(runs),
        origins=[
            {"name": provenance.run_name(run), "facts": provenance.details(run)}
            for run in runs
            if run.result is not None
        ],
    )


def _warning(layout: Layout, pair: Pair, asked: Asked) -> str:
    """The table's warning as far as it is about this pair."""
    summary = layout.summary
    own = replace(
        summary,
        runs=tuple(run for run in summary.runs if (run.cell.dataset, run.cell.backbone) == pair),
        cells={key: cell for key, cell in summary.cells.items() if key[:2] == pair},
    )
    return notes.warning(own, shlex.split(asked.overrides))


def _neighbours(pair: Pair, pairs: Sequence[Pair]) -> dict[str, Mapping[str, str] | None]:
    at = pairs.index(pair)

    def link(place: int) -> Mapping[str, str] | None:
        if not 0 <= place < len(pairs):
            return None
        return {"href": page_of(*pairs[place]).removeprefix("cells/"), "title": pair_title(*pairs[place])}

    return {"before": link(at - 1), "after": link(at + 1)}


def _rules(layout: Layout) -> list[str]:
    own = "" if layout.summary.comparable else f"; {verdicts.HELPS_IN_THESE_RUNS}"
    rules = [verdicts.INTERVAL_RULE, verdicts.P_RULE, verdicts.HELPS_RULE + own]
    return [*rules, verdicts.REACHED_RULE] if layout.summary.comparable else rules


def _lacking(run: RunView) -> dict[str, object]:
    reason = one_line(run.reason, 600)
    word = states.word(run.state)
    lines = last_log_lines(run.folder, LOG_LINES) if run.state in ("failed", "damaged", "preempted") else []
    return {
        "name": provenance.run_name(run),
        "state": word,
        "reason": "" if reason == word else reason,
        "log": [one_line(line, LOG_WIDTH) for line in lines],
    }


def _left_out(method: str, reason: str) -> dict[str, object]:
    """A method that SET makes no sense for, in the form of ``_lacking``."""
    return {
        "name": provenance.METHODS[method],
        "state": states.word(LEFT_OUT),
        "reason": one_line(reason, 600),
        "log": [],
    }


def _commands(asked: Asked, pair: Pair, lacking: Sequence[RunView]) -> list[str]:
    """What runs the rest; none where all of it runs or waits already."""
    return commands_to_run.run(
        asked, pair, [run for run in lacking if run.state not in ("running", "queued", "unknown")]
    )


def _cost_caption(costs: Sequence[cost_tables.RunCost]) -> str:
    total = duration(sum(cost.train_seconds for cost in costs))
    return f"What the finished runs cost; {total} of training in all"
