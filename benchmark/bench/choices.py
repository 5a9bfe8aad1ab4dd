"""Choices of the training step against what was not chosen: the hybrid stem's memory format, the fused update."""

from __future__ import annotations

import sys
from collections.abc import Callable

import torch
from torch import Tensor

import dcal
from benchmark import optim
from benchmark.bench.measure import Meter, Result, measure
from benchmark.bench.rows import Row
from benchmark.bench.steps import batch_of, classes_of, recipe_of
from benchmark.bench.turns import in_turns, waiting_for
from benchmark.device import prepare
from benchmark.models import build_model
from benchmark.pool import usable_cores

STEM = "cub/r50_vit_base/baseline"
BATCH = 2
REPEATS = 9
# Each kind of optimizer by a cell whose recipe has it.
UPDATES = {"AdamW": "cub/deit_tiny/dcal", "SGD": "market/deit_tiny/dcal"}


def run(device: str) -> list[Row]:
    """A row for the stem, and one for each kind of optimizer, each from a process of its own."""
    print("choices: hybrid stem, updates", file=sys.stderr)
    setting = {"device": device, "threads": usable_cores()}
    stem = measure(work_of_stem, **setting).result
    case = f"R50 stem 448², batch {BATCH}"
    rows = [
        Row(
            "choices",
            case,
            "forward, backward",
            "s",
            stem["channels-last"],
            stem["plain"],
            "contiguous",
        )
    ]
    for kind, cell in UPDATES.items():
        seconds = measure(work_of_update, cell=cell, **setting).result
        rows.append(
            Row(
                "choices",
                f"{kind}, DeiT-Tiny + DCAL",
                "update",
                "s",
                seconds["fused"],
                seconds["plain"],
                "plain",
            )
        )
    return rows


def work_of_stem(meter: Meter, device: str, threads: int) -> Result:
    """Seconds of a pass through the stem, by memory format."""
    compute = prepare(device, "auto", threads)
    config = recipe_of(STEM)
    images = batch_of(config, BATCH, compute).images
    works = {}
    for name, memory_format in (("channels-last", torch.channels_last), ("plain", torch.contiguous_format)):
        model = dcal.build(
            config.tag, classes_of(config), image_size=config.settings.data.crop, weights="random"
        )
        stem = model.backbone.vit.patch_embed.backbone.to(compute.device, memory_format=memory_format).train()
        works[name] = _pass(stem, images.to(memory_format=memory_format))
    meter.start(device)
    return in_turns(works, REPEATS, waiting_for(device))


def _pass(stem: torch.nn.Module, images: Tensor) -> Callable[[], None]:
    def forward_backward() -> None:
        stem.zero_grad(set_to_none=True)
        maps = stem(images)
        (maps[-1] if isinstance(maps, (list, tuple)) else maps).sum().backward()

    return forward_backward


def work_of_update(meter: Meter, cell: str, device: str, threads: int) -> Result:
    """Seconds of an optimizer's update of all parameters, fused as the suite has it, and plain."""
    compute = prepare(device, "auto", threads)
    config = recipe_of(cell)
    settings = config.settings
    works = {}
    for name, fused in (("fused", True), ("plain", False)):
        model = build_model(config, classes_of(config), weights="random").to(compute.device)
        weighting = dcal.UncertaintyWeighting(model.branch_names).to(compute.device)
        optimizer = optim.make_optimizer(model, weighting, settings.train)
        for group in optimizer.param_groups:
            group["fused"] = fused
            for parameter in group["params"]:
                parameter.grad = torch.zeros_like(parameter)
        works[name] = optimizer.step
    meter.start(device)
    return in_turns(works, REPEATS, waiting_for(device))
