"""From what was measured to what a run takes: the arithmetic (no torch)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal

from benchmark.config.resolve import Config
from benchmark.data.fgvc import FGVCDataset
from benchmark.data.reid import ReIDDataset
from benchmark.records import forecasts
from benchmark.records.forecasts import Forecast, Machine, Pace, Pictures, Ranking, ranking_key
from benchmark.records.progress import read_progress
from benchmark.records.run_folder import RunFolder, folder_of, read_json
from benchmark.records.submission import read_submission
from benchmark.records.workload import Counts, counts_key, of_dataset, pictures_key, shape_of


@dataclass(frozen=True)
class Estimate:
    """A run's time, start-up not included. epoch_seconds: of training. evaluation_seconds: of one evaluation.

    memory_bytes: peak of a process. bound: what an epoch waits for. shared: whether several ranks are counted as
    faster in training than one. fresh: whether all that it rests on was measured with this code, torch and timm.
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
    counts: Counts,
    pace: Pace,
    pictures: Pictures,
    ranking: Ranking | None,
    *,
    workers: int,
    ranks: int = 1,
    share: Pace | None = None,
) -> Estimate:
    """What a run takes.

    workers: decoding processes of each rank. With none, pictures are read between the steps and both times add up;
    with some, the slower of the two counts, and n read n times as fast as one.
    ranking: of the gallery, None where nothing is ranked. ranks: evaluations are shared out by batches. share: the pace
    of a rank's share of a batch; without one, several ranks are taken to be no faster than one in training, since a
    smaller batch does not take proportionally less. What ranks tell each other is not in it.
    """
    settings, batch = config.settings, config.settings.train.batch_size
    loaded = 2 if _brings_partners(config) else 1
    compute = (share or pace).step_seconds
    reading = loaded * math.ceil(batch / ranks) / pictures.per_second
    epoch = counts.steps * _together(compute, reading, workers)
    batches = math.ceil(math.ceil(counts.test / batch) / ranks)
    evaluation = batches * _together(pace.batch_seconds, batch / pictures.per_second, workers)
    if ranking is not None:
        evaluation += sum(ranking.seconds(width) for width in ranked_widths(config, pace.width))
    epochs = settings.train.epochs
    return Estimate(
        epoch,
        evaluation,
        epochs * epoch + evaluations(epochs, settings.evaluate.every) * evaluation,
        (share or pace).memory_bytes,
        "input" if reading / max(1, workers) > compute else "compute",
        shared=ranks == 1 or share is not None,
    )


def _together(compute: float, reading: float, workers: int) -> float:
    return max(compute, reading / workers) if workers else compute + reading


def _brings_partners(config: Config) -> bool:
    """Whether every batch comes with a second one, of PWCA's partners."""
    return config.pwca is not None and config.pwca.brings_partners


def evaluations(epochs: int, every: int) -> int:
    """How often a run is evaluated: at every ``every``-th epoch and at the last."""
    return epochs // every + (epochs % every > 0)


def ranked_widths(config: Config, width: int) -> Sequence[int]:
    """Widths of the features that the gallery is ranked by: SA's alone, or with GLCA SA's, GLCA's and both's."""
    return (width, width, 2 * width) if config.glca else (width,)


def from_stored(
    config: Config,
    forecast: Forecast,
    counts: Counts | None,
    *,
    workers: int,
    ranks: int = 1,
    tuning: str = "",
) -> Estimate | None:
    """What a run takes by one machine's forecast, fresh or not; None where that lacks something of it."""
    if counts is None:
        return None
    shape = shape_of(config, counts.classes, tuning)
    pace = forecast.pace(shape)
    key = pictures_key(config.cell.dataset, config.settings.data, in_process=not workers)
    pictures, ranking = forecast.picture_pace(key), forecast.ranking(counts) if counts.gallery else None
    if pace is None or pictures is None or not pictures.per_second or (counts.gallery and ranking is None):
        return None
    share = forecast.pace(shape.share(ranks)) if ranks > 1 else None
    rests_on = [forecast.paces[shape.key], forecast.pictures[key]]
    if ranking:
        rests_on.append(forecast.rankings[ranking_key(counts)])
    if share:
        rests_on.append(forecast.paces[shape.share(ranks).key])
    found = estimate(config, counts, pace, pictures, ranking, workers=workers, ranks=ranks, share=share)
    by = forecasts.measured_by()
    return replace(found, fresh=all(forecasts.is_fresh(stored, by) for stored in rests_on))


