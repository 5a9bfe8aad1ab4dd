"""Estimates of the time that runs take, computed from measurements."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal

from benchmark.config.resolve import Config
from benchmark.data.fgvc import FGVCDataset
from benchmark.data.reid import ReIDDataset
from benchmark.records import forecasts
from benchmark.records.forecasts import Forecast, Machine, Pace, RankingTime, ReadingPace, ranking_key
from benchmark.records.progress import read_progress
from benchmark.records.run_folder import RunFolder, locate_run, read_json
from benchmark.records.submission import read_submission
from benchmark.records.workload import DatasetCounts, count_dataset, counts_key, reading_key, step_workload


@dataclass(frozen=True)
class Estimate:
    """Estimated time of a run, without start-up.

    epoch_seconds: training time of an epoch.
    evaluation_seconds: time of one evaluation.
    memory_bytes: peak memory of a process.
    bound: what limits the speed of an epoch.
    shared: whether several ranks count as faster in training than one.
    fresh: whether all measurements were made with this code, torch and timm.
    """

    epoch_seconds: float
    evaluation_seconds: float
    run_seconds: float
    memory_bytes: int
    bound: Literal["compute", "input"]
    shared: bool = True
    fresh: bool = True


def estimate(
    config: Config,
    counts: DatasetCounts,
    pace: Pace,
    pictures: ReadingPace,
    ranking: RankingTime | None,
    *,
    workers: int,
    ranks: int = 1,
    share: Pace | None = None,
) -> Estimate:
    """Estimate the time of a run. The communication between ranks is not included.

    ranking: time of the gallery's ranking, None without one.
    workers: decoding processes of each rank. Without any, reading and computing times add up. With n, reading is n
        times as fast, and the longer of the two times counts.
    ranks: evaluations are distributed over them in batches.
    share: pace of a rank's share of a batch. Without it, several ranks count as no faster in training than one, since
        a smaller batch does not take proportionally less time.
    """
    settings, batch = config.settings, config.settings.train.batch_size
    streams = 2 if config.pwca is not None and config.pwca.brings_partners else 1
    compute = (share or pace).step_seconds
    reading = streams * math.ceil(batch / ranks) / pictures.per_second
    epoch = counts.steps * _combined_seconds(compute, reading, workers)
    batches = math.ceil(math.ceil(counts.test / batch) / ranks)
    evaluation = batches * _combined_seconds(pace.batch_seconds, batch / pictures.per_second, workers)
    if ranking is not None:
        # SA's features; with GLCA also GLCA's, and both together.
        widths = (pace.width, pace.width, 2 * pace.width) if config.glca else (pace.width,)
        evaluation += sum(map(ranking.seconds, widths))
    epochs = settings.train.epochs
    return Estimate(
        epoch,
        evaluation,
        epochs * epoch + evaluation_count(epochs, settings.evaluate.every) * evaluation,
        (share or pace).memory_bytes,
        "input" if reading / max(1, workers) > compute else "compute",
        shared=ranks == 1 or share is not None,
    )


def _combined_seconds(compute: float, reading: float, workers: int) -> float:
    return max(compute, reading / workers) if workers else compute + reading


def evaluation_count(epochs: int, every: int) -> int:
    """Number of evaluations of a run: after every ``every``-th epoch, and after the last epoch."""
    return epochs // every + (epochs % every > 0)


def estimate_from_forecast(
    config: Config,
    forecast: Forecast,
    counts: DatasetCounts | None,
    *,
    workers: int,
    ranks: int = 1,
    tuning: str = "",
) -> Estimate | None:
    """Estimate the time of a run from a machine's forecast, fresh or not; None if a measurement is missing."""
    if counts is None:
        return None
    workload = step_workload(config, counts.classes, tuning)
    pace = forecast.pace(workload)
    key = reading_key(config.cell.dataset, config.settings.data, in_process=not workers)
    pictures, ranking = forecast.reading_pace(key), forecast.ranking(counts) if counts.gallery else None
    if pace is None or pictures is None or not pictures.per_second or (counts.gallery and ranking is None):
        return None
    share = forecast.pace(workload.share(ranks)) if ranks > 1 else None
    measurements = [forecast.paces[workload.key], forecast.pictures[key]]
    if ranking:
        measurements.append(forecast.rankings[ranking_key(counts)])
    if share:
        measurements.append(forecast.paces[workload.share(ranks).key])
    result = estimate(config, counts, pace, pictures, ranking, workers=workers, ranks=ranks, share=share)
    origin = forecasts.measurement_origin()
    return replace(result, fresh=all(forecasts.is_fresh(measurement, origin) for measurement in measurements))


