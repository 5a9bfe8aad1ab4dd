"""Print variables of MATLAB files as JSON, one line per file. A separate script: damaged files may crash scipy.

Called by ``matlab_files`` with one argument, ``{"files": {path: [variable, …]}, "fields": [field, …]}``.
"""

import json
import resource
import sys
import warnings

import numpy as np
from scipy.io import loadmat
from scipy.io.matlab import MatReadWarning

MEMORY = 4 * 2**30  # bytes; the official files need 0.1 GB
VALUES = 5_000_000  # the official files have 16,185 rows


def main() -> None:
    """Read the files in order. After a crash the lines of the remaining files are missing."""
    try:
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, resource.getrlimit(resource.RLIMIT_AS)[1]))
    except (OSError, ValueError):  # macOS has no such limit; the caller limits the time
        pass
    warnings.simplefilter("error", MatReadWarning)  # otherwise an unreadable variable becomes a text
    request = json.loads(sys.argv[1])
    for path, variables in request["files"].items():
        try:
            answer = read(path, variables, request["fields"])
        except Exception as error:  # scipy raises many kinds of exceptions for damaged bytes
            answer = {"problem": str(error) or type(error).__name__}
        print(json.dumps(answer), flush=True)


def read(path: str, variables: list[str], fields: list[str]) -> dict:
    """Read a file. names: of all variables. variables: the requested ones that exist."""
    content = loadmat(path, squeeze_me=True)
    values = {name: content[name] for name in variables if name in content}
    return {
        "names": [name for name in content if not name.startswith("__")],
        "variables": {name: variable(value, fields) for name, value in values.items()},
    }


def variable(value: np.ndarray | str | float, fields: list[str]) -> dict:
    """A variable as JSON: shape, names of a struct's fields, and columns, under "" without a struct."""
    values = np.atleast_1d(value)
    names = list(values.dtype.names or ())
    if values.size * max(1, len(names)) > VALUES:
        raise ValueError(f"{values.size:,} entries, expected at most {VALUES:,}")
    columns = {name: values[name] for name in fields if name in names} if names else {"": values}
    return {
        "shape": values.shape,
        "fields": names,
        "columns": {name: [plain(entry) for entry in column.ravel()] for name, column in columns.items()},
    }


def plain(value: object) -> str | float | list[str]:
    """A text or number unchanged; any other value as a list with its description."""
    if isinstance(value, str):
        return str(value)
    array = np.asarray(value)
    if array.size == 1 and array.dtype.kind in "uifb":
        return array.item()
    return [repr(value)[:200]]


if __name__ == "__main__":
    main()
