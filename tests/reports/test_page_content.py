"""What the pages say: headline, states, verdicts, what is missing, protocol, readings."""

import re
from collections import Counter

import mini_sweep
import pytest
from page_reader import Page, pages

from benchmark.config.grid import TABLES
from benchmark.config.settings import READINGS
from reports.page.index_page import summarize
from tables import layout

CELLS = {f"{dataset}-{backbone}" for table in TABLES.values() for dataset, backbone in table.pairs}


@pytest.fixture(scope="module")
def index(written):
    return Page(written.paper / "index.html")


@pytest.fixture(scope="module")
def mini_index(written):
    return Page(written.mini / "index.html")


def cell(written, name, profile="paper"):
    return Page(getattr(written, profile) / "cells" / f"{name}.html")


def row(page, table, name):
    (result,) = [cells for cells in page.table(table) if cells[0] == name]
    return result


# Headline


def test_the_headline_counts_the_paper_s_claim(index):
    # By the sweep's plan: cub and veri with deit_tiny gain 2.5 and 2.8, cub/deit_small and market/deit_small nothing,
    # cars/deit_tiny loses 4; everything else is not done, done by halves, with unequal seeds or on a subset.
    assert (
        "Of these 2 confirm it, 2 show no difference, 1 shows that DCAL hurts, and 29 are open." in index.text
    )
    tiles = re.findall(r"<dt>([^<]+)</dt><dd>(\d+)</dd></div>", index.source)
    assert tiles == [
        ("confirm the claim", "2"),
        ("show no difference", "2"),
        ("show that DCAL hurts", "1"),
        ("open", "29"),
    ]


def test_a_subset_counts_as_open_and_is_told_apart(index):
    assert "1 comparison ran on other data than the paper's and counts as open" in index.text
    assert "in these runs alone: DCAL helps in 1." in index.text
    assert row(index, "table1-rows", "AIR · DeiT-Tiny")[9:11] == ["yes, in these runs", "not compared"]


def test_mini_decides_nothing_and_says_what_it_shows(mini_index):
    assert "Nothing about the paper is decided here: all 34 of its comparisons stay open" in mini_index.text
    counts = dict(re.findall(r"<dt>([^<]+)</dt><dd>(\d+)</dd></div>", mini_index.source))
    assert counts["not finished here"] == "31"
    assert sum(map(int, counts.values())) == 34


def test_nothing_in_mini_is_called_reproduced_or_confirmed(written):
    for page in pages(written.mini):
        assert not re.search(r"reproduced|confirm", page.text, re.IGNORECASE), page.path.name


def test_the_warning_stands_before_the_title(written):
    for page in pages(written.mini):
        assert page.source.index('class="warning"') < page.source.index("<h1")


def test_a_page_warns_of_its_own_data_only(written):
    assert "NOT comparable" in cell(written, "aircraft-deit_tiny").text
    assert "NOT comparable" not in cell(written, "cars-deit_tiny").text


def test_without_any_run_all_comparisons_are_open():
    layouts = {key: layout.build(key, "paper", []) for key in TABLES}
    result = summarize(layouts)
    assert [tile.count for tile in result.tiles] == [0, 0, 0, 34]
    assert result.measured == "Of the paper's 100 numbers, 0 are measured here."


# Tables and states


def test_every_comparison_is_a_row_that_leads_to_its_page(index):
    keys = ("table1-rows", "table2-rows", "extras-rows")
    assert [len(index.table(key)) for key in keys] == [15, 32, 4]
    assert {path.stem for path in (index.path.parent / "cells").iterdir()} == CELLS


def test_a_row_has_published_and_measured_numbers_gain_interval_and_verdicts(index):
    nbsp = "\u00a0"
    result = row(index, "table1-rows", "CUB · DeiT-Tiny")
    assert result[1:7] == [
        "82.1",
        f"82.0{nbsp}±{nbsp}0.2",
        "84.6",
        f"84.5{nbsp}±{nbsp}0.2",
        "+2.5",
        f"+2.5{nbsp}±{nbsp}0.0",
    ]
    low, high = re.fullmatch(r"\+(\d\.\d) to \+(\d\.\d)", result[7]).groups()
    assert 0 < float(low) < 2.5 < float(high)
    assert [0 < float(p) < 0.05 for p in result[8].split(", ")] == [True] * 3
    assert result[9:] == ["yes", "reproduced", "done"]
    assert row(index, "table1-rows", "CAR · DeiT-Tiny")[9] == "hurts"


def test_every_state_is_shown_with_its_reason(written, index):
    words = {"missing": "not run", "no-data": "no data"}
    rules = {
        words.get(state, state) for states in mini_sweep.EXPECTED_STATES.values() for state in states.values()
    }
    text = " ".join(page.text for report in (written.paper, written.mini) for page in pages(report))
    assert len(rules) == 9
    assert {word for word in rules if word in text} == rules
    assert "1 failed, 2 no data" in row(index, "table1-rows", "CAR · DeiT-Small")[2]


@pytest.mark.parametrize("profile", mini_sweep.PROFILES)
def test_a_page_lists_all_of_its_runs_with_their_states(written, profile):
    words = {"missing": "not run", "no-data": "no data"}
    expected = mini_sweep.EXPECTED_STATES[profile]
    seeds = sorted({int(run.rpartition("seed")[2]) for run in expected})
    counts = Counter()
    for page in pages(getattr(written, profile)):
        if page.path.stem == "index":
            continue
        dataset, _, backbone = page.path.stem.partition("-")
        for name, state, *_ in page.table("numbers"):
            method, seed = re.fullmatch(r"(baseline|\+ DCAL), seed (\d)", name).groups()
            run = f"{dataset}/{backbone}/{'dcal' if method == '+ DCAL' else 'baseline'}/seed{seed}"
            assert state == words.get(expected[run], expected[run]), run
            counts[int(seed)] += 1
    assert set(counts) <= set(seeds)
    assert set(counts.values()) == {68}


def test_the_paper_s_layout_stands_there_too(index):
    kinds = [cells[0] for cells in index.table("table1-paper")]
    assert len(kinds) == 15
    assert kinds[:3] == ["DeiT-Tiny baseline", "DeiT-Tiny + DCAL", "DeiT-Tiny gain"]


def test_rules_stand_under_the_tables(index):
    for words in (
        "paired bootstrap over the test images",
        "McNemar p: exact",
        "whole 95 % interval",
        "within 1.0 point",
    ):
        assert index.text.count(words) >= 2


# Readings


def test_every_open_reading_stands_on_the_page_with_question_and_options(index):
    rows = {cells[0]: tuple(cells[1:3]) for cells in index.table("readings")}
    assert rows == {name: (reading.question, reading.options) for name, reading in READINGS.items()}


def test_readings_show_the_default_and_what_runs_used(index):
    result = {cells[0]: cells for cells in index.table("readings")}
    assert (
        result["model.glca_ratio"][3:] == ["0.1 (fine-grained classification), 0.3 (re-identification)"] * 2
    )
    assert result["data.merge_val"][3:] == ["true (re-identification)"] * 2
    assert result["model.pwca_stream"][3:] == ["own", "own"]
