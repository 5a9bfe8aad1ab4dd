"""Where data, weights and runs lie. None of it enters a run's hash (no torch)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from benchmark.config import load_profile
from benchmark.data.registry import is_own

MINI_WEIGHTS = Path(__file__).parent / "mini" / "weights"


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
        """The places a profile uses: what the user names, else the mini profile's own."""
        loaded = load_profile(profile)
        generated = loaded.pictures == "generated"
        if generated and data is None:
            data = runs / profile / "data"
        if loaded.backbones == "mini" and weights is None:
            weights = MINI_WEIGHTS
        return cls(Path(runs), data, weights, generated)
