"""Arrays of a .npz archive that anybody may have made: nothing is read that is larger than it says (no torch)."""

from __future__ import annotations

import io
import math
import zipfile
import zlib
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

MEMBER_BYTES = (
    2**28
)  # of one array: 33 million numbers of 8 bytes, where the largest test split has 0.1 million
MEMBERS = 1000
# What zipfile and numpy raise of an archive that is torn, encrypted, packed otherwise or of a form unknown here.
UNREADABLE = (
    OSError, EOFError, ValueError, TypeError, KeyError, RuntimeError, MemoryError, OverflowError, RecursionError,
    zipfile.BadZipFile, zlib.error, SyntaxError,
)  # fmt: skip


class Archive:
    """The arrays in the bytes of a .npz file, read one by one. Making and reading raise UNREADABLE."""

    def __init__(self, content: bytes) -> None:
        self._zip = zipfile.ZipFile(io.BytesIO(content))
        if len(self._zip.infolist()) > MEMBERS:
            raise ValueError(f"it has {len(self._zip.infolist()):,} members, expected at most {MEMBERS:,}")

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Of the arrays."""
        return tuple(name.removesuffix(".npy") for name in self._zip.namelist())

    def read(self, name: str) -> np.ndarray:
        """An array of numbers, truth values or text.

        Raises ValueError, too, for a member that would be larger than MEMBER_BYTES, before any of it is unpacked, and
        for one whose header does not fit its size.
        """
        import numpy as np  # only where arrays are looked at: states and --help do without

        name = name if name in self._zip.namelist() else f"{name}.npy"
        stated = self._zip.getinfo(name)
        if stated.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise ValueError("it is packed in a way that numpy does not write")
        if stated.file_size > MEMBER_BYTES:
            raise ValueError(
                f"unpacked it would have {stated.file_size:,} bytes, expected at most {MEMBER_BYTES:,}"
            )
        with self._zip.open(name) as member:
            content = member.read(stated.file_size)  # with a size given no more than that is unpacked
        stream = io.BytesIO(content)
        if not content.startswith(np.lib.format.MAGIC_PREFIX):
            raise ValueError("it is no array")
        version = np.lib.format.read_magic(stream)
        reader = (
            np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        )
        shape, _, dtype = reader(stream)
        if dtype.kind not in "biufU" or len(shape) > 8:
            raise ValueError(
                f"it is an array of {dtype} with {len(shape)} dimensions, expected numbers or text"
            )
        if (
            any(length < 0 for length in shape)
            or math.prod(shape) * dtype.itemsize != len(content) - stream.tell()
        ):
            raise ValueError(f"it has {len(content):,} bytes, which do not make an array of {shape} {dtype}")
        stream.seek(0)
        found = np.load(stream, allow_pickle=False)
        if dtype.kind == "U":
            _require_text(found)
        return found


def _require_text(found: np.ndarray) -> None:
    """Raises ValueError for code points that are no characters."""
    import numpy as np

    points = np.ascontiguousarray(found).astype(found.dtype.newbyteorder("=")).view(np.uint32)
    if points.size and (points.max() > 0x10FFFF or ((points >= 0xD800) & (points < 0xE000)).any()):
        raise ValueError("it holds numbers that are no characters")
