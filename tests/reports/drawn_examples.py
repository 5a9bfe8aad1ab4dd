"""One figure of every kind that the suite draws, from made-up numbers, as bytes."""

import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np

from benchmark.ablations import SWEEPS
from benchmark.grid import named
from benchmark.records import RunFolder
from reports import drawing
from reports.ablations import sweep_figure
from reports.curves import curves
from reports.looking import figure_rows
from reports.looking.figure_rows import Panel, Row, Said
from reports.robustness import figure as robustness_figure
from reports.robustness.record import Condition, Robustness
from tables.bootstrap import Interval
from tables.sweeps import Curve, Point

SWEEP = Path(__file__).resolve().parents[1] / "sweep" / "paper"
DPI = 40
NAME = "Black_footed_Albatross $x^2$ 37.5%"  # a formula to some settings


def every_figure(folder):
    """Name → PNG or SVG: curves, a sweep's points, robustness, and rows of pictures as all heatmaps are drawn."""
    made = {"curves": curves([_run(folder, "dcal")]).svg}
    with drawing.style(drawing.LINES):
        made["sweep"] = drawing.saved(_sweep(), "png", drawing.LINES, dpi=DPI)
    for name, figure in (("robustness", _robustness()), ("rows", _rows())):
        made[name] = drawing.saved(figure, "png", drawing.PICTURES, dpi=DPI)
    return made


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
    return robustness_figure.figure(
        Robustness("mini", "cub", "deit_tiny", "some", (64, 64), conditions, runs, metrics, outcomes)
    )


def _rows():
    rng = np.random.default_rng(0)
    picture, values = rng.integers(0, 256, (64, 64, 3), dtype=np.uint8), rng.random((8, 8))
    panels = (
        Panel(picture, said=Said((NAME, "confidence −37 %"), right=True)),
        Panel(picture, values, (0.0, 1.0), bar=True, selected=values > 0.8),
    )
    return figure_rows.figure(NAME, ("picture", "rollout"), [Row(NAME, NAME, panels)], NAME * 5, "× 1/N")
