"""``check-data`` and ``mini-data``: the datasets at hand compared with the official ones, and the generated ones."""

from __future__ import annotations

import argparse

from benchmark.commands import options
from benchmark.commands.command_line import Command, whole_number
from benchmark.config import resolve
from benchmark.errors import SettingsError
from benchmark.training.device import usable_cores


def add_check_arguments(parser: argparse.ArgumentParser) -> None:
    """Which datasets, and how closely to look."""
    options.add_grid(parser)
    parser.add_argument("--no-decode", action="store_true", help="do not open every picture")
    parser.add_argument(
        "--limit", type=whole_number(0), default=10, help="how many missing or unreadable pictures to name"
    )


def check_data(arguments: argparse.Namespace) -> int:
    """Compare the datasets at hand with the official counts."""
    from benchmark.data.check import check_all

    places = options.places(arguments)
    if places.data is None:
        raise SettingsError(
            "check-data needs DATA=folder, the folder that holds CUB_200_2011, VeRi_776 and their like"
        )
    profile, overrides = resolve.load_profile(arguments.profile), resolve.parse_overrides(arguments.overrides)
    data_settings = {
        cell.dataset: resolve.resolve(cell, 0, profile, overrides).settings.data
        for cell in options.cells(arguments)
    }
    return check_all(
        data_settings,
        places.data,
        decode=not arguments.no_decode,
        limit=arguments.limit,
        jobs=usable_cores(),
        options={
            key: {"merge_val": data.merge_val, "skip_unparsable": data.skip_unparsable}
            for key, data in data_settings.items()
        },
    )


def mini_data(arguments: argparse.Namespace) -> int:
    """Write the generated mini sets, if they are not there."""
    from benchmark.data.mini.sets import write_all

    places = options.places(arguments)
    write_all(places.data)
    print(places.data)
    return 0


COMMANDS = {"check-data": Command(check_data, add_check_arguments), "mini-data": Command(mini_data)}
