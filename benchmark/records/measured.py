"""What a run will take, from what the same cell took before (no torch)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmark.config.resolve import Config
from benchmark.records.progress import read_progress
from benchmark.records.run_folder import RunFolder, folder_of, read_json
from benchmark.records.submission import read_submission

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
