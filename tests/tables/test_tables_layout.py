"""The layout: columns, warning, header, notes and states, for every profile."""

import pytest
from synthetic_runs import (
    ALL_STATES,
    HOSTILE,
    SyntheticRun,
    cell,
    done,
    everything,
    extras_runs,
    other,
    retrieval_runs,
)

from benchmark.config.grid import TABLES
from benchmark.config.settings import READINGS
from tables.exports import csv, html, latex, markdown
from tables.layout import DIFFERENCE, FULL_PAPER, MEASURED, PAPER, build

BEFORE, AFTER = "cub/deit_tiny/baseline", "cub/deit_tiny/dcal"


def entry(layout, backbone, kind, dataset, heading):
    row = next(row for row in layout.main.rows if (row.labels[0], row.kind) == (backbone, kind))
    place = [(column.dataset, column.heading) for column in layout.main.columns].index((dataset, heading))
    return row.cells[place].text


def headings(layout, dataset):
    return [column.heading for column in layout.main.columns if column.dataset == dataset]


def test_the_paper_profile_with_full_data_has_three_columns_and_no_warning():
    layout = build("table1", "paper", [done(BEFORE, 0, 81.8), done(BEFORE, 1, 82.0)])
    assert headings(layout, "cub") == [PAPER, MEASURED, DIFFERENCE]
    assert layout.warning == ""
    assert entry(layout, "DeiT-Tiny", "baseline", "cub", PAPER) == "82.1"
    assert entry(layout, "DeiT-Tiny", "baseline", "cub", MEASURED) == "81.9 ± 0.1"
    assert entry(layout, "DeiT-Tiny", "baseline", "cub", DIFFERENCE) == "−0.2"
    assert entry(layout, "DeiT-Tiny", "gain", "cub", PAPER) == "+2.5"


def test_rows_are_baseline_dcal_gain_for_each_backbone():
    layout = build("table1", "paper", [])
    assert [row.kind for row in layout.main.rows] == ["baseline", "dcal", "gain"] * 5
    assert layout.main.rows[-1].labels[0] == "R50-ViT-Base"


@pytest.mark.parametrize(("profile", "words"), [("mini", "generated pictures"), ("quick", "short schedule")])
def test_other_profiles_have_no_difference_and_warn_in_the_first_line(profile, words):
    runs = everything("generated" if profile == "mini" else "full")
    layout = build("table1", profile, runs)
    assert {column.heading for column in layout.main.columns} == {FULL_PAPER, MEASURED}
    plain = markdown.render_text(layout)
    for rendered in (markdown.render_markdown(layout), latex.render(layout), plain):
        first = rendered.split("\n\n")[0] if rendered is plain else rendered.splitlines()[0]
        assert "NOT comparable with the paper" in rendered.splitlines()[0]
        assert words in " ".join(first.split())
        assert "measured minus paper" not in rendered
    body = html.render(layout).split("<body>")[1]
    assert body.lstrip().startswith('<p class="warning"')
    assert f">{DIFFERENCE}</th>" not in body


def test_a_subset_in_the_paper_profile_is_marked_and_not_compared():
    subset = {"coverage": "subset", "text": "subset: 25 of 200 classes"}
    layout = build("table1", "paper", [done(BEFORE, 0, 90.0, **subset)])
    assert headings(layout, "cub") == [FULL_PAPER, MEASURED]
    assert headings(layout, "cars") == [PAPER, MEASURED, DIFFERENCE]
    assert entry(layout, "DeiT-Tiny", "baseline", "cub", MEASURED) == "90.0 [subset]"
    assert "NOT comparable" in layout.warning
    assert "CUB: subset: 25 of 200 classes" in layout.warning


def test_beside_full_cells_a_subset_cell_has_an_empty_difference():
    layout = build("table1", "paper", [done(BEFORE, 0, 90.0, coverage="subset"), done(AFTER, 0, 84.0)])
    assert headings(layout, "cub") == [FULL_PAPER, MEASURED, DIFFERENCE]
    assert entry(layout, "DeiT-Tiny", "baseline", "cub", DIFFERENCE) == ""
    assert entry(layout, "DeiT-Tiny", "dcal", "cub", DIFFERENCE) == "−0.6"


def test_the_remark_on_cub_stands_where_photographs_were_measured():
    remark = "ImageNet, on which"
    assert build("table1", "paper", [done(BEFORE, 0, 82.0)]).notes[-1].startswith(remark)
    assert remark in build("table1", "quick", [done(BEFORE, 0, 82.0)]).warning
    generated = build("table1", "mini", [done(BEFORE, 0, 82.0, coverage="generated")])
    assert remark not in generated.warning + " ".join(generated.notes)
    assert remark not in " ".join(build("table1", "paper", []).notes)


