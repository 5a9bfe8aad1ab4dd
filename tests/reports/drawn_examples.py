"""One figure of every kind that the suite draws, from made-up numbers, as bytes."""

import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np

from benchmark.config.ablations import SWEEPS
from benchmark.config.grid import named
from benchmark.records.run_folder import RunFolder
from reports import plot_style
from reports.ablations import sweep_figure
from reports.curves.curves import draw_curves
from reports.heatmaps import figure as figure_module
from reports.heatmaps.figure import FigureRow, Panel, Prediction
from reports.robustness import figure as robustness_figure
from reports.robustness.record import Condition, Robustness
from tables.ablations.tables import Curve, Point
from tables.statistics import Interval

SWEEP = Path(__file__).resolve().parents[1] / "sweep" / "paper"
DPI = 40
NAME = "Black_footed_Albatross $x^2$ 37.5%"  # a formula to some settings


def every_figure(folder):
    """Name → PNG or SVG: curves, a sweep's points, robustness, and rows of pictures as all heatmaps are drawn."""
    result = {"curves": draw_curves([_run(folder, "dcal")]).svg}
    with plot_style.style(plot_style.LINE_STYLE):
        result["sweep"] = plot_style.render(_sweep(), "png", plot_style.LINE_STYLE, dpi=DPI)
    for name, figure in (("robustness", _robustness()), ("rows", _rows())):
        result[name] = plot_style.render(figure, "png", plot_style.IMAGE_STYLE, dpi=DPI)
    return result


def _run(folder, method):
    """A run of which nothing is left but its history."""
    folder.mkdir(parents=True, exist_ok=True)
    cell = named(f"cub/deit_tiny/{method}")
    shutil.copyfile(SWEEP / cell.id / "seed0" / "history.jsonl", folder / "history.jsonl")
    return SimpleNamespace(cell=cell, seed=0, state="failed", reason="", folder=RunFolder(folder))


def _sweep():
    points = [Point(x, -x / 2 + 90, {0: 80.0, 1: 81.0}, Interval(70, 95), "", 83.1) for x in (1, 5, 10)]
    return sweep_figure._figure(Curve(SWEEPS[0], tuple(points), points[0], ()), (60, 100), NAME)


def _robustness():
    rng = np.random.default_rng(0)
    conditions = (
        Condition("", 0.0, "as they are"),
        Condition("jpeg", 50.0, NAME),
        Condition("jpeg", 10.0, NAME),
    )
    outcomes = rng.random((2, 3, 50)) < 0.5
    runs = (("baseline", 0), ("dcal", 0))
    metrics, outcomes = {"top1": 100 * outcomes.mean(axis=2)}, {"top1": outcomes}
    return robustness_figure.draw(
        Robustness("mini", "cub", "deit_tiny", "some", (64, 64), conditions, runs, metrics, outcomes)
    )


def _rows():
    rng = np.random.default_rng(0)
    picture, values = rng.integers(0, 256, (64, 64, 3), dtype=np.uint8), rng.random((8, 8))
    panels = (
        Panel(picture, prediction=Prediction((NAME, "confidence −37 %"), correct=True)),
        Panel(picture, values, (0.0, 1.0), bar=True, selected=values > 0.8),
    )
    return figure_module.draw(
        NAME, ("picture", "rollout"), [FigureRow(NAME, NAME, panels)], NAME * 5, "× 1/N"
    )
