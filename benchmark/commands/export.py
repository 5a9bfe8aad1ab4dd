"""`python -m benchmark export`: a trained model as one file (no torch).

export cub/deit_tiny/dcal --to bird.safetensors  with its configuration and record; `evaluate` and `dcal.load` read it
export RUN_OR_FILE --to bird.onnx                an ONNX graph; needs the optional extras (make optional)
export RUN_OR_FILE --to bird.pt2                 a torch.export program
"""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmark.commands import options, select_models
from benchmark.commands.command_line import Command
from benchmark.errors import SettingsError

SUFFIXES = (".safetensors", ".onnx", ".pt2")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which model, into which file."""
    parser.formatter_class, parser.epilog = argparse.RawDescriptionHelpFormatter, __doc__.partition("\n\n")[2]
    parser.add_argument("model", metavar="RUN_OR_FILE", help=select_models.RUN_OR_FILE)
    parser.add_argument("--seeds", default="0", help="the run's seed")
    parser.add_argument("--to", type=Path, required=True, help=f"file to write: {', '.join(SUFFIXES)}")


def export(arguments: argparse.Namespace) -> int:
    """Write a finished run's model to one file: .safetensors, .onnx or .pt2."""
    path = options.absolute(arguments.to)
    if path.suffix not in SUFFIXES:
        raise SettingsError(f"--to {arguments.to}: the file's name has to end in {', '.join(SUFFIXES)}")
    found = select_models.one_model(arguments, arguments.model)
    from benchmark.inference.trained import load_trained, write_model

    print(write_model(load_trained(found), path))
    return 0


COMMANDS = {"export": Command(export, add_arguments)}
