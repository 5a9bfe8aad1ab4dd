"""Predictions of a finished run for each test picture or query, read from its predictions.npz."""

from __future__ import annotations

import hashlib
import io
import math
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.errors import RunError
from benchmark.reading import damage_text, explanation, is_refusal, read_bytes

if TYPE_CHECKING:
    import numpy as np

FILE_BYTES = 2**30
# Name of an array, without its branch → number of dimensions and kinds of dtype.
_FORMS = {
    "classes": (1, "U"),
    **dict.fromkeys(("labels", "identities", "cameras", "predicted", "first_hit", "ties"), (1, "iu")),
    "nearest": (2, "iu"),
    **dict.fromkeys(("correct", "rank1_correct"), (1, "b")),
    **dict.fromkeys(("probability", "ap"), (1, "f")),
}
_BRANCHES = ("both_", "sa_", "glca_", "top5_")


class Predictions(Mapping[str, "np.ndarray"]):
    """The arrays by name. Each is read from the file when it is first used.

    fgvc: ``classes`` (c,) names, ``labels`` (n,), ``top5_correct`` (n,), and by branch ``both_predicted`` (n,),
    ``both_correct`` (n,) bool, ``both_probability`` (n,) of the true class.
    reid: ``identities`` (q,), ``cameras`` (q,), ``both_nearest`` (q, k) places in the gallery, and by branch
    ``both_ap`` (q,), ``both_first_hit`` (q,) from 1, or 0 without a relevant picture, ``both_rank1_correct``,
    ``both_ties``. Runs with GLCA also have the branches ``sa`` and ``glca``. Records made before a
    name was introduced lack it.
    """

    def __init__(self, path: Path, sha256: str) -> None:
        self.path, self._sha256 = path, sha256
        self._read: dict[str, np.ndarray] = {}

    @cached_property
    def _archive(self) -> Archive:
        advice = (
            "copy the run folder again, or run the cell anew; its metrics in result.json are not affected"
        )
        try:
            content = read_bytes(self.path, FILE_BYTES)
            digest = hashlib.sha256(content).hexdigest()
            if digest != self._sha256:
                raise RunError(
                    f"{self.path}: its digest is {digest[:12]}…, result.json names {self._sha256[:12]}…; {advice}"
                )
            # Read into memory: a sweep of a thousand runs would keep a thousand files open.
            return Archive(content)
        except FileNotFoundError:
            raise RunError(f"{self.path}: no such file, expected what the run found; {advice}") from None
        except OSError as error:
            if is_refusal(error):
                raise RunError(explanation(self.path, error)) from None
            raise RunError(
                f"{self.path}: cannot be read ({damage_text(self.path, error)}); {advice}"
            ) from None
        except ARCHIVE_ERRORS as error:
            raise RunError(f"{self.path}: cannot be read ({error}); {advice}") from None

    def __getitem__(self, name: str) -> np.ndarray:
        """Read an array.

        Raises RunError for a file that is missing, damaged, not the record's or of another form; KeyError for a name
        that it lacks.
        """
        if name not in self._read:
            if name not in self._archive.names:
                raise KeyError(name)
            try:
                array = self._archive.read(name)
            except ARCHIVE_ERRORS as error:
                raise RunError(f"{self.path}: {name} cannot be read ({error})") from None
            if problem := _problem(name, array):
                raise RunError(f"{self.path}: {name} cannot be read ({problem})")
            self._read[name] = array
        return self._read[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._archive.names)

    def __len__(self) -> int:
        return len(self._archive.names)


def _problem(name: str, array: np.ndarray) -> str:
    """What is wrong with the dimensions or the dtype of a known array, or ""."""
    branch = next((branch for branch in _BRANCHES if name.startswith(branch)), "")
    dimensions, kinds = _FORMS.get(name.removeprefix(branch), (array.ndim, array.dtype.kind))
    if array.ndim != dimensions or array.dtype.kind not in kinds:
        return f"it has {array.ndim} dimensions of {array.dtype}, expected {dimensions} of kind {' or '.join(kinds)}"
    return ""


# --- Safe reading of .npz archives of unknown origin: no array is read beyond its declared size ---

# Of one array: 33 million numbers of 8 bytes. The largest test split has 0.1 million pictures.
MEMBER_BYTES = 2**28
MEMBERS = 1000
# Exceptions of zipfile and numpy for an archive that is damaged, encrypted or of an unknown form.
ARCHIVE_ERRORS = (
    OSError, EOFError, ValueError, TypeError, KeyError, RuntimeError, MemoryError, OverflowError, RecursionError,
    zipfile.BadZipFile, zlib.error, SyntaxError,
)  # fmt: skip


class Archive:
    """The arrays in the bytes of a .npz file, read one by one. Constructor and methods raise ARCHIVE_ERRORS."""

    def __init__(self, content: bytes) -> None:
        self._zip = zipfile.ZipFile(io.BytesIO(content))
        if len(self._zip.infolist()) > MEMBERS:
            raise ValueError(f"it has {len(self._zip.infolist()):,} members, expected at most {MEMBERS:,}")

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Names of the arrays."""
        return tuple(name.removesuffix(".npy") for name in self._zip.namelist())

    def read(self, name: str) -> np.ndarray:
        """Read an array of numbers, booleans or text.

        Raises ValueError also for a member larger than MEMBER_BYTES, before unpacking it, and for one whose header does
        not agree with its size.
        """
        import numpy as np  # imported here: reading states and --help do not need it

        name = name if name in self._zip.namelist() else f"{name}.npy"
        info = self._zip.getinfo(name)
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise ValueError("it is packed in a way that numpy does not write")
        if info.file_size > MEMBER_BYTES:
            raise ValueError(
                f"unpacked it would have {info.file_size:,} bytes, expected at most {MEMBER_BYTES:,}"
            )
        with self._zip.open(name) as member:
            content = member.read(info.file_size)  # unpacks at most the declared size
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
        array = np.load(stream, allow_pickle=False)
        if dtype.kind == "U":
            _require_text(array)
        return array


def _require_text(array: np.ndarray) -> None:
    """Raise ValueError for code points that are no characters."""
    import numpy as np

    code_points = np.ascontiguousarray(array).astype(array.dtype.newbyteorder("=")).view(np.uint32)
    if code_points.size and (
        code_points.max() > 0x10FFFF or ((code_points >= 0xD800) & (code_points < 0xE000)).any()
    ):
        raise ValueError("it holds numbers that are no characters")
