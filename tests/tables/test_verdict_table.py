"""Table of verdicts: rows and columns in every profile, splitting by width, and every export."""

import csv
import dataclasses
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from synthetic_runs import HOSTILE, done, everything, other, retrieval_runs, with_answers

from tables import verdicts
from tables.exports import csv as csv_export
from tables.exports import html, latex, markdown
from tables.layout import build
from tables.table import Table

BEFORE, AFTER = "cub/deit_tiny/baseline", "cub/deit_tiny/dcal"
RULES = (verdicts.INTERVAL_RULE, verdicts.P_RULE, verdicts.HELPS_RULE, verdicts.REACHED_RULE)


def pair(**kind):
    return [
        with_answers(done(BEFORE, 0, 80.0, **kind)),
        with_answers(done(AFTER, 0, 84.0, **kind), first=10),
    ]


def test_a_row_says_gain_interval_p_and_verdicts():
    table = build("table1", "paper", everything()).verdicts
    assert table.headings == (
        "Dataset",
        "Backbone",
        "Metric",
        "paper",
        "measured",
        "n",
        "95 % interval",
        "McNemar p",
        "DCAL helps?",
        "baseline reached?",
        "DCAL reached?",
    )
    first = dict(zip(table.headings, table.texts[0], strict=True))
    assert (first["Dataset"], first["Backbone"], first["Metric"]) == ("CUB", "DeiT-Tiny", "top-1")
    assert (first["paper"], first["measured"], first["n"]) == ("+2.5", "+2.5 ± 0.3", "3")
    low, high = first["95 % interval"].split(" to ")
    assert float(low) < 2.5 < float(high)
    assert len(first["McNemar p"].split(", ")) == 3
    assert (first["DCAL helps?"], first["baseline reached?"], first["DCAL reached?"]) == (
        "yes",
        "reproduced",
        "reproduced",
    )


def test_open_rows_say_why():
    rows = build("table1", "paper", everything()).verdicts.texts
    assert [(*row[:2], row[8]) for row in rows[1:]] == [
        ("CUB", "DeiT-Small", "open: unequal seeds"),
        ("CUB", "DeiT-Base", "open: unequal seeds"),
        ("CAR", "DeiT-Tiny", "open: different data"),
    ]


def test_each_metric_has_its_row():
    rows = build("table2", "paper", retrieval_runs()).verdicts.texts
    assert [row[2] for row in rows] == ["mAP", "R1"] * 3


@pytest.mark.parametrize("profile", ["mini", "quick"])
def test_other_profiles_have_nothing_of_the_papers_beside_their_verdicts(profile):
    table = build("table1", profile, pair()).verdicts
    assert table.headings[3:] == (
        "measured",
        "n",
        "95 % interval",
        "McNemar p",
        "DCAL helps in these runs?",
    )
    assert table.texts[0][-1] == "yes"
    assert "reproduced" not in str(table.texts)


def test_a_subset_beside_full_data_is_told_by_its_own_row():
    subset = [
        dataclasses.replace(run, cell=dataclasses.replace(run.cell, dataset="cars"))
        for run in pair(coverage="subset")
    ]
    rows = build("table1", "paper", [*pair(), *subset]).verdicts.texts
    assert [row[3] for row in rows] == ["+2.5", ""]  # the paper's gain
    assert rows[0][8:] == ("yes", "below", "reproduced")
    assert rows[1][8:] == ("yes, in these runs", "not compared", "not compared")


@pytest.mark.parametrize("runs", [[], [done(BEFORE, 0, 80.0)], [done(BEFORE, 0, 80.0), done(AFTER, 1, 82.0)]])
def test_without_a_finished_pair_there_is_no_such_table(runs):
    layout = build("table1", "paper", runs)
    assert layout.verdicts is None
    assert "open in 15" in "\n".join(layout.notes)
    assert verdicts.HELPS_RULE not in layout.notes


# Below the table


def test_the_rules_stand_below_the_table():
    notes = build("table1", "paper", everything()).notes
    assert set(RULES) <= set(notes)


@pytest.mark.parametrize("profile", ["mini", "quick"])
def test_below_other_profiles_stands_that_the_verdicts_are_not_on_the_paper(profile):
    notes = "\n".join(build("table1", profile, pair()).notes)
    assert verdicts.HELPS_IN_THESE_RUNS in notes
    assert verdicts.REACHED_RULE not in notes


def test_a_gain_without_an_interval_is_noted_with_its_reason():
    before, after = pair()
    notes = build("table1", "paper", [before, dataclasses.replace(after, predictions=None)]).notes
    assert "no interval for cub/deit_tiny: predictions lacking: dcal seed 0: it has none" in notes


