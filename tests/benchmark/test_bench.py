"""The bench's frame, and ranking and start-up on tiny sizes: what is measured is there, and nothing that disagrees."""

import importlib
import inspect
import json
from dataclasses import replace

import numpy as np
import pytest

from benchmark.commands import bench
from benchmark.errors import RunError
from benchmark.evaluation.ranking import rank_features
from benchmark.timing.bench import commands, ranking, results
from benchmark.timing.bench import ranking as ranking_bench
from benchmark.timing.bench.results import Disagreement, check_agreement

TINY = ranking_bench.RankingCase(
    "tiny", 60, 500, 20, 80, 5, 2, ranking_bench.RankingBars(1e-9, 1e9, times_faster=1e9), dimensions=16
)
SIZE = {
    "queries": 60,
    "gallery": 500,
    "identities": 20,
    "distractors": 80,
    "cameras": 5,
    "dimensions": 16,
}


# Measured in a process of its own, which finds it by this module's name.
def another_result(meter, **size):
    ranking_bench.work_of_full_sort(meter, **size)
    return {"mAP": 1.0, "R1": 2.0, "valid": 3}


def test_both_pipelines_come_to_the_same_numbers():
    queries, gallery, query_items, gallery_items = ranking_bench.draw(**SIZE)
    ours = rank_features(queries, gallery, query_items, gallery_items)
    full = ranking.rank(ranking.distance_matrix(queries, gallery), query_items, gallery_items)
    assert full == pytest.approx({"mAP": ours.mean_ap(), "R1": ours.cmc(1), "valid": ours.valid.sum()})
    assert 5 < full["mAP"] < 95


def test_drawn_items_have_the_sizes_asked_for_and_are_always_the_same():
    queries, gallery, query_items, gallery_items = ranking_bench.draw(**SIZE)
    assert queries.shape == (60, 16)
    assert gallery.shape == (500, 16)
    assert np.count_nonzero(gallery_items.identities == -1) == 80
    assert set(gallery_items.identities) == set(range(-1, 20))
    assert set(query_items.identities) <= set(range(20))
    assert len({*zip(query_items.identities, query_items.cameras, strict=True)}) == 60
    again = ranking_bench.draw(**SIZE)
    assert (again[1] == gallery).all()
    assert (again[2].cameras == query_items.cameras).all()


@pytest.mark.parametrize("name", ["mAP", "R1", "valid"])
def test_a_difference_in_any_number_is_a_disagreement(name):
    numbers = {"mAP": 50.0, "R1": 70.0, "valid": 100}
    check_agreement("case", numbers, numbers | {name: numbers[name] * (1 + 1e-8)})
    with pytest.raises(Disagreement, match="case"):
        check_agreement("case", numbers, numbers | {name: numbers[name] * (1 + 1e-5)})


