"""Reading of MATLAB files in a subprocess, since a damaged file may crash scipy (no scipy here)."""

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
MAX_FILE_BYTES = 64 * MIB  # the official files have less than 1 MiB
TIMEOUT = 300  # seconds; the official files take less than 1 s


Value = str | float | list[str]  # a list holds the description of any other value


@dataclass(frozen=True)
class Variable:
    """A variable of a MATLAB file.

    fields: names of a struct's fields; () for an array of texts or numbers.
    columns: values of the rows by field, under "" without a struct. A value that is neither text nor number is a list
        with its description.
    """

    shape: tuple[int, ...]
    fields: tuple[str, ...]
    columns: dict[str, list[Value]]


@dataclass(frozen=True)
class MatlabFile:
    """Content of a MATLAB file. names: of all variables. variables: the requested ones that exist."""

    names: tuple[str, ...]
    variables: dict[str, Variable]


def load(files: Mapping[Path, Sequence[str]], fields: Sequence[str], advice: str) -> dict[Path, MatlabFile]:
    """Load variables of MATLAB files.

    files: names of the variables by file.
    fields: requested fields of structs.
    Raises DataError for the first file that cannot be read, also if it crashes the reader.
    """
    for file in files:
        with explained(file, DataError), open_file(file, MAX_FILE_BYTES):
            pass
    request = json.dumps(
        {"files": {str(file): list(names) for file, names in files.items()}, "fields": list(fields)}
    )
    lines, ending = _run(request)
    contents = {}
    for index, file in enumerate(files):
        answer = json.loads(lines[index]) if index < len(lines) else {"problem": ending}
        if "problem" in answer:
            raise DataError(
                f"{file}: found {file.stat().st_size:,} bytes that cannot be read as a MATLAB file "
                f"({answer['problem']}), expected one of version 4 to 7.2. {advice}"
            )
        variables = {
            name: Variable(tuple(value["shape"]), tuple(value["fields"]), value["columns"])
            for name, value in answer["variables"].items()
        }
        contents[file] = MatlabFile(tuple(answer["names"]), variables)
    return contents


def _run(request: str) -> tuple[list[str], str]:
    """Printed lines of the reader, and how it ended if a line is missing."""
    environment = os.environ | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    # -P: modules in the script's folder must not be imported. New session: only the caller handles Ctrl-C.
    command = [sys.executable, "-P", str(READER), request]
    try:
        process = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
            env=environment,
            start_new_session=True,
        )
    except subprocess.TimeoutExpired as error:
        output = (error.stdout or b"").decode(errors="replace")
        return _complete_lines(output), f"its reader did not end within {TIMEOUT} s"
    if process.returncode < 0:
        return _complete_lines(
            process.stdout
        ), f"its reader crashed: {signal.Signals(-process.returncode).name}"
    errors = process.stderr.strip().splitlines() or [f"exit {process.returncode}"]
    return _complete_lines(process.stdout), f"its reader failed: {errors[-1]}"


def _complete_lines(text: str) -> list[str]:
    return [line for line in text.splitlines(keepends=True) if line.endswith("\n")]
