"""Robustness table as Markdown and CSV: one row per condition, models side by side."""

from __future__ import annotations

import csv
import io

from benchmark.config.backbones import BACKBONES
from benchmark.config.datasets import DATASETS
from benchmark.config.resolve import is_comparable
from benchmark.config.variants import VARIANTS
from reports.robustness.record import Condition, Robustness, paired_difference
from tables.exports.csv import escape_formula
from tables.exports.markdown import escape
from tables.formats import METHOD_NAMES, metric_word, one_line, percent, signed
from tables.records import seeds_text
from tables.side_tables import interval_text
from tables.statistics import LEVEL


def title(results: Robustness) -> str:
    """Return dataset, backbone and profile as a heading."""
    row, backbone = DATASETS.get(results.dataset), BACKBONES[results.backbone]
    return f"{row.title if row else results.dataset} · {backbone.title} · profile {results.profile}"


def warning(results: Robustness) -> str:
    """Return a warning if the runs do not follow the paper's recipe, else ""."""
    if is_comparable(results.profile):
        return ""
    return f"Profile {results.profile} is not the paper's recipe: these numbers say nothing about the paper's models."


def condition_text(condition: Condition) -> str:
    """Format a condition: ``noise 0.1``, or ``as they are``."""
    return f"{condition.kind} {condition.level:g}" if condition.kind else "as they are"


def method_name(method: str) -> str:
    """Return a method's name as a heading."""
    return VARIANTS[method].title if method in VARIANTS else METHOD_NAMES[method]


def headings(results: Robustness) -> list[str]:
    """Return the column headings: methods, differences and intervals by metric."""
    names = ["Pictures"]
    for metric in results.metrics:
        word = metric_word(metric)
        names += [f"{method_name(method)} {word}" for method in results.methods]
        for method in compared_methods(results):
            names += [f"{method_name(method)} − baseline", f"{LEVEL} % interval"]
    return names


def rows(results: Robustness) -> list[list[str]]:
    """Return one row per condition, in the order of the command."""
    return [_row(results, index) for index in range(len(results.conditions))]


def _row(results: Robustness, index: int) -> list[str]:
    cells = [condition_text(results.conditions[index])]
    for metric, values in results.metrics.items():
        cells += [
            percent(values[list(results.model_indices(method).values()), index].mean())
            for method in results.methods
        ]
        for method in compared_methods(results):
            paired = paired_difference(results, method, metric, index)
            cells += [signed(paired.difference), interval_text(paired.interval)]
    return cells


def compared_methods(results: Robustness) -> list[str]:
    """Return the methods that have a seed in common with the baseline."""
    return [
        method
        for method in results.methods
        if method != "baseline"
        and results.model_indices("baseline").keys() & results.model_indices(method).keys()
    ]


def notes(results: Robustness) -> list[str]:
    """Return the notes below the table: pictures, units, models, how differences are computed."""
    height, width = results.input
    units = {condition.kind: condition.unit for condition in results.conditions if condition.kind}
    lines = [
        f"Pictures: {one_line(results.pictures)}; made worse at the model's input size, {height}×{width} pixels."
    ]
    lines += [f"{kind}: {unit}." for kind, unit in units.items()]
    models = "; ".join(
        f"{method_name(method)} {seeds_text(results.model_indices(method))}" for method in results.methods
    )
    means = ", means over seeds" if len(results.runs) > len(results.methods) else ""
    lines.append(f"Models: {models}{means}. Every model sees the same pictures.")
    if compared_methods(results):
        lines.append(
            f"Differences in points, paired by seed and picture; {LEVEL} % intervals by a bootstrap over "
            f"{next(iter(results.outcomes.values())).shape[2]:,} pictures, not over seeds."
        )
    return lines


def markdown(results: Robustness) -> str:
    """Return the Markdown document: warning, title, table, notes."""
    from tabulate import tabulate

    table = tabulate(
        rows(results), headers=headings(results), tablefmt="pipe", disable_numparse=True,
        colalign=("left", *("right",) * (len(headings(results)) - 1)),
    )  # fmt: skip
    blocks = [f"**{escape(warning(results))}**"] if warning(results) else []
    blocks += [f"# Robustness: {escape(title(results))}", table]
    blocks.append("\n".join(f"- {escape(line)}" for line in notes(results)))
    return "\n\n".join(blocks) + "\n"


def csv_text(results: Robustness) -> str:
    """Return CSV in long form, not rounded: a line per model, condition and metric, then one per difference."""
    stream = io.StringIO()
    writer = csv.writer(stream)
    writer.writerow(["kind", "level", "metric", "method", "seeds", "value", "interval_low", "interval_high"])

    def write_row(cells: list[str | int]) -> None:
        writer.writerow([escape_formula(cell) for cell in cells])

    for index, condition in enumerate(results.conditions):
        head = [condition.kind or "none", f"{condition.level:g}"]
        for metric, values in results.metrics.items():
            for (method, seed), value in zip(results.runs, values[:, index], strict=True):
                write_row([*head, metric, method, seed, repr(float(value)), "", ""])
            for method in compared_methods(results):
                paired = paired_difference(results, method, metric, index)
                write_row(
                    [*head, metric, f"{method} - baseline", " ".join(map(str, paired.seeds)),
                     repr(paired.difference), repr(paired.interval.low), repr(paired.interval.high)]
                )  # fmt: skip
    return stream.getvalue()
