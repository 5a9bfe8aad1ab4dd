"""Pictures of confusions on a page: from which run, with which words, and why there are none."""

from types import SimpleNamespace

import pytest
from page_reader import Page

from reports.errors import examples as mistake_pictures
from reports.errors.confusion import Confusion
from reports.errors.examples import Example, Examples
from reports.page import errors
from reports.page.attention import Attention
from reports.page.cell_page import Figures, cell
from reports.page.errors import Errors
from reports.page.figures import Curves, Heatmaps
from reports.page.inputs import Asked, gather

PAIR = ("cub", "deit_tiny")
CONFUSED = (Confusion(0, "<b>a", 1, "b & c", 3, 2, 30.0, 20.0),)


def run(method, seed, done=True):
    cell = SimpleNamespace(method=method)
    return SimpleNamespace(cell=cell, seed=seed, id=f"{method}{seed}", result={} if done else None)


@pytest.fixture
def asked(monkeypatch):
    """What examples() is asked, and .found, what it answers."""
    state = SimpleNamespace(found=None, run=None, folder=None)

    def examples(confused, chosen, places, folder):
        state.run, state.folder, state.places = chosen.id, folder, places
        return state.found

    monkeypatch.setattr(mistake_pictures, "examples", examples)
    return state


def pictures(runs, folder):
    merged = SimpleNamespace(places={one.id: f"places of {one.id}" for one in runs})
    return errors.pictures(CONFUSED, runs, merged, PAIR, folder)


def test_the_first_finished_dcal_run_shows_its_confusions(asked, tmp_path):
    asked.found = Examples(
        (Example(CONFUSED[0], "t.jpg", "x", 0.125, "r.jpg", "y"),), "by a rule", "", ("one is torn",)
    )
    shown = pictures([run("baseline", 0), run("dcal", 1), run("dcal", 0, done=False)], tmp_path)
    assert (asked.run, asked.places) == ("dcal1", "places of dcal1")
    assert asked.folder == tmp_path / "cub-deit_tiny-confused"
    assert shown.shown[0].text == "<b>a taken for b & c; probability of the true class 0.12"
    assert shown.shown[0].test == "../figures/cub-deit_tiny-confused/t.jpg"
    assert (shown.rule, shown.notes) == ("by a rule", ("one is torn",))


def test_a_baseline_is_taken_where_no_dcal_run_is_finished(asked, tmp_path):
    asked.found = Examples((), "by a rule", "no such data")
    shown = pictures([run("dcal", 0, done=False), run("baseline", 2)], tmp_path)
    assert asked.run == "baseline2"
    assert shown.notes == ("No pictures of confusions: no such data",)


def test_without_a_finished_run_nothing_is_asked(asked, tmp_path):
    assert pictures([run("dcal", 0, done=False)], tmp_path) == errors.Pictures()
    assert asked.run is None


def test_names_are_escaped_on_the_page(asked, tmp_path):
    found = Example(CONFUSED[0], "t.jpg", "x", 0.5, "r.jpg", "y")
    asked.found = Examples((found,), "by <i>rule", "", ())
    shown = pictures([run("dcal", 0)], tmp_path)
    material = gather(Asked("mini", (tmp_path,), (0,)))
    nothing = (Curves(None, ()), Heatmaps(), Attention(None, ()), Errors())
    (tmp_path / "page.html").write_text(
        cell(material, PAIR, Figures(*nothing, shown), "now"), encoding="utf-8"
    )
    page = Page(tmp_path / "page.html")
    assert page.problems == []
    assert "<b>a taken for b & c; probability of the true class 0.50" in page.text
    assert "by <i>rule" in page.text
    assert "Test picture of <b>a" in page.attributes("img", "alt")
