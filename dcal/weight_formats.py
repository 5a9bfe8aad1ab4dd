"""Whether a weights file is whole, told from its own structure, without loading a tensor (no torch)."""

from __future__ import annotations

import functools
import json
import pickle
import struct
import zipfile
import zlib
from pathlib import Path
from typing import BinaryIO

_PUBLISHED_DIGEST_DIGITS = 8  # deit_tiny_patch16_224-a1311bcf.pth: torch hub's convention
_LEGACY_MAGIC = 0x1950A86A20F9469CFC6C  # the first of the five pickles of torch's format before 1.6
_ITEM_BYTES = {
    "ByteStorage": 1,
    "CharStorage": 1,
    "BoolStorage": 1,
    "ShortStorage": 2,
    "HalfStorage": 2,
    "BFloat16Storage": 2,
    "IntStorage": 4,
    "FloatStorage": 4,
    "LongStorage": 8,
    "DoubleStorage": 8,
}


def defect(file: Path, *, thorough: bool = False) -> str:
    """What is wrong with a weights file, e.g. ``truncated: 1,024 bytes, expected 22,883,704``; "" if it is whole.

    Lengths that the file itself states are compared with its size; thorough: checksums of .npz and .pth members are
    computed as well, which reads all of it. Answers are kept until the file's size or date changes.
    """
    try:
        known = file.stat()
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    return _defect(file, known.st_size, known.st_mtime_ns, thorough)


@functools.lru_cache(maxsize=256)
def _defect(file: Path, size: int, _date: int, thorough: bool) -> str:
    if size == 0:
        return "empty"
    try:
        with open(file, "rb") as stream:
            if file.suffix == ".safetensors":
                return _safetensors(stream, size)
            if stream.read(2) == b"PK":
                return _archive(stream, thorough)
            if file.suffix == ".npz":
                return f"no .npz archive ({size:,} bytes that do not begin as one)"
            stream.seek(0)
            return _legacy(stream, size)
    except OSError as error:
        return f"cannot be read: {error.strerror or error}"


def _safetensors(stream: BinaryIO, size: int) -> str:
    """8 bytes: length of the JSON header, which has the place of every tensor behind it."""
    length = int.from_bytes(stream.read(8), "little")
    if size < 8 or length > 100_000_000:  # the format's own limit
        return f"no .safetensors ({size:,} bytes that do not begin as one)"
    if length > size - 8:
        return _truncated(size, f"more than {8 + length:,}")
    try:
        header = json.loads(stream.read(length))
        ends = [entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"]
        expected = 8 + length + max(ends, default=0)
    except (ValueError, TypeError, KeyError, IndexError, AttributeError):
        return f"no .safetensors ({size:,} bytes whose header is damaged)"
    return "" if size == expected else _wrong_length(size, expected)


def _archive(stream: BinaryIO, thorough: bool) -> str:
    """A zip's directory stands at its end; every member it names must begin where it says."""
    try:
        with zipfile.ZipFile(stream) as archive:
            members = archive.infolist()
            if not members:
                return "an empty archive"
            for member in members:
                stream.seek(member.header_offset)
                if stream.read(4) != b"PK\x03\x04":
                    return f"damaged: {member.filename} is not where the archive's directory says"
            damaged = archive.testzip() if thorough else None
    except (zipfile.BadZipFile, zlib.error, EOFError, ValueError, RuntimeError, NotImplementedError) as error:
        return f"truncated or damaged: {str(error) or type(error).__name__}"
    return f"damaged: {damaged} has another checksum than the archive says" if damaged else ""


def _legacy(stream: BinaryIO, size: int) -> str:
    """torch before 1.6: five pickles (magic number, protocol, machine, the object, the storages' keys), then of each
    storage the number of its elements and their bytes."""
    foreign = f"no weights file ({size:,} bytes, neither a zip nor torch's format before 1.6)"
    if stream.peek(1)[:1] != b"\x80":
        return foreign
    outline = None
    try:
        if _Outline(stream).load() != _LEGACY_MAGIC:
            return foreign
        for _ in range(2):
            _Outline(stream).load()
        outline = _Outline(stream)
        outline.load()
        for key in _Outline(stream).load():
            count = struct.unpack("<q", stream.read(8))[0]
            if count != outline.elements[key]:
                return (
                    f"damaged: storage {key} has {count:,} elements, {outline.elements[key]:,} were expected"
                )
            stream.seek(count * outline.item_bytes[key], 1)
    except (
        Exception
    ):  # a damaged pickle raises whatever it likes; before the object is read, it may be no torch file
        return _truncated(size, "more") if outline else foreign
    return "" if stream.tell() == size else _wrong_length(size, stream.tell())


class _Inert:
    """Stands for whatever a pickle names; takes every call and keeps nothing."""

    def __init__(self, *_: object, **__: object) -> None:
        pass

    def __call__(self, *_: object, **__: object) -> _Inert:
        return self

    def __setitem__(self, *_: object) -> None:
        pass

    def __setstate__(self, _: object) -> None:
        pass

    def append(self, _: object) -> None:
        pass

    def extend(self, _: object) -> None:
        pass


class _Outline(pickle.Unpickler):
    """Reads how large a legacy file's storages are. Nothing that the file names is imported, so nothing runs."""

    def __init__(self, stream: BinaryIO) -> None:
        super().__init__(stream)
        self.elements: dict[str, int] = {}
        self.item_bytes: dict[str, int] = {}

    def find_class(self, module: str, name: str) -> type:
        return type(name, (_Inert,), {})

    def persistent_load(self, saved: tuple) -> _Inert:
        _, kind, key, _, elements, *_ = saved
        self.elements[key], self.item_bytes[key] = elements, _ITEM_BYTES[kind.__name__]
        return _Inert()


def contradicted_name(file: Path, sha256: str) -> str:
    """The start of a digest in a published file's name that its content does not have, or ""."""
    digits = file.stem.rpartition("-")[2]
    is_digest = len(digits) == _PUBLISHED_DIGEST_DIGITS and set(digits) <= set("0123456789abcdef")
    return digits if is_digest and not sha256.startswith(digits) else ""


def _wrong_length(size: int, expected: int) -> str:
    if size < expected:
        return _truncated(size, f"{expected:,}")
    return f"damaged: {size:,} bytes, of which it accounts for {expected:,}"


def _truncated(size: int, expected: str) -> str:
    return f"truncated: {size:,} bytes, expected {expected}"
