"""Training curves of a dataset and backbone: losses, uncertainty weights, learning rate, accuracy by epoch.

Each branch of DCAL has a colour. The baseline is grey and dashed; its only branch is its prediction. Single seeds are
thin lines, their mean is a thick line.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmark.config.paper import REPORTED_METRICS
from benchmark.records.status import RunView
from reports import plot_style
from reports.curves.history import Curve, History, read_history
from tables.formats import METHOD_NAMES, metric_word
from tables.records import seeds_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_COLOURS = {
    "sa": plot_style.BLUE,
    "glca": plot_style.ORANGE,
    "pwca": plot_style.GREEN,
    "both": plot_style.PINK,
    "": plot_style.GREY,
}
_NAMES = {"sa": "DCAL: SA", "glca": "GLCA", "pwca": "PWCA", "both": "prediction"}
# Narrower lines are drawn later, so that equal branches stay visible.
_WIDTHS = {"both": 2.8, "sa": 2.2, "pwca": 1.7, "": 1.7, "glca": 1.1}
_THIN = 0.7
LineStyle = str | tuple[int, tuple[float, ...]]  # as matplotlib takes it
_STYLES: Mapping[str, LineStyle] = {"dcal": "-", "baseline": plot_style.DASHES}
_FEW = 12  # curves of at most so many points have markers

MethodCurves = tuple[str, Mapping[str, Curve]]  # method, and its curves by branch


@dataclass(frozen=True)
class CurveFigure:
    """Rendered training curves.

    svg: an SVG document with a transparent background, to be shown as an image; None where no run has a history.
    pdf: the same as PDF, if requested.
    runs_text: the runs shown, e.g. ``baseline seeds 0, 1; DCAL seed 0``.
    notes: what is missing or was left out.

    runs_text and notes are plain text and may contain names from files: escape them like any other text.
    """

    svg: bytes | None
    pdf: bytes | None
    runs_text: str
    notes: tuple[str, ...]


def draw_curves(runs: Iterable[RunView], *, pdf: bool = False) -> CurveFigure:
    """Draw the curves of runs of one dataset and backbone: all seeds, both methods.

    Runs in any state are included with what their history.jsonl holds. The same histories give the same bytes.
    """
    runs = tuple(runs)
    histories = [read_history(run) for run in runs]
    notes = tuple(note for history in histories for note in history.notes)
    histories = [history for history in histories if not history.empty]
    if not histories:
        return CurveFigure(None, None, "", notes)
    with plot_style.style(plot_style.LINE_STYLE):
        figure = _figure(histories, REPORTED_METRICS[runs[0].cell.task][0])
        svg = plot_style.render(figure, "svg", plot_style.LINE_STYLE)
        document = plot_style.render(figure, "pdf", plot_style.LINE_STYLE) if pdf else None
    return CurveFigure(svg, document, _runs_text(histories), notes)


def mean_curve(curves: Sequence[Curve]) -> Curve:
    """Average curves over seeds, at the epochs that all of them have."""
    common = set(curves[0]).intersection(*curves[1:])
    return {epoch: sum(curve[epoch] for curve in curves) / len(curves) for epoch in sorted(common)}


def _figure(histories: Sequence[History], metric: str) -> Figure:
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    figure = plot_style.new_figure(figsize=(8.0, 5.6), layout="constrained")
    figure.patch.set_alpha(0)
    (loss, accuracy), (weights, rate) = figure.subplots(2, 2, sharex=True)
    rates: list[MethodCurves] = [(history.method, {"": history.lr}) for history in histories if history.lr]
    if rates and all(curves == rates[0][1] for _, curves in rates):
        rates = [("dcal", rates[0][1])]  # the same schedule for all runs: one solid line
    panels: list[tuple[Axes, str, list[MethodCurves]]] = [
        (loss, "training loss by branch", [(history.method, history.loss) for history in histories]),
        (
            accuracy,
            f"{metric_word(metric)} on the test set, %",
            [(history.method, history.metric) for history in histories],
        ),
        (weights, "uncertainty weights w", [(history.method, history.w) for history in histories]),
        (rate, "learning rate", rates),
    ]
    for axes, title, method_curves in panels:
        _panel(axes, title, method_curves)
    loss.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    rate.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.3g}"))
    _legend(figure, histories)
    return figure


def _panel(axes: Axes, title: str, method_curves: Sequence[MethodCurves]) -> None:
    axes.set_title(title, loc="left")
    axes.set_facecolor("none")
    axes.set_xlabel("epoch")
    axes.tick_params(labelbottom=True)
    axes.grid(True)
    for method in ("dcal", "baseline"):  # the baseline's dashes are drawn on top of equal curves
        branches: dict[str, list[Curve]] = {}
        for name, curves in method_curves:
            if name == method:
                for branch, curve in curves.items():
                    branches.setdefault(branch, []).append(curve)
        for branch in (branch for branch in _WIDTHS if branch in branches):
            colour, width = (
                (_COLOURS[branch], _WIDTHS[branch]) if method == "dcal" else (plot_style.GREY, _WIDTHS[""])
            )
            _draw(axes, branches[branch], colour, _STYLES[method], width)
    if not axes.lines:
        axes.text(0.5, 0.5, "not recorded", ha="center", va="center", transform=axes.transAxes)


def _draw(axes: Axes, curves: Sequence[Curve], colour: str, style: LineStyle, width: float) -> None:
    """Draw the mean over seeds, and single seeds where they differ."""
    different = [curve for index, curve in enumerate(curves) if curve not in curves[:index]]
    if len(different) > 1:
        for curve in different:
            _line(axes, curve, colour, style, _THIN)
    if mean := mean_curve(curves):
        _line(axes, mean, colour, style, width)


def _line(axes: Axes, curve: Curve, colour: str, style: LineStyle, width: float) -> None:
    """Draw one curve; gaps between epochs are bridged, because most runs are evaluated every few epochs only."""
    thin = width == _THIN
    axes.plot(
        list(curve), list(curve.values()), color=colour, linestyle=style, linewidth=width,
        alpha=0.55 if thin else 1.0, marker="o" if len(curve) <= _FEW else "", markersize=1.5 if thin else 3.5,
    )  # fmt: skip


def _legend(figure: Figure, histories: Sequence[History]) -> None:
    from matplotlib.lines import Line2D

    methods = {history.method for history in histories}
    handles, labels = [], []
    for branch, name in _NAMES.items():
        if any(
            branch in (*history.loss, *history.metric) for history in histories if history.method == "dcal"
        ):
            handles.append(Line2D([], [], color=_COLOURS[branch], linewidth=_WIDTHS[branch]))
            labels.append(name)
    if "baseline" in methods:
        handles.append(
            Line2D([], [], color=plot_style.GREY, linestyle=_STYLES["baseline"], linewidth=_WIDTHS[""])
        )
        labels.append("baseline")
    if len(histories) > len(methods):
        handles.append(Line2D([], [], color=plot_style.GREY, linewidth=_THIN, alpha=0.55))
        labels.append("single seeds")
    figure.legend(
        handles,
        labels,
        loc="outside lower center",
        ncols=len(labels),
        frameon=False,
        handlelength=2.4,
        columnspacing=1.6,
    )


def _runs_text(histories: Sequence[History]) -> str:
    seeds = {
        name: [history.seed for history in histories if history.method == method]
        for method, name in METHOD_NAMES.items()
    }
    return "; ".join(f"{name} {seeds_text(numbers)}" for name, numbers in seeds.items() if numbers)