def test_pipelines_that_disagree_end_the_bench_with_1_and_no_file(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(ranking_bench, "CASES", [TINY])
    monkeypatch.setattr(ranking_bench, "work_of_full_sort", another_result)
    assert bench.main(["--only", "ranking", "--out", str(tmp_path)]) == 1
    assert "disagree" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_the_bench_prints_a_table_and_writes_what_it_measured(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(ranking_bench, "CASES", [TINY])
    out = tmp_path / "my runs" / "bench"
    assert bench.main(["--only", "ranking", "--out", str(out)]) == 0
    written = json.loads((out / "bench.json").read_text())
    assert {"cpu", "cores", "usable_cores", "platform", "versions", "commit", "dirty", "started"} <= {
        *written
    }
    assert {"python", "torch", "numpy"} <= {*written["versions"]}
    by_quantity = {row["quantity"]: row for row in written["rows"]}
    assert list(by_quantity) == ["distances", "ranking", "total", "memory above the features"]
    for row in written["rows"]:
        assert row["case"] == "tiny (60 × 500)"
        for side in (row["ours"], row["other"]):
            assert len(side["repeats"]) == 2
            assert min(side["repeats"]) <= side["median"] <= max(side["repeats"])
        assert row["ratio"] == pytest.approx(row["other"]["median"] / row["ours"]["median"])
        assert row["ratio_of"] == "other/ours"
    for index in range(2):
        parts = [by_quantity[name]["ours"]["repeats"][index] for name in ("distances", "ranking")]
        assert sum(parts) == pytest.approx(by_quantity["total"]["ours"]["repeats"][index])
    assert by_quantity["ranking"]["met"] is False  # missed bars are told and are no error
    assert by_quantity["total"]["met"] is False
    assert by_quantity["memory above the features"]["met"] is True
    assert by_quantity["distances"]["met"] is None
    printed = capsys.readouterr().out
    assert "≥ 1e+09 ×" in printed
    assert "NO" in printed
    assert str(out / "bench.json") in printed
    for shown in (written["cpu"], f"torch {written['versions']['torch']}", "python ", "timm ", " threads"):
        assert shown in printed


def test_a_full_sort_without_the_memory_is_left_out_and_the_rows_say_why(monkeypatch):
    monkeypatch.setattr(ranking_bench, "available_bytes", lambda: 1000)
    measured = ranking_bench.run([TINY])
    assert all(not row.other and "not run" in row.note for row in measured)
    assert {row.quantity: row.met for row in measured}["ranking"] is None
    assert results.table(measured).count("not run") == 1


@pytest.mark.parametrize(
    ("bars", "met"),
    [
        ({}, None),
        ({"most": 3.1}, True),
        ({"most": 3.0}, False),
        ({"times": 4.0}, True),
        ({"times": 4.1}, False),
        ({"most": 3.1, "times": 4.1}, False),
    ],
)
def test_bars_are_held_against_the_medians(bars, met):
    row = results.BenchRow("ranking", "case", "total", "s", [100, 3, 2], [12, 1, 13], "other", **bars)
    assert row.ratio == 4
    assert row.met is met


@pytest.mark.parametrize(
    ("bar", "met"), [(None, None), (2.5, True), (2.4, False)], ids=["no bar", "reached", "missed"]
)
def test_a_cost_is_ours_over_the_others_and_its_bar_an_upper_one(bar, met):
    row = results.BenchRow(
        "training", "case", "step", "s", [9, 5, 4], [1, 2, 3], "timm", times=bar, cost=True
    )
    assert row.ratio == 2.5
    assert row.met is met
    assert row.record()["ratio_of"] == "ours/other"
    assert ("≤" in results.table([row])) is (bar is not None)


def test_a_ratio_to_nothing_is_none():
    assert results.BenchRow("rollout", "case", "memory", "MB", [0.0], [3.0], "product", times=2).ratio is None


def test_every_benchmark_takes_the_device_unless_it_is_the_same_on_all():
    for name, benchmark in bench.BENCHMARKS.items():
        function = getattr(importlib.import_module(benchmark.module), benchmark.function)
        takes = list(inspect.signature(function).parameters)
        assert (takes[:1] == ["device"]) is (benchmark.on != "host"), name


def test_an_output_folder_that_cannot_be_written_is_refused_before_anything_is_measured(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert bench.main(["--out", str(tmp_path / "file")]) == 2
    assert "file" in capsys.readouterr().err


def test_start_up_times_are_of_commands_that_said_what_they_should():
    (listed,) = commands.run(commands.COMMANDS[:1], 2)
    assert listed.case == "204 runs, 36 done"
    assert len(listed.ours) == 2
    assert min(listed.ours) > 0
    silent = replace(commands.COMMANDS[0], says="no such words")
    with pytest.raises(RunError, match=r"(?s)did not say 'no such words': .*204 runs: 36 done"):
        commands.run([silent], 1)


def test_a_checkout_without_the_sample_of_run_records_is_refused_in_words(monkeypatch, tmp_path):
    monkeypatch.setattr(commands, "SAMPLE", tmp_path)
    with pytest.raises(RunError, match="no run folders, expected the sample of run records"):
        commands.run()
