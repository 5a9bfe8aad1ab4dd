"""What a finished run found for each test picture or query, from its predictions.npz (no torch)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.errors import RunError
from benchmark.reading import damage_text, explanation, is_refusal, read_bytes
from benchmark.records.archives import UNREADABLE, Archive

if TYPE_CHECKING:
    import numpy as np

FILE_BYTES = 2**30
# array, without its branch → dimensions and kinds of dtype
_FORMS = {
    "classes": (1, "U"),
    **dict.fromkeys(("labels", "identities", "cameras", "predicted", "first_hit", "ties"), (1, "iu")),
    "nearest": (2, "iu"),
    **dict.fromkeys(("correct", "rank1_correct"), (1, "b")),
    **dict.fromkeys(("probability", "ap"), (1, "f")),
}
_BRANCHES = ("both_", "sa_", "glca_", "top5_")


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
    def _archive(self) -> Archive:
        advice = (
            "copy the run folder again, or run the cell anew; its metrics in result.json are not affected"
        )
        try:
            content = read_bytes(self.path, FILE_BYTES)
            found = hashlib.sha256(content).hexdigest()
            if found != self._sha256:
                raise RunError(
                    f"{self.path}: its digest is {found[:12]}…, result.json names {self._sha256[:12]}…; {advice}"
                )
            # From memory: a sweep of a thousand runs would hold as many files open.
            return Archive(content)
        except FileNotFoundError:
            raise RunError(f"{self.path}: no such file, expected what the run found; {advice}") from None
        except OSError as error:
            if is_refusal(error):
                raise RunError(explanation(self.path, error)) from None
            raise RunError(
                f"{self.path}: cannot be read ({damage_text(self.path, error)}); {advice}"
            ) from None
        except UNREADABLE as error:
            raise RunError(f"{self.path}: cannot be read ({error}); {advice}") from None

    def __getitem__(self, name: str) -> np.ndarray:
        """Raises RunError for a file that is missing, torn, not the record's or of another form, KeyError for a name
        that it lacks.
        """
        if name not in self._read:
            if name not in self._archive.names:
                raise KeyError(name)
            try:
                found = self._archive.read(name)
            except UNREADABLE as error:
                raise RunError(f"{self.path}: {name} cannot be read ({error})") from None
            if problem := _problem(name, found):
                raise RunError(f"{self.path}: {name} cannot be read ({problem})")
            self._read[name] = found
        return self._read[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._archive.names)

    def __len__(self) -> int:
        return len(self._archive.names)


def _problem(name: str, found: np.ndarray) -> str:
    """What is wrong with the form of a known array, or ""."""
    branch = next((branch for branch in _BRANCHES if name.startswith(branch)), "")
    dimensions, kinds = _FORMS.get(name.removeprefix(branch), (found.ndim, found.dtype.kind))
    if found.ndim != dimensions or found.dtype.kind not in kinds:
        return f"it has {found.ndim} dimensions of {found.dtype}, expected {dimensions} of kind {' or '.join(kinds)}"
    return ""
