"""Pictures of confusions on a page: from which run, with which words, and why there are none."""

from types import SimpleNamespace

import pytest
from page_reader import Page

from reports.errors.confusion import Confusion
from reports.errors.examples import Example, Examples
from reports.page import errors
from reports.page.attention import AttentionSection
from reports.page.cell_page import PairSections, render_pair_page
from reports.page.errors import ErrorsSection
from reports.page.figures import CurvesSection, HeatmapsSection
from reports.page.inputs import ReportRequest, read_inputs

PAIR = ("cub", "deit_tiny")
CONFUSED = (Confusion(0, "<b>a", 1, "b & c", 3, 2, 30.0, 20.0),)


def run(method, seed, done=True):
    cell = SimpleNamespace(method=method)
    return SimpleNamespace(cell=cell, seed=seed, id=f"{method}{seed}", result={} if done else None)


@pytest.fixture
def call(monkeypatch):
    """Arguments of write_examples(), and .result, its return value."""
    state = SimpleNamespace(result=None, run=None, folder=None)

    def write_examples(confused, run, places, folder):
        state.run, state.folder, state.places = run.id, folder, places
        return state.result

    monkeypatch.setattr(errors, "write_examples", write_examples)
    return state


def pictures(runs, folder):
    merged = SimpleNamespace(places={one.id: f"places of {one.id}" for one in runs})
    return errors.examples_section(CONFUSED, runs, merged, PAIR, folder)


def test_the_first_finished_dcal_run_shows_its_confusions(call, tmp_path):
    call.result = Examples(
        (Example(CONFUSED[0], "t.jpg", "x", 0.125, "r.jpg", "y"),), "by a rule", "", ("one is torn",)
    )
    section = pictures([run("baseline", 0), run("dcal", 1), run("dcal", 0, done=False)], tmp_path)
    assert (call.run, call.places) == ("dcal1", "places of dcal1")
    assert call.folder == tmp_path / "cub-deit_tiny-confused"
    assert section.pairs[0].text == "<b>a taken for b & c; probability of the true class 0.12"
    assert section.pairs[0].test == "../figures/cub-deit_tiny-confused/t.jpg"
    assert (section.rule, section.notes) == ("by a rule", ("one is torn",))


def test_a_baseline_is_taken_where_no_dcal_run_is_finished(call, tmp_path):
    call.result = Examples((), "by a rule", "no such data")
    section = pictures([run("dcal", 0, done=False), run("baseline", 2)], tmp_path)
    assert call.run == "baseline2"
    assert section.notes == ("No pictures of confusions: no such data",)


def test_without_a_finished_run_no_examples_are_written(call, tmp_path):
    assert pictures([run("dcal", 0, done=False)], tmp_path) == errors.ExamplesSection()
    assert call.run is None


def test_names_are_escaped_on_the_page(call, tmp_path):
    result = Example(CONFUSED[0], "t.jpg", "x", 0.5, "r.jpg", "y")
    call.result = Examples((result,), "by <i>rule", "", ())
    section = pictures([run("dcal", 0)], tmp_path)
    inputs = read_inputs(ReportRequest("mini", (tmp_path,), (0,)))
    empty = (CurvesSection(None, ()), HeatmapsSection(), AttentionSection(None, ()), ErrorsSection())
    (tmp_path / "page.html").write_text(
        render_pair_page(inputs, PAIR, PairSections(*empty, section), "now"), encoding="utf-8"
    )
    page = Page(tmp_path / "page.html")
    assert page.problems == []
    assert "<b>a taken for b & c; probability of the true class 0.50" in page.text
    assert "by <i>rule" in page.text
    assert "Test picture of <b>a" in page.attributes("img", "alt")
