"""Variables of MATLAB files, read in a process of their own, for a damaged file may crash scipy (no scipy here)."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmark.errors import DataError
from benchmark.reading import MIB, explained, open_file

READER = Path(__file__).with_name("matlab_reader.py")
LIMIT = 64 * MIB  # bytes of a file; the official ones have less than one MiB
TIMEOUT = 300  # seconds; the official files take less than one


@dataclass(frozen=True)
class Variable:
    """fields: names of a struct's fields, () for an array of texts or numbers. columns: by field the values of the
    rows, of no struct under ""; a value that is neither text nor number is a list with its description.
    """

    shape: tuple[int, ...]
    fields: tuple[str, ...]
    columns: dict[str, list[object]]


@dataclass(frozen=True)
class MatlabFile:
    """names: of all variables. variables: those that were asked for and are there."""

    names: tuple[str, ...]
    variables: dict[str, Variable]


def load(files: Mapping[Path, Sequence[str]], fields: Sequence[str], advice: str) -> dict[Path, MatlabFile]:
    """Some variables of some files. fields: of structs, the wanted ones.

    Raises DataError for the first file that cannot be read, whatever its content does to the reader.
    """
    for file in files:
        with explained(file, DataError), open_file(file, LIMIT):
            pass
    request = json.dumps(
        {"files": {str(file): list(names) for file, names in files.items()}, "fields": list(fields)}
    )
    lines, ended = _run(request)
    found = {}
    for place, file in enumerate(files):
        answer = json.loads(lines[place]) if place < len(lines) else {"problem": ended}
        if "problem" in answer:
            raise DataError(
                f"{file}: found {file.stat().st_size:,} bytes that cannot be read as a MATLAB file "
                f"({answer['problem']}), expected one of version 4 to 7.2. {advice}"
            )
        variables = {
            name: Variable(tuple(value["shape"]), tuple(value["fields"]), value["columns"])
            for name, value in answer["variables"].items()
        }
        found[file] = MatlabFile(tuple(answer["names"]), variables)
    return found


def _run(request: str) -> tuple[list[str], str]:
    """The lines that the reader printed, and how it ended where one is missing."""
    environment = os.environ | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    # -P: the script's folder has modules that others must not import. A session of its own: Ctrl-C is the caller's.
    command = [sys.executable, "-P", str(READER), request]
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
            env=environment,
            start_new_session=True,
        )
    except subprocess.TimeoutExpired as error:
        printed = (error.stdout or b"").decode(errors="replace")
        return _whole_lines(printed), f"its reader did not end within {TIMEOUT} s"
    if done.returncode < 0:
        return _whole_lines(done.stdout), f"its reader crashed: {signal.Signals(-done.returncode).name}"
    said = done.stderr.strip().splitlines()
    return _whole_lines(done.stdout), f"its reader failed: {said[-1] if said else f'exit {done.returncode}'}"


def _whole_lines(text: str) -> list[str]:
    return [line for line in text.splitlines(keepends=True) if line.endswith("\n")]
