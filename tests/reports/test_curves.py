"""Training curves: every recorded number is drawn, whatever else is missing, torn or hostile."""

import json
import subprocess
import sys
import xml.etree.ElementTree as ElementTree

import mini_sweep
import pytest

from benchmark.records import status
from benchmark.records.provenance import ROOT
from reports.curves import curves
from reports.curves.curves import draw_curves, mean_curve
from reports.curves.history import read_history

SVG = "{http://www.w3.org/2000/svg}"


def pair(runs, name, profile="paper", seeds=mini_sweep.SEEDS):
    return status.collect(profile=profile, runs_dir=runs, seeds=seeds, patterns=[name])


def one_run(runs, run_id, profile="paper"):
    cell, _, seed = run_id.rpartition("/seed")
    return pair(runs, cell, profile, [int(seed)])[0]


def texts(svg):
    return ["".join(element.itertext()) for element in ElementTree.fromstring(svg).iter(f"{SVG}text")]


def rewrite(run, lines):
    run.folder.history.write_text("".join(line + "\n" for line in lines), encoding="utf-8")


def entry(epoch, **more):
    return json.dumps({"epoch": epoch, "loss": {"sa": 1.0}, "w": {}, "lr": 1e-3, **more})


@pytest.fixture
def captured(monkeypatch):
    """The axes of the figure as they were before saving."""
    panels = {}
    original = curves._figure

    def keep(histories, metric):
        figure = original(histories, metric)
        panels.update({axes.get_title(loc="left"): axes for axes in figure.axes})
        return figure

    monkeypatch.setattr(curves, "_figure", keep)
    return panels


def test_a_history_holds_every_number_of_the_file(sweep):
    run = one_run(sweep, "cub/deit_tiny/dcal/seed1")
    result = read_history(run)
    recorded = [json.loads(line) for line in run.folder.history.read_text().splitlines()]
    assert len(recorded) == 100
    for line in recorded:
        epoch = line["epoch"]
        for branch in ("sa", "glca", "pwca"):
            assert result.loss[branch][epoch] == line["loss"][branch]
            assert result.w[branch][epoch] == line["w"][branch]
        assert result.lr[epoch] == line["lr"]
        assert result.metric["both"][epoch] == line["metrics"]["top1"]
        assert result.metric["sa"][epoch] == line["metrics"]["sa_top1"]
        assert result.metric["glca"][epoch] == line["metrics"]["glca_top1"]
    assert result.notes == ()


def test_retrieval_draws_map_at_the_evaluated_epochs_alone(sweep):
    result = read_history(one_run(sweep, "veri/deit_tiny/dcal/seed0"))
    assert set(result.metric) == {"both", "sa", "glca"}
    assert all(list(curve) == [40, 80, 120] for curve in result.metric.values())


def test_the_lines_are_the_seeds_and_their_mean(sweep, captured):
    runs = pair(sweep, "cub/deit_tiny/baseline")
    draw_curves(runs)
    lines = captured["training loss by branch"].lines
    recorded = [
        [json.loads(line)["loss"]["sa"] for line in run.folder.history.read_text().splitlines()]
        for run in runs
    ]
    assert [list(line.get_ydata()) for line in lines[:3]] == recorded
    mean = [sum(values) / 3 for values in zip(*recorded, strict=True)]
    assert list(lines[3].get_ydata()) == pytest.approx(mean)
    assert lines[3].get_linewidth() > lines[0].get_linewidth()
    assert list(lines[3].get_xdata()) == list(range(1, 101))


def test_baseline_and_dcal_differ_in_line_style_and_colour(sweep, captured):
    draw_curves(pair(sweep, "cub/deit_tiny", seeds=[0]))
    lines = captured["top-1 on the test set, %"].lines
    assert len(lines) == 4  # DCAL's prediction, SA and GLCA; the baseline
    assert len({line.get_color() for line in lines}) == 4
    assert [line.is_dashed() for line in lines] == [False, False, False, True]


def test_the_weights_of_a_baseline_alone_are_said_not_to_be_recorded(sweep):
    svg = draw_curves(pair(sweep, "cub/deit_tiny/baseline")).svg
    assert texts(svg).count("not recorded") == 1


