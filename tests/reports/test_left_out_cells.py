"""A SET that makes no sense for some cells: the report comes out, and says which are left out and why."""

import argparse
import csv
import io

import pytest
from page_reader import Page, pages

from benchmark.config.resolve import parse_overrides
from benchmark.errors import SettingsError
from benchmark.records import merge
from reports.__main__ import main
from reports.ablations import run_tables
from reports.page import command
from tables.exports import csv as csv_export
from tables.exports import markdown
from tables.layout import build

TOO_FEW = "train.warmup_epochs=3 does not fit into train.epochs=2"
NOTHING_LEFT = "model.pwca_blocks=0"  # of DCAL on Swin-T, which has no GLCA


def merged(runs, overrides, **selection):
    return merge.collect([runs], profile="mini", overrides=parse_overrides(overrides), **selection)


def test_the_report_of_an_empty_folder_names_what_is_left_out(tmp_path, capsys):
    assert (
        main(["page", "--no-pictures", "--runs", str(tmp_path), "--set", f"train.epochs=2 {NOTHING_LEFT}"])
        == 0
    )
    report = tmp_path / "mini" / "report"
    assert [one.problems for one in pages(report)] == [[]] * 35
    left, complete = (Page(report / "cells" / f"{pair}.html") for pair in ("veri-deit_tiny", "cub-deit_tiny"))
    assert f"baseline : left out — {TOO_FEW}" in left.text
    assert f"No heatmaps: baseline is left out: {TOO_FEW}" in left.text
    assert [cells[-1] for cells in left.table("comparison")] == ["left out"] * 2
    assert left.table("numbers") == []
    assert [cells[:2] for cells in complete.table("numbers")] == [
        ["baseline, seed 0", "not run"],
        ["+ DCAL, seed 0", "not run"],
    ]
    assert "left out" not in complete.text
    index = Page(report / "index.html")
    assert {cells[-1] for cells in index.table("table2-rows")} == {"left out"}
    assert {cells[-1] for cells in index.table("table1-rows")} == {"not run"}
    # A method alone, too.
    half = Page(report / "cells" / "cub-swin_tiny.html")
    assert [cells[0] for cells in half.table("numbers")] == ["baseline, seed 0"]
    assert "+ DCAL : left out — model.pwca_blocks=0 leave nothing of DCAL on Swin-T" in half.text
    assert capsys.readouterr().out.startswith("33 runs: 33 missing")


def test_tables_name_left_out_cells_with_the_reason(tmp_path):
    result = merged(tmp_path, "train.epochs=2")
    layout = build("table2", "mini", result.runs, ["train.epochs=2"], refused=result.refused)
    assert layout.states == (f"veri/deit_tiny/baseline and 31 more — left out: {TOO_FEW}",)
    assert {cell.text for row in layout.main.rows for cell in row.cells if cell.is_state} == {"left out"}
    assert "left out" in markdown.render_text(layout)
    lines = [
        line for line in csv.DictReader(io.StringIO(csv_export.render(layout))) if line["method"] == "dcal"
    ]
    assert {(line["state"], line["reason"]) for line in lines} == {("left-out", f"left out: {TOO_FEW}")}


def test_the_ablations_sheet_does_without_dcal(tmp_path):
    runs = [run for run in merged(tmp_path, "", table="ablations").runs if run.cell.method != "dcal"]
    rows = {row[0].text: row[2].text for row in run_tables.settings_table(runs).rows}
    assert rows["cub/deit_tiny/glca"] == "DCAL itself is left out: these settings make no sense for it"
    assert rows["cub/deit_tiny/baseline"] == "neither cross-attention"


def test_a_set_that_only_the_ablations_cannot_have_costs_the_tables_nothing(tmp_path, monkeypatch, capsys):
    def refuse(_):
        raise SettingsError("no cell is left")

    monkeypatch.setattr(command, "read_ablations", refuse)
    arguments = argparse.Namespace(
        profile="mini", runs=tmp_path, seeds="", overrides="", data=None, weights=None
    )
    assert command._read_ablations(arguments) is None
    assert "the ablations are left out" in capsys.readouterr().err


@pytest.mark.parametrize("verb", ["page", "ablations"])
def test_a_set_that_no_cell_can_have_is_refused(tmp_path, capsys, verb):
    assert main([verb, "--runs", str(tmp_path), "--set", "train.epochs=0"]) == 2
    assert "train.epochs=0" in capsys.readouterr().err