# --- Estimates from the forecasts in the runs folder ---


def forecast_seconds(
    config: Config,
    dataset: FGVCDataset | ReIDDataset,
    runs: Path,
    machine: Machine,
    *,
    workers: int,
    ranks: int = 1,
    tuning: str = "",
) -> float | None:
    """Estimated seconds of a run that is about to start, for its record.

    None if nothing was measured for its device and workload with this code, torch and timm: in the record, an estimate
    for other code would be misleading.
    """
    forecast = forecasts.read_forecast(forecasts.forecast_path(runs, config.profile, machine))
    if forecast is None or forecast.machine != machine:
        return None
    counts = count_dataset(config, dataset)
    result = estimate_from_forecast(config, forecast, counts, workers=workers, ranks=ranks, tuning=tuning)
    return round(result.run_seconds, 1) if result and result.fresh else None


def estimate_job(
    config: Config,
    forecasts: Iterable[Forecast],
    device_type: str,
    *,
    threads: int,
    workers: int,
    ranks: int = 1,
    tuning: str = "",
) -> Estimate | None:
    """Estimate the time of a cluster job, with the dataset counts in each forecast; None if no forecast has them.

    The node of the job is unknown: the slowest of the measured devices counts, without those of more threads than the
    job's. Forecasts of other code count, too; ``fresh`` tells.
    """
    estimates = [
        estimate_from_forecast(
            config,
            forecast,
            forecast.dataset_counts(counts_key(config)),
            workers=workers,
            ranks=ranks,
            tuning=tuning,
        )
        for forecast in forecasts
        if forecast.machine.type == device_type and forecast.machine.threads <= threads
    ]
    available = [estimate for estimate in estimates if estimate is not None]
    return max(available, key=lambda estimate: estimate.run_seconds, default=None)


# --- Time of a run, from earlier runs of the same cell ---

# A shorter part of a run tells more about its start than about its pace.
MIN_SHARE = 0.05


@dataclass(frozen=True)
class ComputeSetup:
    """Device and tuning that determine a run's speed. device: cpu or cuda. tuning: the Tuning as text, as in TUNE."""

    device: str
    tuning: str


def setup_record(folder: RunFolder, hash: str, setup: ComputeSetup) -> dict[str, str] | None:
    """The setup that the start of an attempt records as ``way`` in config.json.

    None if an earlier attempt of the same run hash used another setup, or did not record it: the time of all attempts
    is added up, and belongs to no single setup.
    """
    previous = read_json(folder.config) or {}
    goes_on = previous.get("hash") == hash
    return asdict(setup) if not goes_on or previous.get("way") == asdict(setup) else None


def previous_seconds(config: Config, runs_dir: Path, ranks: int, setup: ComputeSetup) -> float | None:
    """Seconds of a whole run, evaluations included, from earlier runs of the cell.

    The longest time of any seed with the same settings, number of ranks and setup, extrapolated for unfinished runs.
    None if no run has got far enough.
    """
    seeds = locate_run(config, runs_dir).path.parent.glob("seed*")
    run_times = [_seconds(RunFolder(path), config, ranks, setup) for path in seeds]
    return max((seconds for seconds in run_times if seconds), default=None)


def _seconds(folder: RunFolder, config: Config, ranks: int, setup: ComputeSetup) -> float | None:
    progress, record = read_progress(folder), read_json(folder.config) or {}
    if progress is None or progress.share < MIN_SHARE or progress.seconds <= 0:
        return None
    submission = read_submission(folder)
    is_same_run = _without_seed(record.get("identity")) == _without_seed(config.identity)
    if (
        not is_same_run
        or record.get("way") != asdict(setup)
        or (submission.ranks if submission else 1) != ranks
    ):
        return None
    return progress.seconds / progress.share


def _without_seed(identity: object) -> dict[str, object]:
    return (
        {name: value for name, value in identity.items() if name != "run"}
        if isinstance(identity, Mapping)
        else {}
    )
