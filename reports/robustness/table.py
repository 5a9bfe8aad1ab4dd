"""The robustness table: a row for each condition, models side by side, as Markdown and CSV (no torch)."""

from __future__ import annotations

import csv
import io

from benchmark.config.backbones import BACKBONES
from benchmark.config.datasets import DATASETS
from benchmark.config.resolve import is_comparable
from benchmark.config.variants import VARIANTS
from reports.robustness.record import Condition, Robustness, gap
from tables.exports.csv import escape_formula
from tables.exports.markdown import escape
from tables.formats import METHOD_NAMES, metric_word, one_line, percent, signed
from tables.records import seeds_text
from tables.side_tables import interval_text
from tables.statistics import LEVEL


def title(found: Robustness) -> str:
    """Dataset, backbone and profile."""
    row, backbone = DATASETS.get(found.dataset), BACKBONES[found.backbone]
    return f"{row.title if row else found.dataset} · {backbone.title} · profile {found.profile}"


def warning(found: Robustness) -> str:
    """Where the numbers say nothing about the paper's models; "" where they are of its recipe."""
    if is_comparable(found.profile):
        return ""
    return f"Profile {found.profile} is not the paper's recipe: these numbers say nothing about the paper's models."


def condition_text(condition: Condition) -> str:
    """``noise 0.1``, or ``as they are``."""
    return f"{condition.kind} {condition.level:g}" if condition.kind else "as they are"


def method_name(method: str) -> str:
    """As a heading."""
    return VARIANTS[method].title if method in VARIANTS else METHOD_NAMES[method]


def headings(found: Robustness) -> list[str]:
    names = ["Pictures"]
    for metric in found.metrics:
        shown = metric_word(metric)
        names += [f"{method_name(method)} {shown}" for method in found.methods]
        for method in compared(found):
            names += [f"{method_name(method)} − baseline", f"{LEVEL} % interval"]
    return names


def rows(found: Robustness) -> list[list[str]]:
    """One a condition, in the order they were asked for."""
    return [_row(found, place) for place in range(len(found.conditions))]


def _row(found: Robustness, place: int) -> list[str]:
    cells = [condition_text(found.conditions[place])]
    for metric, values in found.metrics.items():
        cells += [percent(values[list(found.of(method).values()), place].mean()) for method in found.methods]
        for method in compared(found):
            made = gap(found, method, metric, place)
            cells += [signed(made.difference), interval_text(made.interval)]
    return cells


def compared(found: Robustness) -> list[str]:
    """Methods that have a seed in common with the baseline."""
    return [
        method
        for method in found.methods
        if method != "baseline" and found.of("baseline").keys() & found.of(method).keys()
    ]


def notes(found: Robustness) -> list[str]:
    """What has to be known to read the numbers."""
    height, width = found.input
    units = {one.kind: one.unit for one in found.conditions if one.kind}
    lines = [
        f"Pictures: {one_line(found.pictures)}; made worse at the model's input size, {height}×{width} pixels."
    ]
    lines += [f"{kind}: {unit}." for kind, unit in units.items()]
    models = "; ".join(f"{method_name(method)} {seeds_text(found.of(method))}" for method in found.methods)
    means = ", means over seeds" if len(found.runs) > len(found.methods) else ""
    lines.append(f"Models: {models}{means}. Every model sees the same pictures.")
    if compared(found):
        lines.append(
            f"Differences in points, paired by seed and picture; {LEVEL} % intervals by a bootstrap over "
            f"{next(iter(found.outcomes.values())).shape[2]:,} pictures, not over seeds."
        )
    return lines


def markdown(found: Robustness) -> str:
    """The whole document."""
    from tabulate import tabulate

    table = tabulate(
        rows(found), headers=headings(found), tablefmt="pipe", disable_numparse=True,
        colalign=("left", *("right",) * (len(headings(found)) - 1)),
    )  # fmt: skip
    blocks = [f"**{escape(warning(found))}**"] if warning(found) else []
    blocks += [f"# Robustness: {escape(title(found))}", table]
    blocks.append("\n".join(f"- {escape(line)}" for line in notes(found)))
    return "\n\n".join(blocks) + "\n"


def csv_text(found: Robustness) -> str:
    """Long form, nothing rounded: a line for each model, condition and metric, then one for each difference."""
    stream = io.StringIO()
    writer = csv.writer(stream)
    writer.writerow(["kind", "level", "metric", "method", "seeds", "value", "interval_low", "interval_high"])

    def write_row(cells: list[object]) -> None:
        writer.writerow([escape_formula(cell) for cell in cells])

    for place, condition in enumerate(found.conditions):
        head = [condition.kind or "none", f"{condition.level:g}"]
        for metric, values in found.metrics.items():
            for (method, seed), value in zip(found.runs, values[:, place], strict=True):
                write_row([*head, metric, method, seed, repr(float(value)), "", ""])
            for method in compared(found):
                made = gap(found, method, metric, place)
                write_row(
                    [*head, metric, f"{method} - baseline", " ".join(map(str, made.seeds)),
                     repr(made.difference), repr(made.interval.low), repr(made.interval.high)]
                )  # fmt: skip
    return stream.getvalue()
