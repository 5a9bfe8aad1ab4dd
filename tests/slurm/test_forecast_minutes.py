"""minutes = "auto" from forecasts, for cells of which no run has measured the time."""

import dataclasses
import json

import pytest
from submitted_runs import SITE, folder

from benchmark.config import resolve
from benchmark.config.compute_setup import Tuning
from benchmark.config.grid import select
from benchmark.records import forecasts, workload
from benchmark.records.estimate import estimate_from_forecast
from benchmark.records.forecasts import Machine, Pace, ReadingPace, entry
from benchmark.records.workload import reading_key, step_workload
from slurm.arrays import TimeLimits
from slurm.cluster import Cluster, Resources

CPU, GPU = Machine("cpu", "a CPU", 1), Machine("cuda", "a GPU")


@pytest.fixture
def runs(tmp_path):
    return tmp_path / "runs"


@pytest.fixture
def site(tmp_path):
    return Cluster(file=tmp_path, classes=(), longest=480, margin=2.0, notice_seconds=60)


def config_of(profile="mini"):
    return resolve.resolve(select(["cub/deit_tiny/dcal"])[0], 0, resolve.load_profile(profile), {})


def write(runs, machine, run_seconds, *, batch_size=None, workers=0, reading=0.0, by=None):
    """Write a forecast of a run of the cell.

    run_seconds: of all training steps. reading: time of one worker for reading the images, in multiples of run_seconds.
    """
    config, by = config_of("mini" if machine.type == "cpu" else "paper"), by or forecasts.measurement_origin()
    counted = workload.DatasetCounts(classes=12, train=240, steps=15, test=240, source=workload.AT_HAND)
    pace = Pace(run_seconds / config.settings.train.epochs / 15, 0.0, 1, 192, "float32")
    shape = step_workload(config, 12)
    if batch_size:
        shape = dataclasses.replace(shape, batch_size=batch_size)
    pictures = reading_key("cub", config.settings.data, in_process=not workers)
    per_second = config.settings.train.batch_size / (reading * pace.step_seconds) if reading else 1e12
    forecasts.add_entries(
        forecasts.forecast_path(runs, config.profile, machine),
        machine,
        paces={shape.key: entry(pace, {}, by)},
        pictures={pictures: entry(ReadingPace(per_second, "its own", True), {}, by)},
        counts={workload.counts_key(config): entry(counted, {}, by)},
    )


def write_progress(tmp_path, seconds, **way):
    """Write a half-done run of another seed. seconds: of the whole run. way: as recorded at its start, if given."""
    measured = folder(tmp_path, seed=1)
    measured.make()
    started = {"identity": dict(config_of().identity)} | ({"way": way} if way else {})
    measured.config.write_text(json.dumps(started))
    beat = {"time": 0.0, "epoch": 4, "epochs": 8, "step": 0, "steps": 9, "seconds": seconds / 2}
    measured.heartbeat.write_text(json.dumps(beat))


def limit(site, runs, *, profile="mini", tuning=Tuning(), workers=None, **resources):  # noqa: B008
    resources = Resources(**{"cpus": 1, "gpus": 0, "minutes": "auto"} | resources)
    return TimeLimits(site, runs, "auto", tuning, workers).minutes(resources, config_of(profile))


def test_a_forecast_is_the_limit_with_the_margin_and_the_notice(site, runs):
    for minutes, minutes_limit in ((14, 30), (29, 60), (31, 120), (10_000, 480)):
        write(runs, CPU, minutes * 60)  # twice, and a minute: 29, 59, 63 and more than the site allows
        assert limit(site, runs) == (minutes_limit, "forecast × 2, rounded up")


def test_what_the_cell_took_comes_before_what_was_forecast(site, runs, tmp_path):
    write(runs, CPU, 29 * 60)
    write_progress(tmp_path, 14 * 60, device="cpu", tuning="")
    assert limit(site, runs) == (30, "measured × 2, rounded up")


@pytest.mark.parametrize(
    "way", [{"device": "cuda", "tuning": ""}, {"device": "cpu", "tuning": "recompute=true"}, {}], ids=str
)
def test_what_the_cell_took_computed_another_way_is_no_measure(site, runs, tmp_path, way):
    write(runs, CPU, 29 * 60)
    write_progress(tmp_path, 14 * 60, **way)
    assert limit(site, runs) == (60, "forecast × 2, rounded up")


