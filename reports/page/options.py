"""What the verbs that write pages are asked: profile, places, seeds (no torch)."""

from __future__ import annotations

import argparse
from collections.abc import Container

from benchmark.commands import options
from reports.page.inputs import Asked, seeds_on_disk


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Profile, places and seeds."""
    options.add_common(parser)
    parser.add_argument("--seeds", default="", help="whole numbers; none: every seed that has a run folder")


def asked_for(arguments: argparse.Namespace, methods: Container[str] | None = None) -> Asked:
    """The same as the pages take it. methods: whose seeds are shown where none are given; None for all.

    Raises SettingsError for folders and seeds that make no sense.
    """
    folders = options.folders(str(arguments.runs))
    given = arguments.seeds.strip()
    return Asked(
        profile=arguments.profile,
        folders=folders,
        seeds=options.seeds(given) if given else seeds_on_disk(folders, arguments.profile, methods),
        overrides=arguments.overrides,
        data=options.absolute(arguments.data),
        weights=options.absolute(arguments.weights),
    )
