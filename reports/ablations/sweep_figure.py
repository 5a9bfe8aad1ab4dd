"""Figure of accuracy against R, M or T: points with intervals, the baseline as a line with its interval.

The paper's numbers are drawn only if the runs are comparable with them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from reports import plot_style
from tables.ablations.tables import Curve, Point
from tables.formats import metric_word
from tables.statistics import LEVEL

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SIZE = (5.2, 3.8)  # inches
PAGE_SIZE = (499, 365)  # pixels on a page
KINDS = ("svg", "pdf", "png")
_DPI = 200  # resolution of the PNG
_DOTS = (0, (1, 1.5))


def draw(curve: Curve, limits: tuple[float, float], warning: str) -> dict[str, bytes]:
    """Draw a sweep; return the files by kind.

    limits: range of the y axis, in percent.
    warning: text above the figure; "" for none.
    """
    with plot_style.style(plot_style.LINE_STYLE):
        figure = _figure(curve, limits, warning)
        # SVG is transparent for light and dark pages; PNG has a white background for use anywhere.
        files = {kind: plot_style.render(figure, kind, plot_style.LINE_STYLE) for kind in ("svg", "pdf")}
        files["png"] = plot_style.render(figure, "png", plot_style.LINE_STYLE, dpi=_DPI, facecolor="white")
    return files


def common_limits(curves: Iterable[Curve]) -> tuple[float, float]:
    """Compute one range of the y axis for all curves, so that figures can be compared by eye."""
    points = [point for curve in curves for point in (*curve.points, curve.baseline) if point is not None]
    values = [value for point in points for value in _point_values(point)]
    low, high = min(values), max(values)
    margin = max(0.05 * (high - low), 0.5)
    return max(0.0, low - margin), min(100.0, high + margin)


def _point_values(point: Point) -> list[float]:
    """List all values that are drawn for a point."""
    values = [point.mean, *point.seed_values.values()]
    values += [point.interval.low, point.interval.high] if point.interval else []
    return values if point.published is None else [*values, point.published]


def _figure(curve: Curve, limits: tuple[float, float], warning: str) -> Figure:
    figure = plot_style.new_figure(figsize=SIZE, layout="constrained")
    figure.patch.set_alpha(0)
    if warning:
        figure.suptitle(warning, fontsize=8, fontweight="bold")
    axes = figure.subplots()
    axes.set_facecolor("none")
    axes.grid(True)
    axes.set_xlabel(curve.sweep.label)
    axes.set_ylabel(f"{metric_word(curve.sweep.metric)}, %")
    axes.set_ylim(*limits)
    axes.set_xticks([point.x for point in curve.points], [f"{point.x:g}" for point in curve.points])
    if curve.baseline is not None:
        _draw_baseline(axes, curve.baseline)
    _draw_points(axes, curve.points)
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, frameon=False, fontsize=8)
    return figure


def _draw_baseline(axes: Axes, baseline: Point) -> None:
    axes.axhline(
        baseline.mean, color=plot_style.GREY, linestyle=plot_style.DASHES, linewidth=1.4, label="baseline"
    )
    if baseline.interval is not None:
        axes.axhspan(
            baseline.interval.low, baseline.interval.high, color=plot_style.GREY, alpha=0.15, linewidth=0,
            label=f"its {LEVEL} % interval",
        )  # fmt: skip
    if baseline.published is not None:
        axes.axhline(
            baseline.published,
            color=plot_style.ORANGE,
            linestyle=_DOTS,
            linewidth=1.2,
            label="paper's baseline",
        )


def _draw_points(axes: Axes, points: Sequence[Point]) -> None:
    axes.plot(
        [point.x for point in points], [point.mean for point in points], color=plot_style.BLUE, linewidth=1.0
    )
    bars = [_error_bar(point) for point in points]
    axes.errorbar(
        [point.x for point in points], [point.mean for point in points],
        [[below for below, _ in bars], [above for _, above in bars]],
        fmt="o", color=plot_style.BLUE, markersize=4.5, capsize=3, linewidth=1.2,
        label=f"measured, {LEVEL} % interval",
    )  # fmt: skip
    single = [
        (point.x, value)
        for point in points
        if len(point.seed_values) > 1
        for value in point.seed_values.values()
    ]
    if single:
        axes.plot(
            *zip(*single, strict=True),
            "x",
            color=plot_style.BLUE,
            markersize=5,
            markeredgewidth=1.0,
            label="single seeds",
        )
    published = [(point.x, point.published) for point in points if point.published is not None]
    if published:
        axes.plot(
            *zip(*published, strict=True),
            "D",
            color=plot_style.ORANGE,
            markersize=5,
            fillstyle="none",
            label="paper",
        )


def _error_bar(point: Point) -> tuple[float, float]:
    """Return the lengths of the interval below and above the point; zeros without an interval."""
    if point.interval is None:
        return 0.0, 0.0
    return max(0.0, point.mean - point.interval.low), max(0.0, point.interval.high - point.mean)
