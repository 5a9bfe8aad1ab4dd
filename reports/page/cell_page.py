"""Page of one dataset and backbone: verdict, numbers, curves, heatmaps, errors, cost, provenance."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from benchmark.config.backbones import BACKBONES
from benchmark.config.datasets import DATASETS
from benchmark.config.grid import METHODS
from benchmark.config.paper import REPORTED_METRICS
from benchmark.config.parse import duration
from benchmark.records.run_folder import last_lines
from benchmark.records.status import RunView
from reports.page import commands_to_run, html_table
from reports.page.attention import AttentionSection
from reports.page.comparisons import pair_page, pair_table, pair_title
from reports.page.costs import RunCost, run_costs_table
from reports.page.errors import ErrorsSection, ExamplesSection
from reports.page.figures import CurvesSection, HeatmapsSection
from reports.page.html_table import HtmlCell, HtmlColumn, HtmlTable, number_cell, text_cell
from reports.page.inputs import Pair, ReportInputs, ReportRequest, table_key
from reports.page.provenance import (
    METHOD_LABELS,
    protocol_card,
    provenance_details,
    provenance_table,
    run_name,
)
from tables import notes, records, states, verdicts
from tables.cells import LEFT_OUT, measure
from tables.formats import mean_and_std, metric_word, one_line, percent
from tables.layout import TableLayout

LOG_LINES, LOG_WIDTH = 5, 300


@dataclass(frozen=True)
class PairSections:
    """Sections of a page that need more than the numbers of the runs."""

    curves: CurvesSection
    heatmaps: HeatmapsSection
    attention: AttentionSection
    errors: ErrorsSection
    examples: ExamplesSection


def render_pair_page(inputs: ReportInputs, pair: Pair, sections: PairSections, written: str) -> str:
    """Render cells/<dataset>-<backbone>.html. written: date and time as text."""
    runs = sorted(inputs.pairs[pair], key=lambda run: (run.cell.method, run.seed))
    layout = inputs.layouts[table_key(pair)]
    missing = [run for run in runs if run.state != "done"]
    costs = inputs.costs.pair_costs(*pair)
    return html_table.render_page(
        "cell.html",
        root="../",
        written=written,
        profile=inputs.request.profile,
        title=pair_title(*pair),
        dataset=DATASETS[pair[0]].title,
        backbone=BACKBONES[pair[1]].title,
        table=table_key(pair),
        warning=_warning(layout, pair, inputs.request),
        **_neighbours(pair, list(inputs.pairs)),
        comparison=pair_table(layout, *pair),
        rules=_rules(layout),
        numbers=numbers_table(runs, DATASETS[pair[0]].task),
        missing=[
            *(_left_out(method, reason) for method, reason in inputs.left_out(pair).items()),
            *(_missing_run(run) for run in missing),
        ],
        commands=missing_commands(inputs.request, pair, missing),
        curves=sections.curves,
        heatmaps=sections.heatmaps,
        attention=sections.attention,
        errors=sections.errors,
        examples=sections.examples,
        costs=run_costs_table(costs, key="costs", sortable=False, caption=_cost_caption(costs))
        if costs
        else None,
        protocol=protocol_card(runs),
        provenance=provenance_table(runs),
        run_facts=[
            {"name": run_name(run), "facts": provenance_details(run)}
            for run in runs
            if run.result is not None
        ],
    )


def _warning(layout: TableLayout, pair: Pair, request: ReportRequest) -> str:
    """Return the table's warning for the runs of this pair."""
    summary = layout.summary
    pair_summary = replace(
        summary,
        runs=tuple(run for run in summary.runs if (run.cell.dataset, run.cell.backbone) == pair),
        cells={key: cell for key, cell in summary.cells.items() if key[:2] == pair},
    )
    return notes.warning(pair_summary, shlex.split(request.overrides))


def _neighbours(pair: Pair, pairs: Sequence[Pair]) -> dict[str, Mapping[str, str] | None]:
    """Return links to the previous and the next page."""

    def link(index: int) -> Mapping[str, str] | None:
        if not 0 <= index < len(pairs):
            return None
        return {"href": pair_page(*pairs[index]).removeprefix("cells/"), "title": pair_title(*pairs[index])}

    index = pairs.index(pair)
    return {"previous": link(index - 1), "next": link(index + 1)}


def _rules(layout: TableLayout) -> list[str]:
    scope = "" if layout.summary.comparable else f"; {verdicts.HELPS_IN_THESE_RUNS}"
    rules = [verdicts.INTERVAL_RULE, verdicts.P_RULE, verdicts.HELPS_RULE + scope]
    return [*rules, verdicts.REACHED_RULE] if layout.summary.comparable else rules


