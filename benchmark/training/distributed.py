"""What the ranks of one run tell each other while they train and evaluate it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

T = TypeVar("T")


class SingleProcess:
    """The only rank of a run: what it has is all there is."""

    rank = 0
    size = 1

    def gather(self, rows: Tensor, counts: Sequence[int]) -> Tensor:
        """The counted rows of all ranks, in the ranks' order and on every rank.

        rows: (n, …), of which the first counts[rank] count; counts: of each rank, known to all.
        Differentiable where every rank computes the same scalar from the result and the gradients of the ranks are
        then averaged, as ``parallel`` does: together they are the gradient of that scalar.
        """
        return rows

    def parallel(self, module: nn.Module) -> nn.Module:
        """A module whose backward leaves the mean of all ranks' gradients on every rank."""
        return module

    def align(self, module: nn.Module) -> None:
        """Give every rank the first one's parameters and buffers, as ``parallel`` does."""

    def average(self, parameters: Iterable[nn.Parameter]) -> None:
        """The mean of all ranks' gradients to every rank, where no ``parallel`` module sees to it."""

    def any(self, *flags: bool) -> tuple[bool, ...]:
        """Of each flag, whether some rank has set it."""
        return flags

    def collect(self, value: T) -> list[T]:
        """The values of all ranks, by rank."""
        return [value]

    def share(self, value: T) -> T:
        """The first rank's value."""
        return value

    def meet(self) -> None:
        """Wait until every rank is here."""


class ProcessGroup(SingleProcess):
    """One of several ranks, in torch's default process group.

    Agreements and everything on the CPU go through gloo, which fails at once when a rank is gone; what is on a GPU goes
    through NCCL, which would wait for it. So a step, and an evaluation, begins with a meeting on the CPU.
    """

    def __init__(self, device: torch.device) -> None:
        self.rank, self.size, self._device = dist.get_rank(), dist.get_world_size(), device

    def gather(self, rows: Tensor, counts: Sequence[int]) -> Tensor:
        return _Gather.apply(rows, tuple(counts), self.rank)

    def parallel(self, module: nn.Module) -> nn.Module:
        if self._device.type == "cuda":
            return DistributedDataParallel(module, device_ids=[self._device])
        parallel = DistributedDataParallel(module)
        parallel.register_comm_hook(None, lambda _, bucket: _completed(_mean_in_order(bucket.buffer())))
        return parallel

    def align(self, module: nn.Module) -> None:
        for tensor in module.state_dict().values():
            dist.broadcast(tensor, src=0)

    def average(self, parameters: Iterable[nn.Parameter]) -> None:
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        mean = torch.cat([gradient.flatten() for gradient in gradients])
        if self._device.type == "cuda":
            dist.all_reduce(mean, dist.ReduceOp.AVG)
        else:
            mean = _mean_in_order(mean)
        for gradient, part in zip(gradients, mean.split([each.numel() for each in gradients]), strict=True):
            gradient.copy_(part.view_as(gradient))

    def any(self, *flags: bool) -> tuple[bool, ...]:
        local = torch.tensor(flags, dtype=torch.uint8)
        dist.all_reduce(local, dist.ReduceOp.MAX)
        return tuple(map(bool, local.tolist()))

    def collect(self, value: T) -> list[T]:
        values: list[T] = [value] * self.size
        dist.all_gather_object(values, value)
        return values

    def share(self, value: T) -> T:
        shared = [value]
        dist.broadcast_object_list(shared, src=0)
        return shared[0]

    def meet(self) -> None:
        self.any(False)


def _mean_in_order(gradients: Tensor) -> Tensor:
    """Gradients added up in the ranks' order.

    The usual sum begins with another rank for each stretch of a bucket, and what lies in a bucket changes after a
    process's first step: on a CPU a resumed run must end with the same bits.
    """
    parts = [torch.empty_like(gradients) for _ in range(dist.get_world_size())]
    dist.all_gather(parts, gradients)
    return sum(parts[1:], parts[0]) / len(parts)


def _completed(value: Tensor) -> torch.futures.Future[Tensor]:
    future: torch.futures.Future[Tensor] = torch.futures.Future()
    future.set_result(value)
    return future


class _Gather(torch.autograd.Function):
    """All-gather of unequal parts, padded to the longest."""

    @staticmethod
    def forward(ctx, rows: Tensor, counts: tuple[int, ...], rank: int) -> Tensor:  # noqa: ANN001
        ctx.counts, ctx.rank, ctx.shape = counts, rank, rows.shape
        padded = rows.new_zeros(max(counts), *rows.shape[1:])
        padded[: counts[rank]] = rows[: counts[rank]]
        parts = [torch.empty_like(padded) for _ in counts]
        dist.all_gather(parts, padded)
        return torch.cat([part[:count] for part, count in zip(parts, counts, strict=True)])

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, None, None]:  # noqa: ANN001
        # All ranks compute the same from the same rows, so this is the same on each: the sum over the ranks, which
        # the averaging afterwards asks for, needs no message.
        start, count = sum(ctx.counts[: ctx.rank]), ctx.counts[ctx.rank]
        share = gradient.new_zeros(ctx.shape)
        share[:count] = gradient[start : start + count] * len(ctx.counts)
        return share, None, None
