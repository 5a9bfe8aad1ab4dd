"""Names and storages of the tensors in a torch file, read from its pickles without running their code (no torch)."""

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


class Placeholder:
    """Stands for any class or object in a pickle and takes any call. storage: key of its tensor's storage, or ""."""

    def __init__(self, *arguments: object, storage: str = "", **_: object) -> None:
        self.storage = storage or next(
            (argument.storage for argument in arguments if isinstance(argument, Placeholder)), ""
        )

    def __call__(self, *_: object, **__: object) -> Placeholder:
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
    """Stands for an OrderedDict; the attributes of a model's state are dropped."""

    def __setstate__(self, _: object) -> None:
        pass


class Outline(pickle.Unpickler):
    """Unpickler that reads a file's storages and the tensors' names and runs no code of the file.

    By a storage's key: elements, their number; kinds, torch's name of their type, such as ``HalfStorage``; names of
    tensors.
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
        return NamedTensors if name == "OrderedDict" else type(name, (Placeholder,), {})

    def persistent_load(self, saved: tuple) -> Placeholder:
        _, kind, key, _, elements, *_ = saved
        self.elements[key], self.kinds[key] = elements, kind.__name__
        return Placeholder(storage=key)

    def item_bytes(self, key: str) -> int:
        """Bytes of one element of a storage. Raises KeyError for an unknown type."""
        return _ITEM_BYTES[self.kinds[key]]

    def _name(self, content: object, name: str) -> None:
        if isinstance(content, Placeholder) and content.storage:
            self.names.setdefault(content.storage, name)
        elif isinstance(content, dict):
            for key, value in content.items():
                self._name(value, str(key))


def legacy_head(stream: BinaryIO) -> Outline | None:
    """Outline of a file in torch's format before 1.6 (pickles of magic number, protocol, machine, object); None for
    another file.

    Afterwards the stream is before the last pickle. Raises any error that a damaged pickle causes.
    """
    if Outline(stream).load() != _LEGACY_MAGIC:
        return None
    for _ in range(2):
        Outline(stream).load()
    outline = Outline(stream)
    outline.load()
    return outline


def legacy_storages(stream: BinaryIO, outline: Outline) -> Iterator[tuple[str, int]]:
    """(key, number of elements) of each storage. They follow the last pickle, which has their keys.

    When a pair is yielded, the stream is before the storage's elements.
    """
    for key in Outline(stream).load():
        count = struct.unpack("<q", stream.read(8))[0]
        begin = stream.tell()
        yield key, count
        stream.seek(begin + count * outline.item_bytes(key))