def test_an_equal_learning_rate_is_drawn_once(sweep, captured):
    runs = pair(sweep, "cub/deit_tiny")
    draw_curves(runs)
    assert len(captured["learning rate"].lines) == 1
    rewrite(runs[0], [entry(epoch, lr=0.5) for epoch in (1, 2)])
    draw_curves(runs)
    assert len(captured["learning rate"].lines) > 1


def test_the_mean_keeps_to_epochs_that_all_seeds_have():
    assert mean_curve([{1: 1.0, 2: 3.0, 3: 9.0}, {1: 2.0, 3: 1.0}]) == {1: 1.5, 3: 5.0}
    assert mean_curve([{1: 1.0}, {2: 2.0}]) == {}


def test_a_running_run_with_a_torn_last_line_is_drawn_and_said(sweep):
    result = draw_curves(pair(sweep, "cub/deit_base"))
    assert result.runs_text == "DCAL seed 0"
    assert "cub/deit_base/dcal/seed0: 1 line of its history left out: torn, or no epoch's" in result.notes
    assert "cub/deit_base/baseline/seed0: it has no history.jsonl" in result.notes
    assert max(read_history(one_run(sweep, "cub/deit_base/dcal/seed0")).lr) == 31


def test_failed_and_preempted_runs_are_drawn(sweep):
    assert draw_curves(pair(sweep, "cars/deit_small")).runs_text == "baseline seed 0"
    assert draw_curves(pair(sweep, "cars/vit_base")).runs_text == "baseline seed 0; DCAL seed 0"


def test_without_any_history_there_is_no_figure(sweep):
    result = draw_curves(pair(sweep, "duke/deit_tiny"))
    assert (result.svg, result.pdf, result.runs_text, result.notes) == (None, None, "", ())
    older = draw_curves(pair(sweep, "cub/vit_base"))
    assert older.svg is None
    assert "cub/vit_base/dcal/seed1: it has no history.jsonl" in older.notes


def test_a_stale_run_is_not_drawn(sweep):
    run = one_run(sweep, "aircraft/deit_small/dcal/seed0")
    rewrite(run, [entry(1)])
    result = draw_curves([run])
    assert result.svg is None
    assert result.notes == ("aircraft/deit_small/dcal/seed0: its history is of a stale run and not drawn",)


def test_a_history_of_other_settings_is_not_drawn(sweep):
    run = one_run(sweep, "cars/deit_small/baseline/seed0")
    started = json.loads(run.folder.config.read_text())
    run.folder.config.write_text(json.dumps(started | {"hash": "other"}))
    assert "of other settings" in draw_curves([run]).notes[0]


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity", "1e999", "-1e31", "1" + "0" * 400])
def test_values_that_are_not_finite_are_left_out_and_counted(sweep, value):
    run = one_run(sweep, "cub/deit_tiny/baseline/seed0")
    rewrite(run, [entry(1), entry(2, loss={"sa": "VALUE"}).replace('"VALUE"', value), entry(3)])
    result = read_history(run)
    assert list(result.loss["sa"]) == [1, 3]
    assert "cub/deit_tiny/baseline/seed0: 1 value left out: not finite, or larger than 1e+30" in result.notes
    assert draw_curves([run]).svg


@pytest.mark.parametrize("value", ['"5"', "true", "null", "[1]", "{}"])
def test_values_that_are_no_numbers_are_left_out_and_counted(sweep, value):
    run = one_run(sweep, "cub/deit_tiny/baseline/seed0")
    rewrite(run, [entry(1), entry(2, loss={"sa": "VALUE"}).replace('"VALUE"', value)])
    result = read_history(run)
    assert list(result.loss["sa"]) == [1]
    assert "cub/deit_tiny/baseline/seed0: 1 value left out: no numbers" in result.notes


@pytest.mark.parametrize(
    "line",
    [
        "",
        "{}",
        "null",
        "[1, 2]",
        '{"epoch": 0}',
        '{"epoch": "2"}',
        '{"epoch": true}',
        "\x00\x00",
        "[" * 100_000,
    ],
)
def test_lines_that_are_no_epochs_are_left_out_and_counted(sweep, line):
    run = one_run(sweep, "cub/deit_tiny/baseline/seed0")
    rewrite(run, [entry(1), line, entry(2)])
    result = read_history(run)
    assert list(result.lr) == [1, 2]
    assert result.notes == (
        "cub/deit_tiny/baseline/seed0: 1 line of its history left out: torn, or no epoch's",
    )