def test_the_header_names_data_commits_device_dates_and_seeds():
    header = dict(build("table1", "paper", everything()).header)
    assert header["profile"] == "paper"
    assert header["data, CUB"] == "full: 200 classes"
    assert header["data, AIR"] == "no finished run"
    assert header["seeds"] == "0, 1, 2"
    assert header["commit"] == f"{'a' * 10}; {'b' * 10}; {'b' * 10}-dirty"
    assert header["device and precision"] == "Some CPU, float32"
    assert header["dates of the runs"] == "2026-01-01 to 2026-01-04"


def test_changed_settings_are_named_first_and_in_the_header():
    layout = build("table1", "paper", [], overrides=["train.epochs=3"])
    assert dict(layout.header)["settings changed"] == "train.epochs=3"
    assert "train.epochs=3" in layout.warning
    assert not [label for label, _ in layout.header if label.startswith("open reading")]


def test_of_a_changed_setting_that_decides_an_open_reading_the_header_says_which():
    layout = build("table1", "paper", [], overrides=["model.glca_readout=mean", "train.epochs=3"])
    reading = READINGS["model.glca_readout"]
    assert [lines for lines in layout.header if lines[0].startswith("open reading")] == [
        ("open reading model.glca_readout", f"{reading.question} {reading.options}")
    ]


def test_a_record_with_metrics_only_is_shown():
    old = SyntheticRun(cell(BEFORE), 0, "done", "", {"metrics": {"top1": 82.0}})
    layout = build("table1", "paper", [old])
    assert entry(layout, "DeiT-Tiny", "baseline", "cub", MEASURED) == "82.0 [unknown]"
    assert dict(layout.header)["commit"] == "not recorded"


def test_code_changed_after_submission_is_told_on_top():
    runs = [done(BEFORE, 0, 81.8), done(AFTER, 0, 82.8), done(AFTER, 1, 82.9)]
    for run, commit in zip(runs, ("a" * 40, "a" * 40, "c" * 40), strict=True):
        run.result["provenance"] |= {
            "changes": "",
            "submitted": {"commit": commit, "dirty": False, "changes": ""},
        }
    text = dict(build("table1", "paper", runs).header)["WARNING, other code than at submission"]
    assert text == f"{AFTER}/seed1 submitted with cccccccccc, started with aaaaaaaaaa"
    runs[1].result["provenance"] |= {"dirty": True, "changes": "0123456789"}
    text = dict(build("table1", "paper", runs[:2]).header)["WARNING, other code than at submission"]
    assert "started with aaaaaaaaaa and changes 01234567" in text
    labels = dict(build("table1", "paper", runs[:1]).header)
    assert not [label for label in labels if "WARNING" in label]


@pytest.mark.parametrize("block", ["data", "device", "provenance", "metrics", "best", "config_hash"])
@pytest.mark.parametrize("value", [None, "text", 3, []])
def test_a_block_of_the_wrong_kind_does_not_stop_the_table(block, value):
    run = done(BEFORE, 0, 82.0)
    run.result[block] = value
    layout = build("table1", "paper", [run])
    assert all(render(layout) for render in (markdown.render_markdown, latex.render, csv.render, html.render))


@pytest.mark.parametrize(
    ("state", "reason", "expected"),
    [
        ("missing", "", "not run"),
        ("no-data", "no CUB", "no data"),
        ("no-weights", "", "no weights"),
        ("queued", "job 7", "queued"),
        ("running", "epoch 3", "running"),
        ("preempted", "", "preempted"),
        ("failed", "", "failed"),
        ("failed", "out of\n  memory", "failed: out of memory"),
        ("stale", "other settings", "stale"),
    ],
)
def test_a_cell_without_a_number_names_its_state(state, reason, expected):
    layout = build("table1", "paper", [other(BEFORE, 0, state, reason)])
    assert entry(layout, "DeiT-Tiny", "baseline", "cub", MEASURED) == expected


def test_every_state_that_is_not_done_is_listed_with_its_reason():
    listed = "\n".join(build("table1", "paper", everything()).states)
    for state in ALL_STATES:
        assert (f"because of {state}" in listed) == (state != "done")
    assert "cub/deit_small/baseline seed 2 — failed: CUDA out of memory" in listed


def test_listed_states_are_one_short_line_each():
    states = build("table1", "paper", [other(BEFORE, 0, "failed", "line\n" * 500 + HOSTILE)]).states
    assert all("\n" not in line and len(line) <= 160 for line in states)
    assert states[0].startswith(f"{BEFORE} — failed: line line")
    assert states[0].endswith("…")


