"""Record of GLCA's counted cost: runs/<profile>/ablations/overhead.json (no torch)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmark.config.grid import ABLATIONS
from benchmark.config.paper_ablations import OVERHEADS
from benchmark.records.run_folder import read_json


@dataclass(frozen=True)
class GLCACost:
    """parameters, multiply_adds: the baseline's; added: by GLCA, without its rollout. Multiply-adds of one image."""

    parameters: int
    added_parameters: int
    multiply_adds: int
    added_multiply_adds: int
    rollout_multiply_adds: int

    @property
    def parameters_percent(self) -> float:
        """Of the baseline's parameters."""
        return 100 * self.added_parameters / self.parameters

    @property
    def multiply_adds_percent(self) -> float:
        """Of the baseline's multiply-adds."""
        return 100 * self.added_multiply_adds / self.multiply_adds

    @property
    def rollout_percent(self) -> float:
        """Of the baseline's multiply-adds, not in the published figure."""
        return 100 * self.rollout_multiply_adds / self.multiply_adds


@dataclass(frozen=True)
class Overheads:
    """The file. costs: by (dataset, backbone) of the published ones. made: commit, versions, time and the like."""

    costs: Mapping[tuple[str, str], GLCACost]
    made: Mapping[str, object]


def path_of(runs: Path, profile: str) -> Path:
    """runs: root of all run folders."""
    return runs / profile / ABLATIONS / "overhead.json"


def read(path: Path) -> Overheads | None:
    """What is in the file; None where there is none, or not of this form."""
    found = read_json(path) or {}
    try:
        costs = {tuple(entry["of"].split("/")): GLCACost(**entry["cost"]) for entry in found["costs"]}
        return Overheads(costs, found["made"]) if _is_whole(costs) else None
    except (KeyError, TypeError, AttributeError):
        return None


def _is_whole(costs: Mapping[tuple[str, ...], GLCACost]) -> bool:
    numbers = [number for cost in costs.values() for number in asdict(cost).values()]
    pairs = {(published.dataset, published.backbone) for published in OVERHEADS}
    return pairs <= costs.keys() and all(type(number) is int and number > 0 for number in numbers)