def test_blocks_that_are_no_objects_are_left_out_and_counted(sweep):
    run = one_run(sweep, "cub/deit_tiny/baseline/seed0")
    rewrite(run, ['{"epoch": 1, "loss": 3, "w": [], "metrics": "x", "lr": 1e-3}'])
    result = read_history(run)
    assert (result.loss, result.w, result.metric, result.lr) == ({}, {}, {}, {1: 1e-3})
    assert "cub/deit_tiny/baseline/seed0: 3 values left out: no numbers" in result.notes


def test_of_an_epoch_recorded_twice_the_later_line_counts(sweep):
    run = one_run(sweep, "cub/deit_tiny/baseline/seed0")
    rewrite(run, [entry(1, lr=1.0), entry(2), entry(1, lr=2.0)])
    result = read_history(run)
    assert result.lr == {1: 2.0, 2: 1e-3}
    assert "1 epoch recorded twice" in result.notes[0]


def test_one_epoch_is_a_point(sweep, captured):
    run = one_run(sweep, "cub/deit_tiny/baseline/seed0")
    rewrite(run, [entry(1, metrics={"top1": 3.0})])
    draw_curves([run])
    (line,) = captured["top-1 on the test set, %"].lines
    assert (list(line.get_xdata()), line.get_marker()) == ([1], "o")


def test_large_numbers_and_late_epochs_are_drawn(sweep):
    run = one_run(sweep, "cub/deit_tiny/baseline/seed0")
    rewrite(run, [entry(1, lr=1e30), entry(2, lr=-1e30), entry(10**6, lr=5e-324)])
    assert draw_curves([run]).svg


def test_names_from_files_do_not_reach_the_figure(sweep):
    run = one_run(sweep, "cub/deit_tiny/dcal/seed0")
    hostile = "<script>alert(1)</script>\n$\\frac$"
    rewrite(run, [entry(1, loss={hostile: 1.0, "sa": 1.0}, metrics={hostile: 1.0}), entry(2)])
    result = draw_curves([run])
    assert b"script" not in result.svg
    assert any("<script>alert(1)</script> $\\frac$" in note and "\n" not in note for note in result.notes)


def test_the_same_histories_give_the_same_bytes(sweep):
    runs = pair(sweep, "cub/deit_tiny")
    first, second = draw_curves(runs, pdf=True), draw_curves(runs, pdf=True)
    assert first.svg == second.svg
    assert first.pdf == second.pdf
    assert b"<dc:date>" not in first.svg


def test_the_svg_is_small_text_stays_text_and_the_ground_is_transparent(sweep):
    svg = draw_curves(pair(sweep, "cub/deit_tiny")).svg
    assert len(svg) < 120_000
    result = texts(svg)
    for word in ("training loss by branch", "learning rate", "PWCA", "baseline", "epoch"):
        assert word in result
    filled = [
        element.get("style")
        for element in ElementTree.fromstring(svg).iter(f"{SVG}path")
        if "fill: #fff" in (element.get("style") or "") and "opacity: 0" not in element.get("style")
    ]
    assert filled == []


def test_a_pdf_is_made_on_request_alone(sweep):
    runs = pair(sweep, "cub/deit_tiny", seeds=[0])
    assert draw_curves(runs).pdf is None
    assert draw_curves(runs, pdf=True).pdf.startswith(b"%PDF")


def test_a_users_matplotlibrc_changes_nothing(sweep, monkeypatch):
    import matplotlib

    runs = pair(sweep, "cub/deit_tiny", seeds=[0])
    old = draw_curves(runs).svg
    with matplotlib.rc_context({"axes.facecolor": "red", "xtick.direction": "in"}):
        assert draw_curves(runs).svg == old
        assert matplotlib.rcParams["axes.facecolor"] == "red"


def test_neither_torch_nor_pyplot_is_loaded(sweep):
    code = (
        "import sys; from pathlib import Path; from benchmark.records import status\n"
        "from reports.curves.curves import draw_curves\n"
        f"runs = status.collect(profile='paper', runs_dir=Path({str(sweep)!r}), patterns=['cub/deit_tiny'])\n"
        "assert draw_curves(runs).svg\n"
        "print([name for name in ('torch', 'matplotlib.pyplot') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout == "[]\n", done.stderr