# --- What a run is expected to take by the forecasts that lie in its runs folder ---


def of_run(
    config: Config,
    dataset: FGVCDataset | ReIDDataset,
    runs: Path,
    machine: Machine,
    *,
    workers: int,
    ranks: int = 1,
    tuning: str = "",
) -> float | None:
    """Seconds of a run that is about to begin, or None where nothing was measured for its device and shape with this
    code, torch and timm: beside what the run takes, an older forecast would pass for this code's.
    """
    forecast = forecasts.read(forecasts.path_of(runs, config.profile, machine))
    if forecast is None or forecast.machine != machine:
        return None
    counts = of_dataset(config, dataset)
    found = from_stored(config, forecast, counts, workers=workers, ranks=ranks, tuning=tuning)
    return round(found.run_seconds, 1) if found and found.fresh else None


def of_job(
    config: Config,
    forecasts: Iterable[Forecast],
    device_type: str,
    *,
    threads: int,
    workers: int,
    ranks: int = 1,
    tuning: str = "",
) -> Estimate | None:
    """What a run takes on a kind of device, on data such as each forecast was made for; None where none tells.

    Which node a job will get nobody knows: the slowest of the devices counts. One with more threads than the job's is
    none of them. An estimate by a forecast of other code counts too, and says so (``fresh``).
    """
    found = [
        from_stored(
            config,
            forecast,
            forecast.counted(counts_key(config)),
            workers=workers,
            ranks=ranks,
            tuning=tuning,
        )
        for forecast in forecasts
        if forecast.machine.type == device_type and forecast.machine.threads <= threads
    ]
    known = [one for one in found if one is not None]
    return max(known, key=lambda one: one.run_seconds, default=None)


# --- What a run will take, from what the same cell took before ---

# Less of a run says more about its start than about its pace.
LEAST_SHARE = 0.05


@dataclass(frozen=True)
class Way:
    """How a run is computed, as far as its pace is no other's. device: cpu or cuda. tuning: as TUNE has it."""

    device: str
    tuning: str


def recorded_way(folder: RunFolder, hash: str, way: Way) -> dict[str, str] | None:
    """What an attempt's start records (``way`` in config.json). None where an attempt before it, at a run of this hash,
    went another way or did not say which: the time of both is counted together, and is no way's.
    """
    before = read_json(folder.config) or {}
    goes_on = before.get("hash") == hash
    return asdict(way) if not goes_on or before.get("way") == asdict(way) else None


def measured_seconds(config: Config, runs_dir: Path, ranks: int, way: Way) -> float | None:
    """Seconds of a whole run, evaluations included: the longest that any seed of the cell took, or is going to take,
    with the same settings on as many ranks, computed the same way. None where none has got far enough.
    """
    seeds = folder_of(config, runs_dir).path.parent.glob("seed*")
    found = [_seconds(RunFolder(path), config, ranks, way) for path in seeds]
    return max((seconds for seconds in found if seconds), default=None)


def _seconds(folder: RunFolder, config: Config, ranks: int, way: Way) -> float | None:
    progress, started = read_progress(folder), read_json(folder.config) or {}
    if progress is None or progress.share < LEAST_SHARE or progress.seconds <= 0:
        return None
    submission = read_submission(folder)
    alike = _of_any_seed(started.get("identity")) == _of_any_seed(config.identity)
    if not alike or started.get("way") != asdict(way) or (submission.ranks if submission else 1) != ranks:
        return None
    return progress.seconds / progress.share


def _of_any_seed(identity: object) -> dict[str, object]:
    return (
        {name: value for name, value in identity.items() if name != "run"}
        if isinstance(identity, Mapping)
        else {}
    )
