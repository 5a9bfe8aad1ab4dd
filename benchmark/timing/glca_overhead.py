"""GLCA's cost over the baseline, counted at the paper's sizes (torch where it counts).

The published percentages hold GLCA's block, norm and classifier, of a retrieval model no classifier. They do not hold
the rollout, which computes the scores of all blocks before GLCA's a second time because the fused attention keeps none:
it is counted beside them.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from benchmark.atomic import explained, write_json
from benchmark.config import resolve
from benchmark.config.datasets import DATASETS
from benchmark.config.grid import select
from benchmark.config.paper import OVERHEADS
from benchmark.config.resolve import Config
from benchmark.records.forecasts import Overheads, is_fresh, measurement_origin, read_glca_cost
from benchmark.records.provenance import collect

PROFILE = "paper"
COUNTED = ("benchmark.timing.glca_overhead", "benchmark.timing.counting")  # the code that counts


def complete(path: Path) -> Overheads:
    """The file of this code and these versions of torch and timm: what is there, or counted now and written.

    Loads torch where it counts. Raises RunError where the file cannot be written.
    """
    origin = measurement_origin(COUNTED)
    stored = read_glca_cost(path)
    if stored is not None and is_fresh(stored.made, origin):
        return stored
    from benchmark.timing.counting import glca_cost

    entries = []
    for published in OVERHEADS:
        config = paper_config(published.dataset, published.backbone)
        cost = glca_cost(
            config.tag,
            official_classes(config),
            config.settings.data.crop,
            config.glca,
            classifier=config.cell.task == "fgvc",
        )
        entries.append({"of": f"{published.dataset}/{published.backbone}", "cost": asdict(cost)})
    with explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, {"costs": entries, "made": {**collect(), **origin}})
    return read_glca_cost(path)


def paper_config(dataset: str, backbone: str) -> Config:
    """DCAL's run of a pair in the paper's recipe, whatever profile the ablations run in."""
    (cell,) = select([f"{dataset}/{backbone}/dcal"])
    return resolve.resolve(cell, 0, resolve.load_profile(PROFILE), {})


def official_classes(config: Config) -> int:
    """Of the classifier, with the complete dataset."""
    official = DATASETS[config.cell.dataset].official
    return official["classes" if config.cell.task == "fgvc" else "train_ids"]


def text(overheads: Overheads) -> str:
    """A line a model, published and counted."""
    lines = []
    for published in OVERHEADS:
        cost = overheads.costs[published.dataset, published.backbone]
        height, width = paper_config(published.dataset, published.backbone).settings.data.crop
        lines.append(
            f"GLCA, {published.dataset}/{published.backbone} at {height}×{width}: "
            f"parameters +{cost.parameters_percent:.2f} % (paper {published.parameters} %), multiply-adds "
            f"+{cost.multiply_adds_percent:.2f} % (paper {published.multiply_adds} %); its rollout, not in the paper's "
            f"figure, +{cost.rollout_percent:.1f} %"
        )
    return "\n".join(lines)
