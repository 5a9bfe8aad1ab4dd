"""TRACK="tensorboard wandb": a run's history shown elsewhere while it is made, off by default (no torch)."""

from benchmark.trackers.feed import Feed
from benchmark.trackers.names import asked, parse, require_installed

__all__ = ["Feed", "asked", "parse", "require_installed"]
