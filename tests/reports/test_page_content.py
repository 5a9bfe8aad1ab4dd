"""What the pages say: headline, states, verdicts, what is missing, protocol, readings."""

import re
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import mini_sweep
import pytest
from page_reader import Page, pages

from benchmark.config.grid import TABLES
from benchmark.config.settings import READINGS
from benchmark.records import status
from reports.page.attention import attention
from reports.page.cell_page import _commands
from reports.page.figures import take_heatmaps
from reports.page.headline import in_short
from reports.page.inputs import Asked
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
    (found,) = [cells for cells in page.table(table) if cells[0] == name]
    return found


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
    found = in_short(layouts)
    assert [tile.count for tile in found.tiles] == [0, 0, 0, 34]
    assert found.measured == "Of the paper's 100 numbers, 0 are measured here."


# Tables and states


def test_every_comparison_is_a_row_that_leads_to_its_page(index):
    keys = ("table1-rows", "table2-rows", "extras-rows")
    assert [len(index.table(key)) for key in keys] == [15, 32, 4]
    assert {path.stem for path in (index.path.parent / "cells").iterdir()} == CELLS


def test_a_row_has_published_and_measured_numbers_gain_interval_and_verdicts(index):
    nbsp = "\u00a0"
    found = row(index, "table1-rows", "CUB · DeiT-Tiny")
    assert found[1:7] == [
        "82.1",
        f"82.0{nbsp}±{nbsp}0.2",
        "84.6",
        f"84.5{nbsp}±{nbsp}0.2",
        "+2.5",
        f"+2.5{nbsp}±{nbsp}0.0",
    ]
    low, high = re.fullmatch(r"\+(\d\.\d) to \+(\d\.\d)", found[7]).groups()
    assert 0 < float(low) < 2.5 < float(high)
    assert [0 < float(p) < 0.05 for p in found[8].split(", ")] == [True] * 3
    assert found[9:] == ["yes", "reproduced", "done"]
    assert row(index, "table1-rows", "CAR · DeiT-Tiny")[9] == "hurts"


def test_every_state_is_shown_with_its_reason(written, index):
    words = {"missing": "not run", "no-data": "no data"}
    wanted = {
        words.get(state, state) for states in mini_sweep.EXPECTED_STATES.values() for state in states.values()
    }
    shown = " ".join(page.text for report in (written.paper, written.mini) for page in pages(report))
    assert len(wanted) == 9
    assert {word for word in wanted if word in shown} == wanted
    assert "1 failed, 2 no data" in row(index, "table1-rows", "CAR · DeiT-Small")[2]


@pytest.mark.parametrize("profile", mini_sweep.PROFILES)
def test_a_page_lists_all_of_its_runs_with_their_states(written, profile):
    words = {"missing": "not run", "no-data": "no data"}
    expected = mini_sweep.EXPECTED_STATES[profile]
    seeds = sorted({int(run.rpartition("seed")[2]) for run in expected})
    shown = Counter()
    for page in pages(getattr(written, profile)):
        if page.path.stem == "index":
            continue
        dataset, _, backbone = page.path.stem.partition("-")
        for name, state, *_ in page.table("numbers"):
            method, seed = re.fullmatch(r"(baseline|\+ DCAL), seed (\d)", name).groups()
            run = f"{dataset}/{backbone}/{'dcal' if method == '+ DCAL' else 'baseline'}/seed{seed}"
            assert state == words.get(expected[run], expected[run]), run
            shown[int(seed)] += 1
    assert set(shown) <= set(seeds)
    assert set(shown.values()) == {68}


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


# A pair's page


def test_numbers_of_all_seeds_and_branches(written):
    page = cell(written, "cub-deit_tiny")
    runs = {cells[0]: cells for cells in page.table("numbers")}
    assert runs["baseline, seed 1"][2] == "82.25"
    assert runs["baseline, seed 1"][4:6] == ["", ""]
    assert all(re.fullmatch(r"\d\d\.\d\d", text) for text in runs["+ DCAL, seed 1"][2:6])
    assert "Best epoch — not the result" in page.text


def test_a_page_of_unfinished_runs_says_why_and_which_command_runs_them(written):
    page = cell(written, "cars-deit_small")
    assert "<strong>baseline, seed 0</strong>: failed — CUDA out of memory" in page.source
    assert "<strong>+ DCAL, seed 0</strong>: queued — submitted as job" in page.source
    runs = str(written.runs)
    # DCAL's seeds 0 and 1 wait in a queue.
    expected = [
        f"make table1 PROFILE=paper RUNS='{runs}' DATA=/data CELLS=cars/deit_small/{method} SEEDS={seeds}"
        for method, seeds in (("baseline", "'0 1 2'"), ("dcal", "2"))
    ]
    assert page.commands[0].split() == " ".join(expected).split()


def test_a_mini_page_names_no_profile_in_its_command(written):
    (command, *_) = cell(written, "cars-deit_small", "mini").commands
    assert re.fullmatch(r"make table1 RUNS='.*' CELLS='cars/deit_small/\*' SEEDS='0 1'", command)


