"""Forecasts on the disk: merged, never lost, measured again only where something changed."""

import json
import subprocess
import sys

import pytest

from benchmark.errors import RunError
from benchmark.records import forecasts
from benchmark.records.forecasts import Forecast, Machine, Pace, ReadingPace, entry
from benchmark.records.provenance import ROOT
from benchmark.timing import forecast as measuring
from benchmark.timing.forecast import MeasurementRequest

CPU = Machine("cpu", "Some CPU @ 2 GHz", 2)
BY = {"code": "c", "torch": "t", "timm": "i"}


def pace(seconds):
    return Pace(seconds, 1.0, 1, 192, "float32")


def want(key="k", table="paces", data=""):
    kind = {"paces": Pace, "pictures": ReadingPace}[table]
    return MeasurementRequest(table, key, "a shape", {}, kind, ("rehearse", "rehearse"), {"data": data})


@pytest.fixture
def path(tmp_path):
    return forecasts.forecast_path(tmp_path / "my runs", "mini", CPU)


@pytest.fixture
def measured(monkeypatch):
    """What was measured, in order; every measurement takes as many seconds as there were before it."""
    asked = []

    def run(module, function, **arguments):
        asked.append((module, function, arguments))
        if arguments.get("data") is not None and module == "forecast_input":
            return {"per_second": 1.0, "text": "x", "at_hand": bool(arguments["data"])}
        return vars(pace(float(len(asked))))

    monkeypatch.setattr(measuring, "run", run)
    monkeypatch.setattr(forecasts, "measurement_origin", lambda: dict(BY))
    return asked


def test_a_file_is_named_by_device_and_threads(path):
    assert path.name == "some-cpu-2-ghz-2-threads.json"
    assert path.parent.name == "forecast"
    assert Machine.of("cuda", "NVIDIA H200", 8).slug == "nvidia-h200"


def test_what_was_there_stays_and_what_is_new_joins_it(path):
    forecasts.add_entries(path, CPU, paces={"a": entry(pace(1.0), {}, BY), "b": entry(pace(2.0), {}, BY)})
    forecasts.add_entries(path, CPU, paces={"b": entry(pace(3.0), {}, BY)}, pictures={"p": {}})
    found = forecasts.read_forecast(path)
    assert found.machine == CPU
    assert {key: one["found"]["step_seconds"] for key, one in found.paces.items()} == {"a": 1.0, "b": 3.0}
    assert found.pictures == {"p": {}}
    assert forecasts.read_forecasts(path.parents[2], "mini") == [found]
    assert forecasts.read_forecasts(path.parents[2], "quick") == []


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"machine": 1}', '{"machine": {"type": "tpu", "name": "x"}}']
)
def test_a_damaged_file_is_set_aside_and_begun_anew(path, text):
    path.parent.mkdir(parents=True)
    path.write_text(text)
    assert forecasts.read_forecast(path) is None
    forecasts.add_entries(path, CPU, paces={"a": entry(pace(1.0), {}, BY)})
    assert list(forecasts.read_forecast(path).paces) == ["a"]
    (aside,) = path.parent.glob("*.damaged-*")
    assert aside.read_text() == text


@pytest.mark.parametrize(
    "found",
    [
        None,
        {},
        {"step_seconds": 1.0},
        vars(pace(-1.0)),
        vars(pace(float("inf"))),
        vars(pace("x")) | {"width": []},
    ],
)
def test_a_measurement_that_is_none_is_not_there(found):
    class Any:
        key = "k"

    assert Forecast(CPU, paces={"k": {"found": found}}).pace(Any) is None
    assert Forecast(CPU, paces={"k": []}).pace(Any) is None


def test_only_what_is_lacking_is_measured_and_again_measures_all(path, measured):
    for again, times in ((False, 1), (False, 1), (True, 2)):
        measuring.complete(path, CPU, [want()], again=again)
        assert len(measured) == times


@pytest.mark.parametrize("changed", ["code", "torch", "timm"])
def test_other_code_or_torch_is_measured_again(path, measured, monkeypatch, changed):
    measuring.complete(path, CPU, [want()], again=False)
    monkeypatch.setattr(forecasts, "measurement_origin", lambda: BY | {changed: "another"})
    forecast, _ = measuring.complete(path, CPU, [want()], again=False)
    assert len(measured) == 2
    assert forecast.paces["k"][changed] == "another"


def test_a_damaged_measurement_is_made_again(path, measured):
    measuring.complete(path, CPU, [want()], again=False)
    torn = json.loads(path.read_text())
    del torn["paces"]["k"]["found"]["step_seconds"]
    path.write_text(json.dumps(torn))
    forecast, _ = measuring.complete(path, CPU, [want()], again=False)
    assert forecast.paces["k"]["found"]["step_seconds"] == 2.0


def test_generated_pictures_make_way_for_the_dataset_s_own_and_not_the_other_way_round(path, measured):
    own, generated = (
        MeasurementRequest("pictures", "k", "x", {}, ReadingPace, ("forecast_input", "read"), {"data": data})
        for data in ("/data", "")
    )
    for one, times in ((generated, 1), (generated, 1), (own, 2), (own, 2), (generated, 2)):
        measuring.complete(path, CPU, [one], again=False)
        assert len(measured) == times


def test_what_cannot_be_measured_is_named_and_the_rest_is_kept(path, measured, monkeypatch, capsys):
    works = measuring.run

    def fails_once(module, function, **arguments):
        if arguments["data"] == "bad":
            raise RunError("no adapter")
        return works(module, function, **arguments)

    monkeypatch.setattr(measuring, "run", fails_once)
    wanted = [want("a"), want("b", data="bad"), want("c")]
    forecast, problems = measuring.complete(path, CPU, wanted, again=False)
    assert problems == {"b": "no adapter"}
    assert list(forecast.paces) == list(json.loads(path.read_text())["paces"]) == ["a", "c"]
    assert "cannot be measured: no adapter" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (
            "it said: Traceback\n  File x\nValueError: DCAL has no adapter for X: y",
            "DCAL has no adapter for X: y",
        ),
        ("Traceback\ntorch.OutOfMemoryError: CUDA out of memory. Tried", "CUDA out of memory. Tried"),
        ("measuring rehearse ended with -9 where 0 was expected; it said: a warning", "for want of memory"),
        ("measuring rehearse ended with 3 where 0 was expected; it said: oh", "ended with 3"),
    ],
)
def test_of_a_process_s_last_words_the_reason_is_told(said, reason):
    assert reason in measuring._reason(said)
    assert "Traceback" not in measuring._reason(said)


def test_a_process_that_fails_is_an_error_in_one_line():
    with pytest.raises(RunError, match=r"^read\(\) got multiple values for argument 'meter'$"):
        measuring.run("forecast_input", "read", meter=1)


def test_what_a_launch_reads_of_forecasts_never_loads_torch():
    script = "import sys, slurm.arrays, benchmark.commands.forecast; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], cwd=ROOT).returncode == 0
