"""TRACK="tensorboard wandb": a run's history shown elsewhere while it is made, off by default (no torch)."""

from benchmark.training.trackers.facts import parse, parse_installed, require_installed
from benchmark.training.trackers.threads import Trackers

__all__ = ["Trackers", "parse", "parse_installed", "require_installed"]
