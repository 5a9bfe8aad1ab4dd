"""What a torch file says of its tensors, read from its pickles without importing anything that they name (no torch)."""

from __future__ import annotations

import pickle
import struct
from collections.abc import Iterator
from typing import Any, BinaryIO

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


class Inert:
    """Stands for whatever a pickle names; takes every call. storage: key of the storage that it is made from, or ""."""

    def __init__(self, *arguments: object, storage: str = "", **_: object) -> None:
        self.storage = storage or next((one.storage for one in arguments if isinstance(one, Inert)), "")

    def __call__(self, *_: object, **__: object) -> Inert:
        return self

    def __setitem__(self, *_: object) -> None:
        pass

    def __setstate__(self, _: object) -> None:
        pass

    def append(self, _: object) -> None:
        pass

    def extend(self, _: object) -> None:
        pass


class NamedTensors(dict):
    """Stands for an OrderedDict; a model's state has attributes, which are not kept."""

    def __setstate__(self, _: object) -> None:
        pass


class Outline(pickle.Unpickler):
    """Reads which storages a file has, how large they are, and the tensors' names. Nothing of the file runs.

    By a storage's key: elements, their number; kinds, torch's name of their type, such as ``HalfStorage``.
    """

    def __init__(self, stream: BinaryIO) -> None:
        super().__init__(stream)
        self.elements: dict[str, int] = {}
        self.kinds: dict[str, str] = {}
        self.names: dict[str, str] = {}

    def load(self) -> Any:
        content = super().load()
        self._name(content, "")
        return content

    def find_class(self, module: str, name: str) -> type:
        return NamedTensors if name == "OrderedDict" else type(name, (Inert,), {})

    def persistent_load(self, saved: tuple) -> Inert:
        _, kind, key, _, elements, *_ = saved
        self.elements[key], self.kinds[key] = elements, kind.__name__
        return Inert(storage=key)

    def item_bytes(self, key: str) -> int:
        """Bytes of one element. Raises KeyError for a type that is not known here."""
        return _ITEM_BYTES[self.kinds[key]]

    def _name(self, content: object, name: str) -> None:
        if isinstance(content, Inert) and content.storage:
            self.names.setdefault(content.storage, name)
        elif isinstance(content, dict):
            for key, value in content.items():
                self._name(value, str(key))


def legacy_head(stream: BinaryIO) -> Outline | None:
    """The outline of a file in torch's format before 1.6, None if it is none: magic number, protocol, machine, object.

    The stream stands before the last pickle then. Raises whatever a damaged pickle raises.
    """
    if Outline(stream).load() != _LEGACY_MAGIC:
        return None
    for _ in range(2):
        Outline(stream).load()
    outline = Outline(stream)
    outline.load()
    return outline


def legacy_storages(stream: BinaryIO, outline: Outline) -> Iterator[tuple[str, int]]:
    """(key, number of elements) of the storages behind the last pickle, the storages' keys.

    Where one is given the stream stands before its elements, and afterwards goes on behind them.
    """
    for key in Outline(stream).load():
        count = struct.unpack("<q", stream.read(8))[0]
        begin = stream.tell()
        yield key, count
        stream.seek(begin + count * outline.item_bytes(key))
