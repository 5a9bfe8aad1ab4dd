"""What is seen of a run between two lines of its history: a bar on the terminal, and lines in the log."""

from __future__ import annotations

import logging
import math
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from torch import Tensor
from tqdm import tqdm

from benchmark.records.progress import time_left

logger = logging.getLogger("benchmark")

BAR_SECONDS = 2.0  # between two readings of the loss for the bar alone
LINE_SECONDS = 60.0  # between two lines in the log where neither lines nor a bar are wanted

Item = TypeVar("Item")


class StepLog:
    """The bar and the lines, both with the mean loss of each branch since the last reading.

    To read a loss is to wait for the device. That happens at the steps that are logged, or, where there are none,
    every few seconds for a bar; without a bar once a minute, for a line that shows that the run goes on.

    names: of the branches. every: steps of the run between two lines, 0 for none. bar: whether a terminal looks on.
    """

    def __init__(self, names: Sequence[str], *, every: int, bar: bool) -> None:
        self._names, self._every, self._shown = names, every, bar
        self._bar, self._title = tqdm(disable=True), ""
        self._forget()

    def _forget(self) -> None:
        self._sums: Tensor | float = 0.0
        self._images, self._seconds, self._began = 0, 0.0, time.monotonic()

    def _with_bar(self, items: Iterable[Item], title: str, *, total: int, initial: int = 0) -> Iterator[Item]:
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

    def evaluation(self, rounds: int) -> Iterator[int]:
        """The numbers of an evaluation's batches, with a bar or a line a minute beside them."""
        logged_at = time.monotonic()
        for number in self._with_bar(range(rounds), "evaluation", total=rounds):
            if not self._shown and time.monotonic() - logged_at >= LINE_SECONDS:
                logged_at = time.monotonic()
                logger.info("evaluation: %d of %d batches", number, rounds)
            yield number

    def epoch(
        self, items: Iterable[Item], progress: TrainingProgress, *, steps: int, epochs: int
    ) -> Iterator[Item]:
        """The batches that are left of an epoch, with a bar; what happens between two epochs is not timed."""
        if not self._every:
            self._forget()
        self._began, self._title = time.monotonic(), f"epoch {progress.epoch + 1}/{epochs}"
        yield from self._with_bar(items, self._title, total=steps, initial=progress.step)
        self._seconds += time.monotonic() - self._began

    def add(self, losses: Tensor, images: int) -> None:
        """A step's losses, (branches,) on the device, means over ``images`` pictures."""
        self._sums = self._sums + losses * images
        self._images += images

    def tell(self, step: int, where: str, lr: float, seconds_left: float | None = None) -> None:
        """After a step: show what was added, if it is time to.

        step: steps of the run so far. where: this one. seconds_left: to the end of the run; None: not known yet.
        """
        if not self._is_due(step):
            return
        means = zip(self._names, (self._sums / self._images).tolist(), strict=True)
        losses = " ".join(f"{name} {mean:.4f}" for name, mean in means)
        seconds = self._seconds + time.monotonic() - self._began
        self._bar.set_description(f"{self._title}, {time_left(seconds_left)}", refresh=False)
        self._bar.set_postfix_str(losses)
        if self._every or not self._shown:
            self._bar.clear()  # the line takes its place on the terminal
            speed = self._images / max(seconds, 1e-9)
            logger.info(
                "%s; loss %s; lr %.4g; %.1f images/s, %s", where, losses, lr, speed, time_left(seconds_left)
            )
        self._forget()

    def _is_due(self, step: int) -> bool:
        if self._every:
            return step % self._every == 0
        return time.monotonic() - self._began >= (BAR_SECONDS if self._shown else LINE_SECONDS)


# --- Where the training of a run stands, and a line about each epoch ---


@dataclass
class TrainingProgress:
    """Where training stands and what was seen so far, by all ranks together; part of every checkpoint.

    epoch, step: the next step to take, both from 0. sums: branch → sum of its loss over this epoch's images.
    seconds: training time so far, in this epoch and in all, and of evaluations. history: one entry a finished epoch.
    """

    epoch: int = 0
    step: int = 0
    images: int = 0
    sums: dict[str, float] = field(default_factory=dict)
    epoch_seconds: float = 0.0
    train_seconds: float = 0.0
    evaluate_seconds: float = 0.0
    attempts: int = 0
    history: list[dict] = field(default_factory=list)

    def remaining_seconds(self, step: int, steps: int) -> float | None:
        """To the end of the run at its pace so far, evaluations included; None before the first step.

        step: steps so far, of ``steps`` in all.
        """
        if not step:
            return None
        evaluations = self.evaluate_seconds if math.isfinite(self.evaluate_seconds) else 0.0
        return (self.train_seconds + self.epoch_seconds + evaluations) * (steps - step) / step


def format_epoch(entry: dict, epochs: int) -> str:
    """An entry of the history for the log."""
    losses = " ".join(f"{name} {value:.4f}" for name, value in entry["loss"].items())
    parts = [f"epoch {entry['epoch']}/{epochs}", f"loss {losses}"]
    if entry["w"]:
        parts.append("w " + " ".join(f"{name} {value:+.3f}" for name, value in entry["w"].items()))
    if "metrics" in entry:
        parts.append(" ".join(f"{name} {value:.2f}" for name, value in entry["metrics"].items()))
    parts.append(f"{entry['seconds']:.1f} s, {entry['images_per_second']:.1f} images/s")
    return "; ".join(parts)
