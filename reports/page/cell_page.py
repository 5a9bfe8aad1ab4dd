"""The page of one dataset and backbone: verdict, all numbers, curves, pictures, errors, cost, provenance."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from benchmark.config.backbones import BACKBONES
from benchmark.config.datasets import DATASETS
from benchmark.config.paper import REPORTED_METRICS
from benchmark.config.parse import duration
from benchmark.records.run_folder import last_lines
from benchmark.records.status import RunView
from reports.page import commands_to_run, html_table, provenance
from reports.page import costs as cost_tables
from reports.page.attention import Attention
from reports.page.comparisons import page_of, pair_sheet, pair_title
from reports.page.errors import Errors, Pictures
from reports.page.figures import Curves, Heatmaps
from reports.page.html_table import MARK, Column, Entry, Sheet, number, word
from reports.page.inputs import Asked, Material, Pair, table_of
from reports.page.provenance import METHODS, run_name
from tables import notes, records, states, verdicts
from tables.cells import LEFT_OUT, measure
from tables.formats import mean_and_std, metric_word, one_line, percent
from tables.layout import TableLayout

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
    return html_table.page(
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
        numbers=sheet(runs, DATASETS[pair[0]].task),
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


def _warning(layout: TableLayout, pair: Pair, asked: Asked) -> str:
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


def _rules(layout: TableLayout) -> list[str]:
    own = "" if layout.summary.comparable else f"; {verdicts.HELPS_IN_THESE_RUNS}"
    rules = [verdicts.INTERVAL_RULE, verdicts.P_RULE, verdicts.HELPS_RULE + own]
    return [*rules, verdicts.REACHED_RULE] if layout.summary.comparable else rules


def _lacking(run: RunView) -> dict[str, object]:
    reason = one_line(run.reason, 600)
    word = states.state_label(run.state)
    lines = last_lines(run.folder.log, LOG_LINES) if run.state in ("failed", "damaged", "preempted") else []
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
        "state": states.state_label(LEFT_OUT),
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


# --- Every number of a pair's runs: all seeds, all branches, and the best epoch, labelled for what it is ---

BOTH, SA, GLCA = "Result", "SA alone", "GLCA alone"
_RANKED = ("mAP", "R1", "R5", "R10")
# group → names of metrics in a record, with their headings
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


def sheet(runs: Sequence[RunView], task: str) -> Sheet:
    """One row a run of the pair; below, mean ± std over a method's finished seeds where there are several."""
    columns = [
        Column(heading, "number", group)
        for group, names in _METRICS[task].items()
        for heading in names.values()
    ]
    names = [name for group in _METRICS[task].values() for name in group]
    main = REPORTED_METRICS[task][0]
    columns += [Column("epoch", "number", BEST), Column(metric_word(main), "number", BEST)]
    rows = tuple(_row(run, names, main) for run in runs)
    totals = tuple(row for method in METHODS if (row := _mean(runs, method, names)))
    caption = "All seeds and branches, in %: the last epoch of each run"
    return Sheet("numbers", caption, (Column("Run"), Column("State"), *columns), rows, totals, sortable=False)


def _row(run: RunView, names: list[str], main: str) -> tuple[Entry, ...]:
    entries = [number(records.metric(run, name), _exact) for name in names]
    best = records.section(run, "best")
    epoch, value = best.get("epoch"), best.get(main)
    entries.append(number(epoch if isinstance(epoch, int) else None, lambda shown: f"{shown:.0f}", "aside"))
    entries.append(number(value if isinstance(value, (int, float)) else None, _exact, "aside"))
    return word(run_name(run)), word(states.state_label(run.state), "state"), *entries


def _exact(value: float) -> str:
    """Two decimals: single runs are compared with each other here, not with the paper."""
    return f"{value:.2f}"


def _mean(runs: Sequence[RunView], method: str, names: list[str]) -> tuple[Entry, ...]:
    own = [run for run in runs if run.cell.method == method and run.state == "done"]
    if len(own) < 2:
        return ()
    entries = []
    for name in names:
        values = {run.seed: value for run in own if (value := records.metric(run, name)) is not None}
        found = measure(values)
        text = "" if found.mean is None else mean_and_std(percent(found.mean), found.std)
        entries.append(Entry(text, found.mean))
    heading = word(f"{METHODS[method]}, mean ± std")
    return heading, word(f"n = {len(own)}", "state"), *entries, Entry(""), Entry("")
