"""Robustness plot: one column per corruption; accuracy of each method above, difference from the baseline below."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from reports import plot_style
from reports.robustness.record import Condition, Robustness, paired_difference
from reports.robustness.table import compared_methods, method_name, title, warning
from tables.formats import metric_word
from tables.statistics import LEVEL

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's colours for colour-blind readers; the baseline is grey and dashed.
_COLOURS = (plot_style.BLUE, plot_style.ORANGE, plot_style.GREEN, plot_style.PINK, "#E69F00", "#56B4E9")
_GREY = "#606060"
_COLUMN_WIDTH, _HEIGHT = 2.3, 4.8  # inches: of one column, of the figure
_DESCENDING = "jpeg"  # the corruption whose lower levels are harder


@plot_style.style(plot_style.IMAGE_STYLE)
def draw(results: Robustness) -> Figure:
    """Draw the plot. Levels go from unchanged pictures to the hardest, at equal distances on the x axis."""
    kinds = list(dict.fromkeys(condition.kind for condition in results.conditions if condition.kind))
    metric = next(iter(results.metrics))
    figure = plot_style.new_figure(
        figsize=(max(4.6, 0.9 + _COLUMN_WIDTH * len(kinds)), _HEIGHT), layout="constrained"
    )
    figure.suptitle(f"{title(results)}\n{warning(results)}".strip(), fontsize=9, parse_math=False)
    axes = figure.subplots(2, len(kinds), sharex="col", sharey="row", squeeze=False, height_ratios=(3, 2))
    for column, kind in enumerate(kinds):
        indices = _condition_indices(results.conditions, kind)
        _draw_values(axes[0, column], results, metric, indices)
        _draw_differences(axes[1, column], results, metric, indices)
        axes[0, column].set_title(kind, fontsize=9)
        axes[1, column].set_xlabel(_unit(results.conditions[indices[-1]]), fontsize=7)
        axes[1, column].set_xticks(
            range(len(indices)), ["as is", *(f"{results.conditions[index].level:g}" for index in indices[1:])]
        )
    axes[0, 0].set_ylabel(f"{metric_word(metric)}, %", fontsize=8)
    axes[1, 0].set_ylabel(f"minus baseline, points,\nand {LEVEL} % interval", fontsize=8)
    for panel in axes.flat:
        panel.grid(True, alpha=0.25, linewidth=0.5)
        panel.tick_params(labelsize=7)
        panel.spines[["top", "right"]].set_visible(False)
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), frameon=False, fontsize=8)
    return figure


def _condition_indices(conditions: Sequence[Condition], kind: str) -> list[int]:
    """Return the index of unchanged pictures, then those of the corruption's levels, the hardest last."""
    indices = [index for index, condition in enumerate(conditions) if condition.kind == kind]
    indices.sort(key=lambda index: conditions[index].level, reverse=kind == _DESCENDING)
    return [0, *indices]


def _unit(condition: Condition) -> str:
    """Break a unit into short lines."""
    return condition.unit.replace(", ", ",\n").replace(" under ", "\nunder ").replace(" of ", "\nof ", 1)


def _draw_values(axes: Axes, results: Robustness, metric: str, indices: Sequence[int]) -> None:
    """Draw the mean over seeds as a thick line, and several seeds as thin lines."""
    for method in results.methods:
        style = _style(results, method)
        seed_values = results.metrics[metric][list(results.model_indices(method).values())][:, indices]
        if len(seed_values) > 1:
            for values in seed_values:
                axes.plot(values, linewidth=0.6, alpha=0.5, **style)
        axes.plot(
            seed_values.mean(axis=0),
            marker="o",
            markersize=3,
            linewidth=1.6,
            label=method_name(method),
            **style,
        )


def _draw_differences(axes: Axes, results: Robustness, metric: str, indices: Sequence[int]) -> None:
    """Draw each method's difference from the baseline with its interval."""
    axes.axhline(0, color=_GREY, linewidth=0.8, linestyle=plot_style.DASHES)
    methods = compared_methods(results)
    for number, method in enumerate(methods):
        pairs = [paired_difference(results, method, metric, index) for index in indices]
        shift = 0.08 * (number - (len(methods) - 1) / 2)  # keeps the bars of methods apart
        limits = [
            [pair.difference - pair.interval.low for pair in pairs],
            [pair.interval.high - pair.difference for pair in pairs],
        ]
        axes.errorbar(
            [x + shift for x in range(len(indices))], [pair.difference for pair in pairs], limits,
            fmt="o", markersize=3, capsize=2, linewidth=1,
            color=_style(results, method)["color"],
        )  # fmt: skip


def _style(results: Robustness, method: str) -> dict[str, object]:
    if method == "baseline":
        return {"color": _GREY, "linestyle": plot_style.DASHES}
    others = [name for name in results.methods if name != "baseline"]
    return {"color": _COLOURS[others.index(method) % len(_COLOURS)], "linestyle": "-"}
