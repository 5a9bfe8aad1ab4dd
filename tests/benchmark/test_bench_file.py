"""The bench's file: rows of each benchmark, what is kept of earlier ones, failures, devices."""

import json

import pytest

from benchmark.commands import bench
from benchmark.errors import RunError
from benchmark.timing.bench import results
from benchmark.timing.bench.results import Disagreement


class Fake:
    """A benchmark that costs nothing."""

    def __init__(self, name, on="device", error=None, seconds=1.0):
        self.name, self.on, self.error, self.seconds = name, on, error, seconds

    def run(self, device):
        if self.error:
            raise self.error
        return [results.BenchRow(self.name, "case", "time", "s", [self.seconds])]


def install(monkeypatch, *fakes):
    monkeypatch.setattr(bench, "BENCHMARKS", {fake.name: fake for fake in fakes})


@pytest.mark.parametrize("error", [RunError("not here"), Disagreement("1 and 2")], ids=["error", "disagree"])
def test_a_benchmark_that_fails_costs_its_own_rows_alone_and_is_named_last(
    error, monkeypatch, tmp_path, capsys
):
    install(monkeypatch, Fake("first"), Fake("second", error=error), Fake("third"))
    assert bench.main(["--out", str(tmp_path)]) == 1
    assert [row["benchmark"] for row in rows_in(tmp_path / "bench.json")] == ["first", "third"]
    said = capsys.readouterr()
    assert "third" in said.out
    assert str(error) in said.err
    assert said.err.splitlines()[-1].startswith("error: 1 of 3 benchmarks have no result")
    assert said.err.endswith(": second\n")


def only(name, folder):
    return bench.main(["--only", name, "--out", str(folder)])


def rows_in(file):
    return json.loads(file.read_text())["rows"]


def medians(folder):
    return {row["benchmark"]: row["ours"]["median"] for row in rows_in(folder / "bench.json")}


def test_one_benchmark_alone_keeps_the_earlier_rows_of_the_others(monkeypatch, tmp_path):
    install(monkeypatch, Fake("first"), Fake("second"))
    assert only("first", tmp_path) == 0
    assert only("second", tmp_path) == 0
    assert medians(tmp_path) == {"first": 1.0, "second": 1.0}
    install(monkeypatch, Fake("first", seconds=2.0), Fake("second", error=RunError("not here")))
    assert bench.main(["--out", str(tmp_path)]) == 1
    assert medians(tmp_path) == {"first": 2.0, "second": 1.0}
    assert [file.name for file in tmp_path.iterdir()] == ["bench.json"]


def test_every_row_says_when_it_was_measured(monkeypatch, tmp_path):
    install(monkeypatch, Fake("first"), Fake("second"))
    machine = results.machine("cpu")
    for name in ("first", "second"):
        monkeypatch.setattr(results, "machine", lambda device, name=name: machine | {"started": name})
        only(name, tmp_path)
    assert [(row["benchmark"], row["started"]) for row in rows_in(tmp_path / "bench.json")] == [
        ("first", "first"), ("second", "second"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "change",
    [
        {"commit": "0" * 40},
        {"dirty": "otherwise"},
        {"changes": "other"},
        {"cpu": "other"},
        {"usable_cores": 99},
        {"versions": {"python": "3.11.1"}},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_file_of_another_machine_or_code_is_set_aside_whole(change, monkeypatch, tmp_path, capsys):
    install(monkeypatch, Fake("first"), Fake("second"))
    only("first", tmp_path)
    before = (tmp_path / "bench.json").read_text()
    machine = results.machine("cpu") | change
    monkeypatch.setattr(results, "machine", lambda device: machine)
    assert only("second", tmp_path) == 0
    assert medians(tmp_path) == {"second": 1.0}
    (aside,) = [file for file in tmp_path.iterdir() if file.name != "bench.json"]
    assert aside.read_text() == before
    assert str(aside) in capsys.readouterr().err


def test_a_damaged_file_is_set_aside(monkeypatch, tmp_path):
    install(monkeypatch, Fake("first"))
    (tmp_path / "bench.json").write_text('{"rows": [')
    assert only("first", tmp_path) == 0
    (aside,) = tmp_path.glob("bench.json.damaged-*")
    assert aside.read_text() == '{"rows": ['
    assert medians(tmp_path) == {"first": 1.0}


def test_a_file_stays_where_it_is_if_nothing_was_measured(monkeypatch, tmp_path):
    install(monkeypatch, Fake("first", error=RunError("not here")))
    (tmp_path / "bench.json").write_text("of another time")
    assert only("first", tmp_path) == 1
    assert [file.read_text() for file in tmp_path.iterdir()] == ["of another time"]


def test_each_device_has_a_file_of_its_own(monkeypatch, tmp_path):
    install(monkeypatch, Fake("first"))
    machine = results.machine("cpu")
    monkeypatch.setattr(results, "machine", lambda device: machine | {"device": device, "gpu": "H200"})
    for device in ("cuda", "cpu"):
        assert bench.main(["--device", device, "--out", str(tmp_path)]) == 0
    assert sorted(file.name for file in tmp_path.iterdir()) == ["bench-cuda.json", "bench.json"]
    assert json.loads((tmp_path / "bench-cuda.json").read_text())["device"] == "cuda"


def test_what_is_for_gpus_is_left_out_elsewhere_and_refused_by_name(monkeypatch, tmp_path, capsys):
    install(monkeypatch, Fake("first"), Fake("second", on="gpu"), Fake("third", on="host"))
    assert bench.main(["--out", str(tmp_path)]) == 0
    assert [row["benchmark"] for row in rows_in(tmp_path / "bench.json")] == ["first", "third"]
    with pytest.raises(SystemExit):
        bench.main(["--only", "second", "--out", str(tmp_path)])
    assert "--device cuda" in capsys.readouterr().err


def test_a_gpu_that_is_not_there_is_refused_before_anything_is_measured(monkeypatch, tmp_path, capsys):
    install(monkeypatch, Fake("first"))
    monkeypatch.setattr(results, "count_gpus", lambda: 0)
    assert bench.main(["--device", "cuda", "--out", str(tmp_path)]) == 2
    assert "none is visible" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
