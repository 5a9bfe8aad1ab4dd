"""The robustness plot: a column for each kind; above how well each method does, below how far from the baseline."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from reports import plot_style
from reports.robustness.record import Condition, Robustness, gap
from reports.robustness.table import compared, method_name, title, warning
from tables.formats import metric_word
from tables.statistics import LEVEL

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's colours, which colour-blind people tell apart; the baseline is grey and dashed.
_COLOURS = (plot_style.BLUE, plot_style.ORANGE, plot_style.GREEN, plot_style.PINK, "#E69F00", "#56B4E9")
_GREY = "#606060"
_WIDE, _TALL = 2.3, 4.8  # inches of a column, of the figure
_HARDER_BELOW = "jpeg"  # the kind whose lower levels are the harder ones


@plot_style.style(plot_style.PICTURES)
def figure(found: Robustness) -> Figure:
    """Levels go from left to right, from pictures as they are to the hardest; their distances mean nothing."""
    kinds = list(dict.fromkeys(one.kind for one in found.conditions if one.kind))
    metric = next(iter(found.metrics))
    made = plot_style.new_figure(figsize=(max(4.6, 0.9 + _WIDE * len(kinds)), _TALL), layout="constrained")
    made.suptitle(f"{title(found)}\n{warning(found)}".strip(), fontsize=9, parse_math=False)
    axes = made.subplots(2, len(kinds), sharex="col", sharey="row", squeeze=False, height_ratios=(3, 2))
    for column, kind in enumerate(kinds):
        places = _places(found.conditions, kind)
        _values(axes[0, column], found, metric, places)
        _gaps(axes[1, column], found, metric, places)
        axes[0, column].set_title(kind, fontsize=9)
        axes[1, column].set_xlabel(_unit(found.conditions[places[-1]]), fontsize=7)
        axes[1, column].set_xticks(
            range(len(places)), ["as is", *(f"{found.conditions[place].level:g}" for place in places[1:])]
        )
    axes[0, 0].set_ylabel(f"{metric_word(metric)}, %", fontsize=8)
    axes[1, 0].set_ylabel(f"minus baseline, points,\nand {LEVEL} % interval", fontsize=8)
    for one in axes.flat:
        one.grid(True, alpha=0.25, linewidth=0.5)
        one.tick_params(labelsize=7)
        one.spines[["top", "right"]].set_visible(False)
    handles, labels = axes[0, 0].get_legend_handles_labels()
    made.legend(handles, labels, loc="outside lower center", ncols=len(labels), frameon=False, fontsize=8)
    return made


def _places(conditions: Sequence[Condition], kind: str) -> list[int]:
    """Pictures as they are, then the kind's levels, the hardest last."""
    found = [place for place, one in enumerate(conditions) if one.kind == kind]
    found.sort(key=lambda place: conditions[place].level, reverse=kind == _HARDER_BELOW)
    return [0, *found]


def _unit(condition: Condition) -> str:
    return condition.unit.replace(", ", ",\n").replace(" under ", "\nunder ").replace(" of ", "\nof ", 1)


def _values(axes: Axes, found: Robustness, metric: str, places: Sequence[int]) -> None:
    """A thick line is the mean over seeds, thin ones the seeds where there are several."""
    for method in found.methods:
        style = _style(found, method)
        of_seeds = found.metrics[metric][list(found.of(method).values())][:, places]
        if len(of_seeds) > 1:
            for values in of_seeds:
                axes.plot(values, linewidth=0.6, alpha=0.5, **style)
        axes.plot(
            of_seeds.mean(axis=0), marker="o", markersize=3, linewidth=1.6, label=method_name(method), **style
        )


def _gaps(axes: Axes, found: Robustness, metric: str, places: Sequence[int]) -> None:
    axes.axhline(0, color=_GREY, linewidth=0.8, linestyle=plot_style.DASHES)
    others = compared(found)
    for number, method in enumerate(others):
        made = [gap(found, method, metric, place) for place in places]
        shift = 0.08 * (number - (len(others) - 1) / 2)  # or their bars would lie upon each other
        at = [place + shift for place in range(len(places))]
        limits = [
            [one.difference - one.interval.low for one in made],
            [one.interval.high - one.difference for one in made],
        ]
        axes.errorbar(
            at, [one.difference for one in made], limits, fmt="o", markersize=3, capsize=2, linewidth=1,
            color=_style(found, method)["color"],
        )  # fmt: skip


def _style(found: Robustness, method: str) -> dict[str, object]:
    if method == "baseline":
        return {"color": _GREY, "linestyle": plot_style.DASHES}
    others = [name for name in found.methods if name != "baseline"]
    return {"color": _COLOURS[others.index(method) % len(_COLOURS)], "linestyle": "-"}
