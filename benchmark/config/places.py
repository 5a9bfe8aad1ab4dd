"""Folders of data, weights and runs. None of them enters a run's hash."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path

from benchmark.config.datasets import is_own
from benchmark.config.resolve import load_profile
from benchmark.errors import SettingsError
from benchmark.reading import explanation

MINI_WEIGHTS = Path(__file__).resolve().parents[1] / "data" / "mini" / "weights"


@dataclass(frozen=True)
class Places:
    """runs: root of all run folders. data: root of the datasets, None if not set. weights: a folder of files,
    None for the hub's cache. generated: the paper's datasets are stood in for by the mini sets, written below ``runs``
    when first needed.
    """

    runs: Path
    data: Path | None
    weights: Path | None
    generated: bool

    def generates(self, dataset: str) -> bool:
        """Whether this dataset is a mini set, which a user's own never is."""
        return self.generated and not is_own(dataset)

    @classmethod
    def of(cls, profile: str, runs: Path, data: Path | None, weights: Path | None) -> Places:
        """The places a profile uses: what the user names, else the mini profile's own.

        A folder of data need not exist yet. Raises SettingsError for one that is no folder, and for folders that this
        user may not read.
        """
        if data is not None:
            require_readable("DATA", data, "the folder that holds the datasets")
        if weights is not None and not os.path.isfile(weights):
            require_readable("WEIGHTS", weights, "a folder of weights, or one file of them")
        loaded = load_profile(profile)
        generated = loaded.pictures == "generated"
        if generated and data is None:
            data = runs / profile / "data"
        if loaded.backbones == "mini" and weights is None:
            weights = MINI_WEIGHTS
        return cls(Path(runs), data, weights, generated)


def require_readable(name: str, folder: Path, expected: str) -> None:
    """Raises SettingsError for what is there and is no folder that can be listed."""
    try:
        if not stat.S_ISDIR(os.stat(folder).st_mode):
            raise SettingsError(f"{name}={folder} is no folder: expected {expected}")
        os.scandir(folder).close()
    except FileNotFoundError:
        return
    except OSError as error:
        raise SettingsError(f"{name}: {explanation(folder, error)}; expected {expected}") from error