def test_a_run_on_other_settings_is_run_anew_with_rerun(written):
    assert [
        command
        for command in cell(written, "aircraft-deit_small").commands
        if command.endswith(" RERUN=stale")
    ]


def lacking(method, seed, state):
    return SimpleNamespace(cell=SimpleNamespace(method=method), seed=seed, state=state)


def test_only_what_is_missing_is_run():
    """Of several people's folders, what is done in another one would else be trained again."""
    asked = Asked("paper", (Path("mine"), Path("theirs")), (0, 1, 2))
    runs = [lacking("baseline", 2, "missing"), lacking("dcal", 0, "failed"), lacking("dcal", 2, "no-data")]
    assert _commands(asked, ("veri", "deit_tiny"), runs) == [
        "make table2 PROFILE=paper RUNS=mine CELLS=veri/deit_tiny/baseline SEEDS=2",
        "make table2 PROFILE=paper RUNS=mine DATA=/data CELLS=veri/deit_tiny/dcal SEEDS='0 2'",
    ]
    assert _commands(asked, ("veri", "deit_tiny"), runs[:1] + runs[2:]) == [
        "make table2 PROFILE=paper RUNS=mine DATA=/data CELLS='veri/deit_tiny/*' SEEDS=2"
    ]


def test_what_runs_or_waits_needs_no_command():
    asked = Asked("mini", (Path("runs"),), (0,))
    states = {
        state: _commands(asked, ("cub", "deit_tiny"), [lacking("baseline", 0, state)])
        for state in status.STATES
    }
    without = {state for state, command in states.items() if not command}
    assert without == {"running", "queued", "unknown"}


def test_a_page_without_class_token_says_why_it_has_no_maps(written):
    for pair in ("cub-swin_tiny", "msmt17-swin_tiny"):
        page = cell(written, pair)
        assert "No heatmaps: Swin-T has no class token" in page.text
        assert "No attention measure: Swin-T has no class token" in page.text


@pytest.mark.parametrize(("backbone", "commands"), [("swin_tiny", False), ("cait_xs24", True)])
def test_maps_that_cannot_be_are_not_asked_for(tmp_path, backbone, commands):
    asked, pair = Asked("mini", (tmp_path,), (0,)), ("cub", backbone)
    assert bool(take_heatmaps(asked, pair, "none are drawn", tmp_path).command) is commands
    assert bool(attention(asked, pair, []).command) is commands


def test_the_protocol_card_names_what_a_number_needs(written):
    facts = {cells[0]: cells[1:] for cells in cell(written, "cub-deit_tiny").table("protocol")}
    for name in (
        "precision",
        "device",
        "batch size",
        "epochs",
        "resize → crop",
        "optimizer",
        "learning rate",
    ):
        assert all(facts[name]), name
    assert facts["resize → crop"][0] == "550×550 → 448×448"
    assert facts["pretrained weights"][0].startswith("deit_tiny_patch16_224.fb_in1k, file ")
    assert facts["model.glca_ratio"] == ["—", "0.1"]
    assert facts["learning rate"][0].startswith("1.5625e-05 ")


def test_every_finished_run_s_origin_is_told(written):
    page = cell(written, "cub-deit_tiny")
    assert [cells[0] for cells in page.table("provenance")] == [
        f"{method}, seed {seed}" for method in ("baseline", "+ DCAL") for seed in (0, 1, 2)
    ]
    assert page.source.count(", in full</summary>") == 6


def test_figures_on_disk_are_shown_with_caption_and_print_version(written):
    page = cell(written, "veri-deit_tiny")
    assert "../figures/veri-deit_tiny-heatmaps.webp" in page.attributes("img", "src")
    assert "../figures/veri-deit_tiny-ranked.pdf" in page.attributes("a", "href")
    assert page.table("heatmap-rows")[0][0] == "A"
    assert page.table("attention")[0][1:] == ["4.5", "4.75", "", "+0.25", "+0.125 to +0.375"]


def test_without_figures_the_reason_and_the_command_stand_there(written):
    page = cell(written, "cub-deit_tiny")
    assert "has no checkpoint.pt" in page.text
    place = f"PROFILE=paper RUNS='{written.runs}' CELLS=cub/deit_tiny SEEDS='0 1 2'"
    assert page.commands == [f"make heatmaps {place}", f"make attention {place}"]


# Readings


def test_every_open_reading_stands_on_the_page_with_question_and_options(index):
    shown = {cells[0]: tuple(cells[1:3]) for cells in index.table("readings")}
    assert shown == {name: (reading.question, reading.options) for name, reading in READINGS.items()}


def test_readings_show_the_default_and_what_runs_used(index):
    found = {cells[0]: cells for cells in index.table("readings")}
    assert found["model.glca_ratio"][3:] == ["0.1 (fine-grained classification), 0.3 (re-identification)"] * 2
    assert found["data.merge_val"][3:] == ["true (re-identification)"] * 2
    assert found["model.pwca_stream"][3:] == ["own", "own"]
