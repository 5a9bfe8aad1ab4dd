"""What a pair's page says: numbers of all seeds, what is missing, protocol, figures."""

import re
from pathlib import Path
from types import SimpleNamespace

import pytest
from page_reader import Page

from benchmark.records import status
from reports.page.attention import attention_section
from reports.page.cell_page import missing_commands
from reports.page.figures import heatmaps_section
from reports.page.inputs import ReportRequest


def cell(written, name, profile="paper"):
    return Page(getattr(written, profile) / "cells" / f"{name}.html")


def row(page, table, name):
    (result,) = [cells for cells in page.table(table) if cells[0] == name]
    return result


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
    request = ReportRequest("paper", (Path("mine"), Path("theirs")), (0, 1, 2))
    runs = [lacking("baseline", 2, "missing"), lacking("dcal", 0, "failed"), lacking("dcal", 2, "no-data")]
    assert missing_commands(request, ("veri", "deit_tiny"), runs) == [
        "make table2 PROFILE=paper RUNS=mine CELLS=veri/deit_tiny/baseline SEEDS=2",
        "make table2 PROFILE=paper RUNS=mine DATA=/data CELLS=veri/deit_tiny/dcal SEEDS='0 2'",
    ]
    assert missing_commands(request, ("veri", "deit_tiny"), runs[:1] + runs[2:]) == [
        "make table2 PROFILE=paper RUNS=mine DATA=/data CELLS='veri/deit_tiny/*' SEEDS=2"
    ]


def test_what_runs_or_waits_needs_no_command():
    request = ReportRequest("mini", (Path("runs"),), (0,))
    states = {
        state: missing_commands(request, ("cub", "deit_tiny"), [lacking("baseline", 0, state)])
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
def test_heatmaps_that_cannot_exist_have_no_command(tmp_path, backbone, commands):
    request, pair = ReportRequest("mini", (tmp_path,), (0,)), ("cub", backbone)
    assert bool(heatmaps_section(request, pair, "none are drawn", tmp_path).command) is commands
    assert bool(attention_section(request, pair, []).command) is commands


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
