"""Request of a launcher to the process of one run (no torch)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from benchmark.config.compute_setup import Tuning, World
from benchmark.config.places import Places


@dataclass(frozen=True)
class Infrastructure:
    """What does not change the numbers: device, processes, how often to save, who launched.

    owner: the launcher's name of this attempt, e.g. "SLURM job 12_3"; with one, a holder that is the attempt's own
        predecessor, or seems dead, is waited for.
    submitted: the code at submission, as provenance.code gives it, and when that was.
    world: this process among those that train the run together; none: it is alone.
    tuning: how a training step is computed.
    log_interval: steps between two lines in the log, besides the one an epoch; 0 for none.
    trackers: what shows the run's history elsewhere, by name.
    """

    device: str | None = None  # None: as the profile says
    threads: int = 1
    workers: int = 0
    checkpoint_seconds: float = 60.0
    quiet: bool = False
    parent: int = 0
    owner: str = ""
    submitted: Mapping[str, object] | None = None
    world: World | None = None
    tuning: Tuning = field(default_factory=Tuning)
    log_interval: int = 0
    trackers: tuple[str, ...] = ()


@dataclass(frozen=True)
class RunRequest:
    """One run as a launch hands it to a process of its own, as one JSON text.

    cell: dataset/backbone/method.
    overrides: settings by dotted name, as ``resolve.parse_overrides`` gives them.
    """

    cell: str
    seed: int
    profile: str
    places: Places
    overrides: Mapping[str, object]
    infrastructure: Infrastructure

    def to_json(self) -> str:
        """The request on one line; ``from_json`` gives an equal one."""
        return json.dumps(asdict(self), default=str)

    @classmethod
    def from_json(cls, text: str) -> RunRequest:
        """The request of a text. Raises KeyError, TypeError or ValueError for one that ``to_json`` did not write."""
        entry = json.loads(text)
        places, infrastructure = entry.pop("places"), entry.pop("infrastructure")
        folders = {
            name: None if places[name] is None else Path(places[name]) for name in ("runs", "data", "weights")
        }
        world = infrastructure.pop("world")
        return cls(
            **entry,
            places=Places(**folders, generated=places["generated"]),
            infrastructure=Infrastructure(
                **{
                    **infrastructure,
                    "tuning": Tuning(**infrastructure["tuning"]),
                    "trackers": tuple(infrastructure["trackers"]),
                    "world": None if world is None else World(**world),
                }
            ),
        )