def _missing_run(run: RunView) -> dict[str, str | list[str]]:
    """Describe a run that is not done: name, state, reason, end of its log."""
    reason = one_line(run.reason, 600)
    word = states.state_label(run.state)
    lines = last_lines(run.folder.log, LOG_LINES) if run.state in ("failed", "damaged", "preempted") else []
    return {
        "name": run_name(run),
        "state": word,
        "reason": "" if reason == word else reason,
        "log": [one_line(line, LOG_WIDTH) for line in lines],
    }


def _left_out(method: str, reason: str) -> dict[str, str | list[str]]:
    """Describe a method to which SET does not apply, in the form of ``_missing_run``."""
    return {
        "name": METHOD_LABELS[method],
        "state": states.state_label(LEFT_OUT),
        "reason": one_line(reason, 600),
        "log": [],
    }


def missing_commands(request: ReportRequest, pair: Pair, missing: Sequence[RunView]) -> list[str]:
    """Return the commands for missing runs that are neither running nor queued."""
    return commands_to_run.run_commands(
        request, pair, [run for run in missing if run.state not in ("running", "queued", "unknown")]
    )


def _cost_caption(costs: Sequence[RunCost]) -> str:
    total = duration(sum(cost.train_seconds for cost in costs))
    return f"Costs of the finished runs; {total} of training in total"


# --- All numbers of a pair's runs: every seed and branch, and the best epoch, which is not the result ---

BOTH, SA, GLCA = "Result", "SA alone", "GLCA alone"
_RANKED = ("mAP", "R1", "R5", "R10")
# task → group of columns → name of the metric in a record → heading
_METRICS = {
    "fgvc": {
        BOTH: {"top1": "top-1", "top5": "top-5"},
        SA: {"sa_top1": "top-1"},
        GLCA: {"glca_top1": "top-1"},
    },
    "reid": {
        BOTH: {name: name for name in _RANKED},
        SA: {f"sa_{name}": name for name in _RANKED},
        GLCA: {f"glca_{name}": name for name in _RANKED},
    },
}
BEST = "Best epoch — not the result"


def numbers_table(runs: Sequence[RunView], task: str) -> HtmlTable:
    """Show one row per run; below, mean ± std of each method with several finished seeds."""
    columns = [
        HtmlColumn(heading, "number", group)
        for group, names in _METRICS[task].items()
        for heading in names.values()
    ]
    names = [name for group in _METRICS[task].values() for name in group]
    best_metric = REPORTED_METRICS[task][0]
    columns += [HtmlColumn("epoch", "number", BEST), HtmlColumn(metric_word(best_metric), "number", BEST)]
    rows = tuple(_row(run, names, best_metric) for run in runs)
    totals = tuple(row for method in METHODS if (row := _mean_row(runs, method, names)))
    caption = "All seeds and branches, in %: the last epoch of each run"
    return HtmlTable(
        "numbers", caption, (HtmlColumn("Run"), HtmlColumn("State"), *columns), rows, totals, sortable=False
    )


def _row(run: RunView, names: list[str], best_metric: str) -> tuple[HtmlCell, ...]:
    cells = [number_cell(records.metric(run, name), _two_decimals) for name in names]
    best = records.section(run, "best")
    epoch, value = best.get("epoch"), best.get(best_metric)
    cells.append(
        number_cell(epoch if isinstance(epoch, int) else None, lambda value: f"{value:.0f}", "aside")
    )
    cells.append(number_cell(value if isinstance(value, (int, float)) else None, _two_decimals, "aside"))
    return text_cell(run_name(run)), text_cell(states.state_label(run.state), "state"), *cells


def _two_decimals(value: float) -> str:
    """Format with two decimals, because single runs are compared with each other here, not with the paper."""
    return f"{value:.2f}"


def _mean_row(runs: Sequence[RunView], method: str, names: list[str]) -> tuple[HtmlCell, ...]:
    done = [run for run in runs if run.cell.method == method and run.state == "done"]
    if len(done) < 2:
        return ()
    cells = []
    for name in names:
        values = {run.seed: value for run in done if (value := records.metric(run, name)) is not None}
        measured = measure(values)
        text = "" if measured.mean is None else mean_and_std(percent(measured.mean), measured.std)
        cells.append(HtmlCell(text, measured.mean))
    heading = text_cell(f"{METHOD_LABELS[method]}, mean ± std")
    return heading, text_cell(f"n = {len(done)}", "state"), *cells, HtmlCell(""), HtmlCell("")
