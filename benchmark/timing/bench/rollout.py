"""The class token's rollout: our chain of row vectors against the product of matrices, and against a fused kernel."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from benchmark.timing.bench.results import MB, BenchRow, check_agreement
from benchmark.timing.measure import Meter, Result, measure, measure_memory, time_in_turns, waiting_for
from benchmark.training.device import prepare, usable_cores
from dcal.attention_rollout import rollout_row

QueriesKeys = Sequence[tuple[Tensor, Tensor]]


@dataclass(frozen=True)
class RolloutCase:
    """Sizes of one rollout. times: bar, how much longer the product takes at the least; None: no bar."""

    title: str
    batch: int
    heads: int
    tokens: int
    blocks: int
    repeats: int
    times: float | None = None
    width: int = 64

    @property
    def map_bytes(self) -> int:
        """One head's attention map of the batch in float32: the most memory that the chain may take."""
        return self.batch * self.tokens**2 * 4


CASES = (RolloutCase("DeiT-Tiny 448²", batch=8, heads=3, tokens=785, blocks=11, repeats=7, times=3),)


def run(device: str, cases: Iterable[RolloutCase] = CASES) -> list[BenchRow]:
    """Times of all three, in turns, and the memory of each. Raises Disagreement if their rows differ.

    The product is given every advantage: one block's maps at a time, float32, of a batch as one matrix product.
    """
    rows = []
    for case in cases:
        title = f"{case.title}, batch {case.batch}, {case.blocks} blocks"
        print(f"rollout: {title}", file=sys.stderr)
        size = {name: getattr(case, name) for name in ("batch", "heads", "tokens", "blocks", "width")}
        setting = {**size, "device": device, "threads": usable_cores()}
        results = measure(work_of_times, **setting, repeats=case.repeats).result
        memory = {way: measure_memory(work_of_memory, **setting, way=way) / MB for way in WAYS}
        for way in OTHERS:
            difference = results[f"{way} difference"]
            check_agreement(f"{title}: {way}", {"row": 1.0}, {"row": 1.0 + difference}, tolerance=1e-5)
            is_product = way == "product"
            rows.append(
                BenchRow(
                    "rollout",
                    title,
                    "time",
                    "s",
                    results["row"],
                    results[way],
                    OTHERS[way],
                    times=case.times if is_product else None,
                )
            )
            rows.append(
                BenchRow(
                    "rollout",
                    title,
                    "memory growth",
                    "MB",
                    [memory["row"]],
                    [memory[way]],
                    OTHERS[way],
                    most=case.map_bytes / MB if is_product else None,
                )
            )
    return rows


def product(queries_keys: QueriesKeys) -> Tensor:
    """First row of Ŝ_i (Eq. 2) as most implementations come to it: whole maps, mean of the heads, matrix products."""
    accumulated = None
    for q, k in queries_keys:
        maps = (q @ k.transpose(-2, -1) / q.shape[-1] ** 0.5).softmax(dim=-1)
        s_bar = 0.5 * maps.mean(dim=1)
        s_bar.diagonal(dim1=1, dim2=2).add_(0.5)
        accumulated = s_bar if accumulated is None else s_bar @ accumulated
    return accumulated[:, 0]


def fused(queries_keys: QueriesKeys) -> Tensor:
    """The same chain without any map: r·S is the gradient of softmax(QKᵀ/√d) V with respect to V for the gradient r."""
    q, _ = queries_keys[-1]
    row = torch.zeros(q.shape[0], q.shape[2], device=q.device)
    row[:, 0] = 1.0
    for q, k in reversed(queries_keys):
        with torch.enable_grad():
            v = torch.zeros_like(k).requires_grad_()
            attended = F.scaled_dot_product_attention(q, k, v)
        upstream = torch.zeros_like(attended)
        upstream[..., 0] = row[:, None, :].to(upstream.dtype)
        (gradient,) = torch.autograd.grad(attended, v, upstream)
        row = 0.5 * row + 0.5 * gradient[..., 0].float().mean(dim=1)
    return row


WAYS = {"row": rollout_row, "product": product, "fused": fused}
OTHERS = {"product": "matrix product", "fused": "fused kernel's gradient"}


def draw(batch: int, heads: int, tokens: int, blocks: int, width: int, where: torch.device) -> QueriesKeys:
    """Queries and keys, (B, H, N+1, d) each, that attend to few tokens, as trained ones do; always the same."""
    generator = torch.Generator().manual_seed(0)
    shape = (blocks, 2, batch, heads, tokens, width)
    tensors = 1.3 * torch.randn(shape, generator=generator)
    return [(q, k) for q, k in tensors.to(where)]


@torch.no_grad()
def work_of_times(meter: Meter, *, device: str, threads: int, repeats: int, **size: int) -> Result:
    """Seconds of each way, and how far the others' rows are from ours, relative to the largest entry."""
    queries_keys = draw(**size, where=prepare(device, "float32", threads).device)
    meter.start(device)
    found = {way: function(queries_keys) for way, function in WAYS.items()}
    largest = found["row"].abs().max()
    differences = {
        f"{way} difference": ((found[way] - found["row"]).abs().max() / largest).item() for way in OTHERS
    }
    works = {way: lambda function=function: function(queries_keys) for way, function in WAYS.items()}
    finish = waiting_for(device)
    return differences | time_in_turns(works, repeats, finish)


@torch.no_grad()
def work_of_memory(meter: Meter, *, device: str, threads: int, way: str, **size: int) -> Result:
    """One rollout, after one that has left libraries with the buffers that they keep."""
    queries_keys = draw(**size, where=prepare(device, "float32", threads).device)
    WAYS[way](queries_keys)
    meter.start(device)
    WAYS[way](queries_keys)
    return {}
