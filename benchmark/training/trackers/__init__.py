"""TRACK="tensorboard wandb": a run's history shown elsewhere while it is made, off by default (no torch)."""

from benchmark.training.trackers.facts import asked, parse, require_installed
from benchmark.training.trackers.threads import Trackers

__all__ = ["Trackers", "asked", "parse", "require_installed"]