def test_gains_that_lack_the_same_share_a_note():
    lines = [note for note in build("table2", "paper", retrieval_runs()).notes if note.startswith("no int")]
    assert lines == ["no interval for msmt17/deit_tiny: predictions lacking: baseline seed 0: it has none"]


# Exports


@pytest.mark.parametrize(
    "render", [markdown.render_markdown, latex.render, html.render, markdown.render_text]
)
def test_every_export_has_the_verdicts(render):
    rendered = render(build("table1", "paper", everything()))
    for words in ("DCAL helps?", "baseline reached?", "unequal seeds", "reproduced"):
        assert words in rendered


@pytest.mark.parametrize(
    "render", [markdown.render_markdown, latex.render, html.render, markdown.render_text]
)
def test_every_export_lists_conflicts_as_text(render):
    conflicts = [
        "cub/deit_tiny/dcal/seed0: two valid records differ",
        "<script>alert(1)</script>\nsecond line",
    ]
    rendered = render(build("table1", "paper", [], conflicts=conflicts))
    assert "Conflicts between records" in rendered
    assert "two valid records differ" in rendered
    assert "Conflicts between records" not in render(build("table1", "paper", []))
    if render is not markdown.render_text:
        assert "<script" not in rendered


def test_the_header_names_several_folders_and_not_one():
    several = dict(build("table1", "paper", [], folders=["/a b", f"/{HOSTILE}\n"]).header)
    assert several["runs"] == f"/a b; /{' '.join(HOSTILE.split())}"
    assert "runs" not in dict(build("table1", "paper", [], folders=["/a b"]).header)


def csv_rows(runs, profile="paper"):
    rendered = csv_export.render(build("table1", profile, runs))
    rows = csv.DictReader(io.StringIO(rendered, newline=""), strict=True)
    return {(row["dataset"], row["backbone"], row["method"]): row for row in rows}


def test_csv_has_unrounded_limits_ps_and_verdicts():
    runs = everything()
    gain = build("table1", "paper", runs).summary.gains["cub", "deit_tiny", "top1"]
    row = csv_rows(runs)["cub", "deit_tiny", "gain"]
    assert (float(row["interval_low"]), float(row["interval_high"])) == (
        gain.interval.low,
        gain.interval.high,
    )
    assert [float(p) for p in row["p"].split()] == list(gain.p_values.values())
    assert (row["verdict"], row["reached"]) == ("yes", "")


def test_csv_has_what_is_reached_by_cell_and_why_a_gain_is_open():
    rows = csv_rows(everything())
    assert rows["cub", "deit_tiny", "dcal"]["reached"] == "reproduced"
    assert rows["cars", "deit_tiny", "dcal"]["reached"] == "not compared"
    assert rows["cub", "vit_base", "dcal"]["reached"] == ""
    assert rows["cub", "deit_small", "gain"]["verdict"] == "open: unequal seeds"
    lacking = [*pair()[:1], other(AFTER, 0, "failed", "x")]
    assert csv_rows(lacking)["cub", "deit_tiny", "gain"]["verdict"] == "open: only the baseline is done"


def test_csv_of_other_profiles_reaches_nothing():
    assert {row["reached"] for row in csv_rows(everything(), "mini").values()} == {"", "not compared"}


# Parts of a wide table


WORDS = st.text("ab", max_size=12)
TABLES = st.integers(1, 6).flatmap(
    lambda width: st.tuples(
        st.lists(WORDS, min_size=3 + width, max_size=3 + width),
        st.lists(st.lists(WORDS, min_size=3 + width, max_size=3 + width), max_size=4),
    )
)


def printed(table):
    return max(map(len, markdown.simple(table.headings, table.texts, table.align).splitlines()))


@given(TABLES, st.integers(62, 120))  # 62: four columns of the widest words
def test_parts_have_all_columns_once_the_names_each_time_and_fit(texts, width):
    headings, rows = texts
    table = Table.from_texts("t", headings, rows, "l" * 3 + "r" * (len(headings) - 3), labels=3)
    parts = table.split_by_width(width)
    assert [heading for part in parts for heading in part.headings[3:]] == headings[3:]
    assert all(part.headings[:3] == tuple(headings[:3]) for part in parts)
    assert all(len(part.rows) == len(rows) and part.align[:3] == "lll" for part in parts)
    assert all(printed(part) <= width for part in parts)


def test_a_table_that_fits_stays_whole():
    table = build("table1", "mini", pair()).verdicts
    assert table.split_by_width(110) == [table]
