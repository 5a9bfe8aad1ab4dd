"""What is seen of a run between two lines of its history: a bar on the terminal, and lines in the log."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar

from torch import Tensor
from tqdm import tqdm

from benchmark.book import Book

logger = logging.getLogger("benchmark")

BAR_SECONDS = 2.0  # between two readings of the loss for the bar alone

Item = TypeVar("Item")


class StepLog:
    """The bar and the lines, both with the mean loss of each branch since the last reading.

    To read a loss is to wait for the device. That happens at the steps that are logged, or, where there are none and a
    bar is drawn, every few seconds; else nothing here touches the device.

    names: of the branches. every: steps of the run between two lines, 0 for none. bar: whether a terminal looks on.
    """

    def __init__(self, names: Sequence[str], *, every: int, bar: bool) -> None:
        self._names, self._every, self._shown = names, every, bar
        self._bar = tqdm(disable=True)
        self._forget()

    def _forget(self) -> None:
        self._sums: Tensor | float = 0.0
        self._images, self._seconds, self._began = 0, 0.0, time.monotonic()

    def steps(self, items: Iterable[Item], title: str, *, total: int, initial: int = 0) -> Iterator[Item]:
        """The same items, with a bar beside them."""
        self._bar = tqdm(
            items,
            desc=title,
            initial=initial,
            total=total,
            leave=False,
            file=sys.stderr,
            disable=not self._shown,
        )
        yield from self._bar

    def epoch(self, items: Iterable[Item], book: Book, *, steps: int, epochs: int) -> Iterator[Item]:
        """The batches that are left of an epoch, with a bar; what happens between two epochs is not timed."""
        self._began = time.monotonic()
        yield from self.steps(items, f"epoch {book.epoch + 1}/{epochs}", total=steps, initial=book.step)
        self._seconds += time.monotonic() - self._began

    def add(self, losses: Tensor, images: int) -> None:
        """A step's losses, (branches,) on the device, means over ``images`` pictures."""
        if self._every or self._shown:
            self._sums = self._sums + losses * images
            self._images += images

    def tell(self, taken: int, where: str, lr: float) -> None:
        """After a step: show what was added, if it is time to. taken: steps of the run so far; where: this one."""
        if not (taken % self._every == 0 if self._every else self._shown and self._is_long_ago()):
            return
        means = zip(self._names, (self._sums / self._images).tolist(), strict=True)
        losses = " ".join(f"{name} {mean:.4f}" for name, mean in means)
        seconds = self._seconds + time.monotonic() - self._began
        self._bar.set_postfix_str(losses)
        if self._every:
            self._bar.clear()  # the line takes its place on the terminal
            speed = self._images / max(seconds, 1e-9)
            logger.info("%s; loss %s; lr %.4g; %.1f images/s", where, losses, lr, speed)
        self._forget()

    def _is_long_ago(self) -> bool:
        return time.monotonic() - self._began >= BAR_SECONDS
