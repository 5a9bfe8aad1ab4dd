"""Every number of a pair's runs: all seeds, all branches, and the best epoch, labelled for what it is."""

from __future__ import annotations

from collections.abc import Sequence

from benchmark.config.paper import REPORTED_METRICS
from benchmark.records.status import RunView
from reports.page.html_table import Column, Entry, Sheet, number, word
from reports.page.provenance import METHODS, run_name
from tables import records, states
from tables.cells import measure
from tables.formats import metric_word, percent, with_spread

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
    return word(run_name(run)), word(states.word(run.state), "state"), *entries


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
        text = "" if found.mean is None else with_spread(percent(found.mean), found.std)
        entries.append(Entry(text, found.mean))
    heading = word(f"{METHODS[method]}, mean ± std")
    return heading, word(f"n = {len(own)}", "state"), *entries, Entry(""), Entry("")
