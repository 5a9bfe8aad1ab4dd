"""What a run is expected to take by the forecasts that lie in its runs folder (no torch)."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from benchmark.config.resolve import Config
from benchmark.data.fgvc import FGVCDataset
from benchmark.data.reid import ReIDDataset
from benchmark.records import forecasts as store
from benchmark.records.estimate import Estimate, from_stored
from benchmark.records.forecasts import Forecast, Machine
from benchmark.records.workload import counts_key, of_dataset


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
    forecast = store.read(store.path_of(runs, config.profile, machine))
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
