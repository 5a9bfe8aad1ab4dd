"""``list`` and ``settings``: what there is to run, and by which settings (no torch)."""

from __future__ import annotations

import argparse

from benchmark.commands import options
from benchmark.commands.command_line import Command
from benchmark.config import resolve, show
from benchmark.records.status import state_counts


def list_runs(arguments: argparse.Namespace) -> int:
    """Print every run with its state."""
    views = options.collect(arguments)
    width = max(len(view.id) for view in views)
    for view in views:
        note = view.reason if view.state not in ("missing", "done") else ""
        print(f"{view.id:<{width}}  {view.state:<10}  {note}".rstrip())
    print(f"{len(views)} runs: {state_counts(view.state for view in views)}")
    return 0


def settings(arguments: argparse.Namespace) -> int:
    """Print the settings of a profile as SET takes them, task by task, dataset and backbone."""
    profile = resolve.load_profile(arguments.profile)
    overrides = resolve.parse_overrides(arguments.overrides)
    print(*show.lines(profile, overrides), sep="\n")
    return 0


COMMANDS = {"list": Command(list_runs, options.add_grid), "settings": Command(settings)}
