"""GLCA's cost over the baseline, counted at the paper's sizes, and its file: runs/<profile>/ablations/overhead.json
(no torch).

The published percentages hold GLCA's block, norm and classifier, of a retrieval model no classifier. They do not hold
the rollout, which computes the scores of all blocks before GLCA's a second time because the fused attention keeps none:
it is counted beside them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmark import config
from benchmark.atomic import explained, write_json
from benchmark.config import Config
from benchmark.data.registry import DATASETS
from benchmark.forecast.store import is_fresh, measured_by
from benchmark.grid import ABLATIONS, select
from benchmark.paper_ablations import OVERHEADS
from benchmark.provenance import collect
from benchmark.records import read_json

PROFILE = "paper"
COUNTED = ("benchmark.overhead", "benchmark.counting")  # the code that counts


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


def complete(path: Path) -> Overheads:
    """The file of this code and these versions of torch and timm: what is there, or counted now and written.

    Loads torch where it counts. Raises RunError where the file cannot be written.
    """
    by = measured_by(COUNTED)
    found = read(path)
    if found is not None and is_fresh(found.made, by):
        return found
    from benchmark.counting import glca_cost

    entries = []
    for published in OVERHEADS:
        asked = of_paper(published.dataset, published.backbone)
        cost = glca_cost(
            asked.tag,
            official_classes(asked),
            asked.settings.data.crop,
            asked.glca,
            classifier=asked.cell.task == "fgvc",
        )
        entries.append({"of": f"{published.dataset}/{published.backbone}", "cost": asdict(cost)})
    with explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, {"costs": entries, "made": {**collect(), **by}})
    return read(path)


def of_paper(dataset: str, backbone: str) -> Config:
    """DCAL's run of a pair in the paper's recipe, whatever profile the ablations run in."""
    (cell,) = select([f"{dataset}/{backbone}/dcal"])
    return config.resolve(cell, 0, config.load_profile(PROFILE), {})


def official_classes(asked: Config) -> int:
    """Of the classifier, with the complete dataset."""
    official = DATASETS[asked.cell.dataset].official
    return official["classes" if asked.cell.task == "fgvc" else "train_ids"]


def text(found: Overheads) -> str:
    """A line a model, published and counted."""
    lines = []
    for published in OVERHEADS:
        cost = found.costs[published.dataset, published.backbone]
        height, width = of_paper(published.dataset, published.backbone).settings.data.crop
        lines.append(
            f"GLCA, {published.dataset}/{published.backbone} at {height}×{width}: "
            f"parameters +{cost.parameters_percent:.2f} % (paper {published.parameters} %), multiply-adds "
            f"+{cost.multiply_adds_percent:.2f} % (paper {published.multiply_adds} %); its rollout, not in the paper's "
            f"figure, +{cost.rollout_percent:.1f} %"
        )
    return "\n".join(lines)


def _is_whole(costs: Mapping[tuple[str, ...], GLCACost]) -> bool:
    numbers = [number for cost in costs.values() for number in asdict(cost).values()]
    pairs = {(published.dataset, published.backbone) for published in OVERHEADS}
    return pairs <= costs.keys() and all(type(number) is int and number > 0 for number in numbers)
