"""`python -m benchmark forecast` on the mini profile, and what runs record of it."""

import json
import re

import pytest
from quick_runs import QUICK, StopAfter

from benchmark import __main__ as command
from benchmark.config.compute_setup import parse
from benchmark.config.grid import select
from benchmark.config.resolve import load_profile, resolve
from benchmark.errors import RunError
from benchmark.records import forecasts
from benchmark.records.estimate import ComputeSetup, estimate_from_forecast, previous_seconds
from benchmark.records.heartbeat import RunInterrupt
from benchmark.records.run_folder import locate_run, read_result
from benchmark.records.workload import counts_key
from benchmark.timing import forecast as measuring
from benchmark.timing import rehearse
from benchmark.timing.measure import Measurement, Meter
from benchmark.training.device import prepare
from benchmark.training.request import Infrastructure
from benchmark.training.run import run_cell

BASELINE, DCAL = select(["cub/deit_tiny"])
SET = " ".join(f"{name}={value}" for name, value in QUICK.items())


@pytest.fixture
def measured(monkeypatch):
    """Measured in this process, which is faster to start, and briefly. The names of what was, in order."""
    asked = []

    def here(work, **arguments):
        asked.append(work.__name__)
        if "deit_small" in arguments.get("cell", ""):
            raise RunError("it said: Traceback\nValueError: no adapter for it")
        meter = Meter()
        result = work(meter, **arguments)
        return Measurement(meter.seconds, meter.memory_bytes(), result)

    monkeypatch.setattr(measuring, "measure", here)
    monkeypatch.setattr(rehearse, "_go_first", lambda: None)
    monkeypatch.setattr("benchmark.training.device.usable_cores", lambda: 1)
    for name, value in (("SECONDS", 0.0), ("LEAST", 2)):
        monkeypatch.setattr(rehearse, name, value)
    monkeypatch.setattr("benchmark.timing.forecast_input.PICTURES", 60)
    return asked


@pytest.fixture
def forecast(places, measured):
    def told(*more, cells="cub/deit_tiny", overrides=SET):
        asked = ["--runs", str(places.runs), "--data", str(places.data), "--cells", cells, "--set", overrides]
        return command.main(["forecast", *asked, *more])

    return told


def test_every_shape_is_measured_once_and_the_table_has_a_row_a_pair(forecast, measured, places, capsys):
    cells = "cub/deit_tiny/baseline market/deit_tiny/dcal"
    reid = "train.epochs=2 train.warmup_epochs=1 data.class_limit=3"
    assert forecast(cells=cells, overrides=reid) == 0
    assert sorted(measured) == ["rank", *["read"] * 2, *["rehearse"] * 2]
    out = capsys.readouterr().out
    assert "CUB-200-2011 · DeiT-Tiny" in out
    assert "Market-1501 · DeiT-Tiny" in out
    assert "2 runs (1 seed): " in out
    assert "V100" not in out  # nothing that is no reproduction stands beside the paper's
    (path,) = (places.runs / "mini" / "forecast").iterdir()
    found = json.loads(path.read_text())
    assert [len(found[name]) for name in ("paces", "pictures", "rankings", "counts")] == [2, 2, 1, 2]
    for one in found["paces"].values():
        pace = forecasts.Pace(**one["found"])
        assert pace.step_seconds > pace.batch_seconds > 0
        assert (pace.width, pace.precision) == (48, "float32")
        assert pace.memory_bytes > 0
    assert forecast("--seeds", "0 1", cells=cells, overrides=reid) == 0
    assert len(measured) == 5  # nothing twice
    assert "4 runs (2 seeds): " in capsys.readouterr().out


def test_a_shape_that_cannot_be_measured_is_named_and_the_rest_goes_on(forecast, capsys):
    assert forecast(cells="cub/deit_tiny/baseline cub/deit_small/baseline") == 1
    out = capsys.readouterr().out
    assert "not forecast: cub/deit_small/baseline: no adapter for it" in out
    assert "\n1 run (1 seed): " in out


def test_a_gpu_that_is_not_there_is_refused_and_nothing_is_measured(forecast, measured, monkeypatch, capsys):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert forecast("--device", "cuda") == 2
    assert "DEVICE=cuda was asked for and no GPU is visible here" in capsys.readouterr().err
    assert not measured


def quick_forecast(tmp_path, *more):
    """Of DeiT-Tiny's baseline by the real data's profile, on pictures of 32 by 32."""
    own = ["--profile", "quick", "--runs", str(tmp_path / "runs"), "--device", "cpu"]
    small = "data.resize=32,32 data.crop=32,32 train.batch_size=2"
    return command.main(["forecast", *own, "--cells", "cub/deit_tiny/baseline", "--set", small, *more])


