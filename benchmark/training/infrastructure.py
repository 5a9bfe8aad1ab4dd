"""What a run may use, and how it computes (no torch)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from benchmark.config.tuning import Tuning
from benchmark.config.world import World


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
