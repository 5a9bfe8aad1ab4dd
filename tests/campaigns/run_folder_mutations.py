"""Ways to damage a run folder: every value of its JSON files, every array, every file as a whole."""

import io
import json
import os
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from benchmark.atomic import file_sha256

Mutation = tuple[str, Callable[[], object]]  # name, and what damages the folder

# As JSON text: not all of it could be written by json.dumps.
WRONG = {
    "null": "null",
    "empty text": '""',
    "text": '"text"',
    "number as text": '"7"',
    "list": "[1]",
    "empty list": "[]",
    "object": '{"a": 1}',
    "empty object": "{}",
    "true": "true",
    "-1": "-1",
    "1.5": "1.5",
    "1e400": "1e400",
    "NaN": "NaN",
    "whole number of 400 digits": "9" * 400,
    "whole number of 5,000 digits": "9" * 5000,
    "1e29": "1e29",
    "nested": "[" * 100_000 + "]" * 100_000,
    "half a character": '"\\ud800"',
    "control characters": '"a\\u001b[31m\\nb\\u0000\\u202e"',
    "long text": '"' + "long " * 50_000 + '"',
    "formula": '"=1+1"',
}
_PLACE = "@@place@@"


def json_mutations(file: Path) -> Iterator[Mutation]:
    """Every value and every container of a JSON file, replaced by everything that is wrong there, and left out."""
    whole = json.loads(file.read_text(encoding="utf-8"))
    yield from _of_value(file, whole, lambda text: text)


def last_line_mutations(file: Path) -> Iterator[Mutation]:
    """The same of the last line of a file of JSON lines."""
    *lines, last = file.read_text(encoding="utf-8").splitlines()
    before = "".join(f"{line}\n" for line in lines)
    yield from _of_value(file, json.loads(last), lambda text: f"{before}{text}\n")


def _of_value(file: Path, whole: object, around: Callable[[str], str]) -> Iterator[Mutation]:
    for path in _paths(whole):
        changed = json.dumps(_with(whole, path, _PLACE))
        at = f"{file.name} {'.'.join(map(str, path)) or 'whole'}"
        for name, text in WRONG.items():
            content = around(changed.replace(f'"{_PLACE}"', text))
            yield f"{at} = {name}", lambda content=content: file.write_text(content, encoding="utf-8")
        if path:
            left = around(json.dumps(_with(whole, path, None, leave=True)))
            yield f"{at} left out", lambda left=left: file.write_text(left, encoding="utf-8")


def _paths(value: object, at: tuple = ()) -> Iterator[tuple]:
    yield at
    items = (
        value.items() if isinstance(value, dict) else enumerate(value[:2]) if isinstance(value, list) else ()
    )
    for key, inner in items:
        if at[-1:] != ("settings",) or key in ("train.epochs", "data.resize"):  # one setting is like another
            yield from _paths(inner, (*at, key))


def _with(value: object, path: tuple, new: object, leave: bool = False) -> object:
    if not path:
        return new
    copied = dict(value) if isinstance(value, dict) else list(value)
    if leave and len(path) == 1:
        del copied[path[0]]
    else:
        copied[path[0]] = _with(value[path[0]], path[1:], new, leave)
    return copied


def file_mutations(file: Path) -> Iterator[Mutation]:
    """Something else where a file is expected, and pieces of it."""
    content = file.read_bytes() if file.is_file() else b"{}"

    def put(make: Callable[[], object]) -> Callable[[], None]:
        def change() -> None:
            file.unlink(missing_ok=True)
            make()

        return change

    yield f"{file.name} a folder", put(file.mkdir)
    yield f"{file.name} a pipe", put(lambda: os.mkfifo(file))
    yield f"{file.name} empty", put(lambda: file.write_bytes(b""))
    yield f"{file.name} half", put(lambda: file.write_bytes(content[: len(content) // 2]))
    yield f"{file.name} zeros", put(lambda: file.write_bytes(bytes(len(content))))
    yield f"{file.name} binary", put(lambda: file.write_bytes(bytes(range(256)) * 20))
    yield f"{file.name} a link to nothing", put(lambda: file.symlink_to("nothing"))
    yield f"{file.name} a link to itself", put(lambda: file.symlink_to(file.name))
    yield f"{file.name} a device", put(lambda: file.symlink_to("/dev/zero"))
    yield f"{file.name} of 5 GiB", put(lambda: (file.touch(), os.truncate(file, 5 * 2**30)))
    yield f"{file.name} unreadable", put(lambda: (file.write_bytes(content), file.chmod(0)))


def prediction_mutations(file: Path, result: Path) -> Iterator[Mutation]:
    """Every array of another type, shape or content, with the digest of the new file in the record."""
    with np.load(file) as archive:
        arrays = dict(archive)

    def put(write: Callable[[], object]) -> Callable[[], None]:
        def change() -> None:
            write()
            record = json.loads(result.read_text(encoding="utf-8"))
            record["predictions_sha256"] = file_sha256(file)
            result.write_text(json.dumps(record), encoding="utf-8")

        return change

    for name, array in arrays.items():
        for kind, wrong in _wrong_arrays(array).items():
            yield (
                f"{file.name} {name} {kind}",
                put(
                    lambda n=name, w=wrong: np.savez_compressed(file, allow_pickle=True, **(arrays | {n: w}))
                ),
            )
        rest = {other: kept for other, kept in arrays.items() if other != name}
        yield f"{file.name} {name} left out", put(lambda r=rest: np.savez_compressed(file, **r))
        yield f"{file.name} {name} of 2 GiB", put(lambda n=name: _inflating(file, arrays, n))


def _wrong_arrays(array: np.ndarray) -> dict[str, np.ndarray]:
    text = np.array(["\x00\x1b[31m", "x" * 500, "=1"] * len(array))[: len(array)]
    broken = text.astype("U500")
    broken.view(np.uint32)[0] = 0xD800
    beyond = text.astype("U500")
    beyond.view(np.uint32)[0] = 0xFFFFFFFF
    return {
        "text": text,
        "half characters": broken,
        "no characters": beyond,
        "objects": np.array([None] * len(array), dtype=object),
        "structured": np.zeros(len(array), dtype=[("a", "i4"), ("b", "f8")]),
        "complex": np.full(array.shape, 1 + 1j),
        "times": np.zeros(array.shape, dtype="M8[s]"),
        "not finite": np.full(array.shape, np.nan),
        "negative": np.full(array.shape, -5),
        "huge": np.full(array.shape, 2**62),
        "bool": np.ones(array.shape, dtype=bool),
        "scalar": np.array(1),
        "empty": array[:0],
        "shorter": array[:-1],
        "deeper": array[:, None],
        "bytes": np.array([b"ab"] * len(array)),
    }


def _inflating(file: Path, arrays: dict[str, np.ndarray], name: str) -> None:
    """A member of 2 GiB zeros in 2 MB."""
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for other, kept in arrays.items():
            stream = io.BytesIO()
            np.save(stream, kept)
            if other != name:
                archive.writestr(f"{other}.npy", stream.getvalue())
        header = io.BytesIO()
        np.lib.format.write_array_header_1_0(
            header, {"descr": "|i1", "fortran_order": False, "shape": (2**31,)}
        )
        with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
            member.write(header.getvalue())
            for _ in range(2**31 // 2**24):
                member.write(bytes(2**24))
