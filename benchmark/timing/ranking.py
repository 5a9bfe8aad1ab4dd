"""The measured process of one gallery: how long it takes to rank it for all queries, by made-up features."""

from __future__ import annotations

from statistics import median

import torch

from benchmark.evaluation.ranking import rank_features
from benchmark.timing.bench.ranking import draw, warm_up
from benchmark.timing.measure import Meter
from benchmark.training import device

NARROW, WIDE = 192, 768  # of the features: what lies between and beyond is on the line through both
ENOUGH = 1.0  # seconds: below, three rankings are timed, else one


def rank(
    meter: Meter,
    *,
    queries: int,
    gallery: int,
    identities: int,
    cameras: int,
    device_type: str,
    threads: int,
) -> dict[str, object]:
    """A store.Ranking as a dict. Features are distributed like the real sets'."""
    meter.start()
    compute = device.prepare(device_type, "float32", threads)
    rank_features(*warm_up())
    found = {}
    for name, width in (("narrow", NARROW), ("wide", WIDE)):
        asked, there, asked_items, there_items = draw(
            queries=queries, gallery=gallery, identities=min(identities, gallery), distractors=0,
            cameras=cameras, dimensions=width,
        )  # fmt: skip
        asked, there = asked.to(compute.device), there.to(compute.device)
        seconds = []
        while not seconds or (len(seconds) < 3 and seconds[0] < ENOUGH):
            before = meter.seconds.get(name, 0.0)
            with meter.span(name):
                rank_features(asked, there, asked_items, there_items)
                if compute.device.type == "cuda":
                    torch.cuda.synchronize(compute.device)
            seconds.append(meter.seconds[name] - before)
        found |= {name: width, f"{name}_seconds": median(seconds)}
    return found
