"""Times of several functions in one process, in turns, so that a busy moment hits all alike (torch for GPUs only)."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping


def in_turns(
    works: Mapping[str, Callable[[], object]], repeats: int, finish: Callable[[], object] = lambda: None
) -> dict[str, list[float]]:
    """Seconds of every call of each work, after a first call that does not count.

    Every other round goes backwards: a machine that slows down favours nobody. finish: called before each reading of
    the clock, to wait for a GPU.
    """
    for work in works.values():
        work()
    seconds: dict[str, list[float]] = {name: [] for name in works}
    for repeat in range(repeats):
        for name in list(works)[:: -1 if repeat % 2 else 1]:
            finish()
            began = time.perf_counter()
            works[name]()
            finish()
            seconds[name].append(time.perf_counter() - began)
    return seconds


def waiting_for(device: str) -> Callable[[], object]:
    """What ``in_turns`` needs as finish: on a GPU a function returns before its work is done."""
    if device != "cuda":
        return lambda: None
    import torch

    return torch.cuda.synchronize
