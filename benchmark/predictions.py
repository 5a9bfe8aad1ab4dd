"""What a finished run found for each test picture or query, from its predictions.npz (no torch)."""

from __future__ import annotations

import hashlib
import io
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.errors import RunError

if TYPE_CHECKING:
    import numpy as np


# What numpy and zipfile raise of an archive that is torn, encrypted, packed otherwise or claims more than memory holds.
UNREADABLE = (OSError, EOFError, ValueError, RuntimeError, MemoryError, zipfile.BadZipFile, zlib.error)


class Predictions(Mapping[str, "np.ndarray"]):
    """The arrays by name, read from the file one by one when first asked for.

    fgvc: ``classes`` (c,) names, ``labels`` (n,), ``top5_correct`` (n,), and by branch ``both_predicted`` (n,),
    ``both_correct`` (n,) bool, ``both_probability`` (n,) of the true class.
    reid: ``identities`` (q,), ``cameras`` (q,), ``both_nearest`` (q, k) places in the gallery, and by branch
    ``both_ap`` (q,), ``both_first_hit`` (q,) from 1 and 0 where nothing can be found, ``both_rank1_correct``,
    ``both_ties``. Runs with GLCA have the branches ``sa`` and ``glca`` besides. Records made before a name was
    introduced lack it.
    """

    def __init__(self, path: Path, sha256: str) -> None:
        self.path, self._sha256 = path, sha256
        self._read: dict[str, np.ndarray] = {}

    @cached_property
    def _archive(self) -> np.lib.npyio.NpzFile:
        import numpy as np  # only where predictions are looked at: states and --help do without

        advice = (
            "copy the run folder again, or run the cell anew; its metrics in result.json are not affected"
        )
        try:
            content = self.path.read_bytes()
            found = hashlib.sha256(content).hexdigest()
            if found != self._sha256:
                raise RunError(
                    f"{self.path}: its digest is {found[:12]}…, result.json names {self._sha256[:12]}…; {advice}"
                )
            # From memory: a sweep of a thousand runs would hold as many files open.
            return np.lib.npyio.NpzFile(io.BytesIO(content), allow_pickle=False)
        except FileNotFoundError:
            raise RunError(f"{self.path}: no such file, expected what the run found; {advice}") from None
        except UNREADABLE as error:
            raise RunError(f"{self.path}: cannot be read ({error}); {advice}") from None

    def __getitem__(self, name: str) -> np.ndarray:
        """Raises RunError for a file that is missing, torn or not the record's, KeyError for a name it lacks."""
        if name not in self._read:
            if name not in self._archive.files:
                raise KeyError(name)
            try:
                found = self._archive[name]
            except UNREADABLE as error:
                raise RunError(f"{self.path}: {name} cannot be read ({error})") from None
            if not hasattr(found, "shape"):  # numpy gives a member that is no array as it is
                raise RunError(f"{self.path}: {name} cannot be read (it is no array)")
            self._read[name] = found
        return self._read[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._archive.files)

    def __len__(self) -> int:
        return len(self._archive.files)
