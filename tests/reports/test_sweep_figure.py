"""The sweeps' figures draw the numbers they are given, and nothing of the paper's where none may stand."""

import numpy as np
import pytest

from benchmark.config.ablations import SWEEPS
from reports.ablations import sweep_figure
from tables.ablations.tables import Curve, Point
from tables.statistics import Interval


def point(x, mean, low, high, published=None, seeds=(0,)):
    return Point(x, mean, dict.fromkeys(seeds, mean), Interval(low, high), "", published)


@pytest.fixture
def curve():
    points = (
        point(5, 80.0, 77.5, 82.0),
        point(10, 83.0, 81.0, 84.5, published=83.1),
        point(50, 79.0, 76.0, 81.5),
    )
    return Curve(SWEEPS[0], points, point(0, 78.0, 75.5, 80.0, published=82.1), ())


def axes_of(curve, limits=(70, 90), warning=""):
    (axes,) = sweep_figure._figure(curve, limits, warning).axes
    return axes


def labelled(axes):
    return dict(zip(*reversed(axes.get_legend_handles_labels()), strict=True))


def test_points_bars_and_baseline_lie_where_the_numbers_are(curve):
    axes = axes_of(curve)
    result = labelled(axes)
    assert set(result["baseline"].get_ydata()) == {78.0}
    band = result["its 95 % interval"]
    assert (band.get_y(), band.get_y() + band.get_height()) == (75.5, 80.0)
    measured = result["measured, 95 % interval"]
    np.testing.assert_allclose(measured.lines[0].get_xydata(), [(5, 80.0), (10, 83.0), (50, 79.0)])
    bars = [segment[:, 1].tolist() for segment in measured.lines[2][0].get_segments()]
    assert bars == [[77.5, 82.0], [81.0, 84.5], [76.0, 81.5]]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["5", "10", "50"]
    assert axes.get_ylim() == (70, 90)


def test_the_paper_s_numbers_are_drawn_where_they_are_given_only(curve):
    result = labelled(axes_of(curve))
    assert result["paper"].get_xydata().tolist() == [[10, 83.1]]
    assert set(result["paper's baseline"].get_ydata()) == {82.1}
    bare = Curve(
        curve.sweep, tuple(point(p.x, p.mean, 70, 90) for p in curve.points), point(0, 78.0, 75, 80), ()
    )
    assert not [name for name in labelled(axes_of(bare)) if "paper" in name]


def test_a_point_without_interval_and_a_missing_baseline_are_drawn_all_the_same(curve):
    lone = Curve(curve.sweep, (Point(5, 80.0, {0: 79.0, 1: 81.0}, None, "torn", None),), None, ())
    result = labelled(axes_of(lone))
    assert set(result) == {"measured, 95 % interval", "single seeds"}
    assert sorted(result["single seeds"].get_ydata()) == [79.0, 81.0]
    (segment,) = result["measured, 95 % interval"].lines[2][0].get_segments()
    assert segment[:, 1].tolist() == [80.0, 80.0]


def test_all_figures_share_a_scale_that_holds_every_number(curve):
    low, high = sweep_figure.common_limits(
        [curve, Curve(curve.sweep, (point(1, 60.0, 58.0, 99.9),), None, ())]
    )
    assert low < 58.0
    assert 99.9 < high <= 100.0


def test_the_same_numbers_are_the_same_bytes(curve):
    one, other = (sweep_figure.draw(curve, (70, 90), "a warning") for _ in range(2))
    assert set(one) == {"svg", "pdf", "png"}
    assert one == other
    assert one["png"].startswith(b"\x89PNG")
    assert one["pdf"].startswith(b"%PDF")
    assert b"a warning" in one["svg"]
