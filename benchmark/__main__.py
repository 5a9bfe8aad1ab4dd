"""`python -m benchmark VERB`: list, run, launch, check-data, mini-data, weights, settings, forecast, overhead,
evaluate, predict, export. Of these `run` loads torch, what measures or counts, and the last three.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Iterable, Sequence

from benchmark.commands import options
from benchmark.commands.command_line import Command, Parser, exit_status, status_of

# Verb → the module of benchmark/commands that has it in COMMANDS.
MODULES = {
    "list": "listing",
    "launch": "launch",
    "run": "run",
    "check-data": "datasets",
    "forecast": "forecast",
    "overhead": "forecast",
    "mini-data": "datasets",
    "weights": "weights",
    "settings": "listing",
    "evaluate": "evaluate",
    "export": "export",
    "predict": "predict",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run a verb; returns the exit status."""
    words = sys.argv[1:] if argv is None else argv
    # One verb's module alone is imported, unless all are needed for the help or to name the verbs in an error.
    arguments = parser(words[:1] if words and words[0] in MODULES else MODULES).parse_args(words)
    return status_of(lambda: arguments.run(arguments))


def parser(verbs: Iterable[str] = tuple(MODULES)) -> argparse.ArgumentParser:
    """The options of some verbs."""
    program = Parser(prog="python -m benchmark", description=__doc__)
    subparsers = program.add_subparsers(required=True, metavar="VERB")
    for verb in verbs:
        command = _command(verb)
        subparser = subparsers.add_parser(verb, help=command.run.__doc__, description=command.run.__doc__)
        subparser.set_defaults(run=command.run)
        options.add_common(subparser)
        command.add_arguments(subparser)
    return program


def _command(verb: str) -> Command:
    return importlib.import_module(f"benchmark.commands.{MODULES[verb]}").COMMANDS[verb]


if __name__ == "__main__":
    sys.exit(exit_status(main))