def test_a_tuned_run_is_the_measure_of_a_tuned_job(site, runs, tmp_path):
    write_progress(tmp_path, 14 * 60, device="cpu", tuning="recompute=true")
    assert limit(site, runs, tuning=Tuning(recompute=True)) == (30, "measured × 2, rounded up")


def test_the_slowest_machine_counts_since_nobody_knows_the_node(site, runs):
    write(runs, CPU, 60)
    write(runs, Machine("cpu", "a slow CPU", 1), 29 * 60)
    assert limit(site, runs)[0] == 60


def test_machines_of_another_kind_or_with_more_threads_do_not_count(site, runs):
    write(runs, GPU, 60)
    write(runs, Machine("cpu", "a CPU", 2), 60)
    minutes, source = limit(site, runs)
    assert minutes == 480
    assert source.startswith("longest: nothing measured")


def test_a_gpu_s_forecast_is_for_jobs_on_gpus_with_workers(site, runs):
    write(runs, GPU, 29 * 60, workers=4)
    assert limit(site, runs, profile="paper", gpus=1, cpus=4) == (60, "forecast × 2, rounded up")


def test_a_forecast_is_for_the_workers_that_jobs_were_asked_to_have(site, runs):
    # Steps of 7 minutes, whose pictures one worker reads in 14, four in 3.5; evaluations only read, as many pictures.
    write(runs, GPU, 7 * 60, workers=4, reading=2.0)
    job = {"profile": "paper", "gpus": 1, "cpus": 4}
    assert limit(site, runs, **job)[0] == 30
    assert limit(site, runs, **job, workers=1)[0] == 60
    assert limit(site, runs, **job, workers=0)[1].startswith(
        "longest"
    )  # reading in the run itself was not measured


def test_a_launch_s_workers_reach_the_limits(launch, runs, tmp_path):
    write(runs, CPU, 29 * 60)
    file = tmp_path / "auto.toml"
    file.write_text(SITE.replace("60", '"auto"'))
    for workers, source in (("0", "forecast"), ("2", "longest")):  # reading by workers was not measured
        launch_arguments = ("submit", "--dry", "--cluster", str(file), "--workers", workers)
        assert f"minutes: {source}" in launch(*launch_arguments, cells="cub/deit_tiny/dcal")[1]


@pytest.mark.parametrize("changed", ["code", "torch", "timm"])
def test_a_forecast_of_other_code_still_counts_and_is_named_so(site, runs, changed):
    write(runs, CPU, 29 * 60, by=forecasts.measurement_origin() | {changed: "another"})
    assert limit(site, runs) == (60, "forecast of other code or torch × 2, rounded up")


def test_several_gpus_are_not_taken_to_be_faster_unless_their_share_was_measured(site, runs):
    write(runs, GPU, 29 * 60, workers=4)
    four = {"profile": "paper", "gpus": 4, "cpus": 4}
    assert limit(site, runs, **four) == (60, "forecast of one process alone × 2, rounded up")
    write(runs, GPU, 14 * 60, workers=4, batch_size=4)
    assert limit(site, runs, **four) == (30, "forecast × 2, rounded up")


def test_a_forecast_with_another_tuning_is_none(site, runs):
    write(runs, CPU, 60)
    assert limit(site, runs, tuning=Tuning(recompute=True))[0] == 480


def test_a_damaged_forecast_is_none(site, runs):
    write(runs, CPU, 60)
    path = forecasts.forecast_path(runs, "mini", CPU)
    path.write_text(path.read_text()[:-50])
    assert limit(site, runs)[0] == 480


def test_the_written_forecast_is_of_the_cell(runs):
    write(runs, CPU, 1000)
    (forecast,) = forecasts.read_forecasts(runs, "mini")
    counted = forecast.dataset_counts(workload.counts_key(config_of()))
    assert estimate_from_forecast(config_of(), forecast, counted, workers=0).run_seconds == pytest.approx(
        1000
    )