def test_cells_with_the_same_state_and_reason_share_a_line():
    runs = [other(c.id, 0, "no-data", "no CUB") for c in TABLES["table1"].cells if c.dataset == "cub"]
    assert f"{BEFORE} and 9 more — no data: no CUB" in build("table1", "paper", runs).states


def test_a_cell_with_some_seeds_done_shows_n_and_is_noted():
    layout = build("table1", "paper", everything())
    assert entry(layout, "DeiT-Small", "baseline", "cub", MEASURED) == "85.5 ± 0.7 (n = 2)"
    assert "cub/deit_small/baseline: 2 done, 1 failed" in layout.partial


def test_the_branches_come_from_the_records_of_dcal():
    branches = build("table1", "paper", everything()).branches
    assert branches.texts == (
        ("CUB", "DeiT-Tiny", "top-1", "83.6 ± 0.3", "82.6 ± 0.3", "84.6 ± 0.3", "96.2 ± 0.0"),
    )
    assert build("table1", "paper", [done(BEFORE, 0, 82.0)]).branches is None


def test_table_2_names_the_metric_in_every_group():
    layout = build("table2", "paper", [])
    assert len(layout.main.columns) == 24
    assert layout.main.columns[0].group == "VeRi-776 mAP"
    assert layout.main.columns[3].group == "VeRi-776 R1"
    assert [len(part.columns) for part in layout.main.split_by_dataset(2)] == [12, 12]


def test_below_table_2_stand_protocol_versions_unanswered_queries_and_ties():
    layout = build("table2", "paper", retrieval_runs())
    lines = "\n".join(layout.notes)
    assert "evaluation: single query; cosine distance" in lines
    assert "MSMT17: version V1 and V2; numbers of several versions must not be compared" in lines
    assert "VeRi-776: 3 of 1,003 queries have no right picture under another camera and are left out" in lines
    assert "VeRi-776: up to 12 right pictures a run at exactly the distance of a wrong one" in lines
    assert "top-1" not in lines


def test_the_branches_of_retrieval_are_told_apart_by_metric():
    rows = build("table2", "paper", retrieval_runs()).branches.texts
    assert ("VeRi-776", "DeiT-Tiny", "mAP", "73.0", "72.5", "73.9") in rows
    assert ("VeRi-776", "DeiT-Tiny", "R1", "94.0", "93.5", "94.6") in rows


def test_the_extras_leave_the_cell_blank_that_the_paper_lacks():
    layout = build("extras", "paper", extras_runs())
    assert [row.labels[0] for row in layout.main.rows[::3]] == ["CaiT-XS24", "Swin-T"]
    assert entry(layout, "CaiT-XS24", "dcal", "msmt17", PAPER) == ""
    assert entry(layout, "CaiT-XS24", "dcal", "msmt17", MEASURED) == ""
    assert entry(layout, "Swin-T", "dcal", "msmt17", PAPER) == "56.7"


def test_rank1_of_the_extras_is_measured_beside_no_published_number():
    layout = build("extras", "paper", extras_runs())
    groups = [(column.group, column.heading) for column in layout.main.columns if column.dataset == "msmt17"]
    assert groups == [
        ("MSMT17 mAP", PAPER),
        ("MSMT17 mAP", MEASURED),
        ("MSMT17 mAP", DIFFERENCE),
        ("MSMT17 R1", MEASURED),
    ]
    assert layout.title == "More Transformer Baselines — top-1 accuracy, mAP and R1 in %"
    assert "MSMT17 R1: the paper gives none here" in layout.notes
    (row,) = (row for row in layout.verdicts.texts if row[2] == "R1")
    assert (row[3], row[-3], row[-2:]) == ("", "no difference shown", ("", ""))


def test_a_panel_leaves_out_the_backbone_that_it_says_nothing_of():
    fgvc, reid = build("extras", "paper", extras_runs()).main.split_by_dataset(2)
    assert [row.labels[0] for row in fgvc.rows[::3]] == ["CaiT-XS24", "Swin-T"]
    assert [row.labels[0] for row in reid.rows] == ["Swin-T"] * 3


def test_a_backbone_without_glca_says_so_and_has_no_branches():
    layout = build("extras", "paper", extras_runs())
    assert "Swin-T: as in the paper, DCAL is PWCA alone there; inference is the baseline's" in layout.notes
    assert [row[1] for row in layout.branches.texts] == ["CaiT-XS24"]
    assert not any("PWCA alone" in note for note in build("table1", "paper", []).notes)