def test_a_data_folder_that_is_not_there_is_refused_and_nothing_is_measured(measured, tmp_path, capsys):
    assert quick_forecast(tmp_path, "--data", str(tmp_path / "no such")) == 2
    assert re.search(r"DATA=.*no such is no folder: expected", capsys.readouterr().err)
    assert not measured


def test_of_a_data_folder_without_the_dataset_a_warning_says_what_stands_in(measured, tmp_path, capsys):
    assert quick_forecast(tmp_path, "--data", str(tmp_path)) == 0
    said = capsys.readouterr()
    assert (
        "WARNING: cub cannot be read, official counts stand in: CUB-200-2011: not found; looked for"
        in said.err
    )
    assert "5,794 test pictures (official counts)" in said.out


def test_without_data_official_counts_and_generated_pictures_stand_in(measured, tmp_path, capsys):
    assert quick_forecast(tmp_path) == 0
    out, err = capsys.readouterr()
    assert "WARNING" not in err
    assert "2,997 steps an epoch, 5,794 test pictures (official counts); pictures: generated, 500×375" in out
    assert "V100" not in out


def run(places, overrides=QUICK, tune="", **options):
    return run_cell(
        DCAL, 0, "mini", places, overrides=overrides,
        infrastructure=Infrastructure(device="cpu", quiet=True, checkpoint_seconds=0.0, tuning=parse(tune)), **options,
    )  # fmt: skip


def test_a_run_records_what_was_forecast_beside_what_it_took(forecast, places, capsys):
    assert forecast(cells="cub/deit_tiny/dcal") == 0
    assert "done:" not in capsys.readouterr().out
    config = resolve(DCAL, 0, load_profile("mini"), QUICK)
    where = forecasts.Machine.of("cpu", prepare("cpu", "auto", 1).name, 1)
    stored = forecasts.read_forecast(forecasts.forecast_path(places.runs, "mini", where))
    said = estimate_from_forecast(config, stored, stored.dataset_counts(counts_key(config)), workers=0)
    with pytest.raises(RunInterrupt):
        run(places, stop=StopAfter(11))  # in the third epoch: what came before counts, too
    cost = run(places)["cost"]
    assert cost["attempts"] == 2
    assert cost["forecast_seconds"] == pytest.approx(said.run_seconds, abs=0.06)
    assert cost["seconds"] > cost["train_seconds"] > 0
    assert read_result(locate_run(config, places.runs))[0]["cost"] == cost
    assert forecast(cells="cub/deit_tiny/dcal") == 0
    (line,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("done:")]
    assert line.startswith("done: cub/deit_tiny/dcal/seed0: forecast ")


def test_a_run_of_another_shape_records_no_forecast(forecast, places):
    assert forecast(cells="cub/deit_tiny/dcal") == 0
    other = run(places, QUICK | {"train.batch_size": 8, "train.epochs": 1})
    assert "forecast_seconds" not in other["cost"]
    assert other["cost"]["seconds"] >= other["cost"]["train_seconds"]


def test_a_run_of_other_code_than_was_measured_records_no_forecast(forecast, places, monkeypatch):
    assert forecast(cells="cub/deit_tiny/dcal") == 0
    now = forecasts.measurement_origin()
    monkeypatch.setattr(forecasts, "measurement_origin", lambda: now | {"code": "another"})
    assert "forecast_seconds" not in run(places, QUICK | {"train.epochs": 1})["cost"]


def taken(places, device, tuning=""):
    config = resolve(DCAL, 1, load_profile("mini"), QUICK)  # another seed is as good
    return previous_seconds(config, places.runs, 1, ComputeSetup(device, tuning))


def test_what_a_run_took_is_told_of_its_own_device_and_tuning(places):
    with pytest.raises(RunInterrupt):
        run(places, tune="recompute=true", stop=StopAfter(6))
    assert taken(places, "cpu", "recompute=true") > 0
    assert taken(places, "cpu") is None
    assert taken(places, "cuda", "recompute=true") is None


def test_what_a_run_took_that_went_on_otherwise_is_told_of_neither_way(places):
    for tune in ("", "recompute=true"):
        with pytest.raises(RunInterrupt):
            run(places, tune=tune, stop=StopAfter(6))
    assert taken(places, "cpu") is None
    assert taken(places, "cpu", "recompute=true") is None
