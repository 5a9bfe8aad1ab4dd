"""Where the training of a run stands, and a line about each epoch."""

from __future__ import annotations

import math
from dataclasses import dataclass, field


@dataclass
class Book:
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

    def remaining_seconds(self, taken: int, steps: int) -> float | None:
        """To the end of the run at its pace so far, evaluations included; None before the first step.

        taken: steps so far, of ``steps`` in all.
        """
        if not taken:
            return None
        evaluations = self.evaluate_seconds if math.isfinite(self.evaluate_seconds) else 0.0
        return (self.train_seconds + self.epoch_seconds + evaluations) * (steps - taken) / taken


def line(entry: dict, epochs: int) -> str:
    """An entry of the history for the log."""
    losses = " ".join(f"{name} {value:.4f}" for name, value in entry["loss"].items())
    parts = [f"epoch {entry['epoch']}/{epochs}", f"loss {losses}"]
    if entry["w"]:
        parts.append("w " + " ".join(f"{name} {value:+.3f}" for name, value in entry["w"].items()))
    if "metrics" in entry:
        parts.append(" ".join(f"{name} {value:.2f}" for name, value in entry["metrics"].items()))
    parts.append(f"{entry['seconds']:.1f} s, {entry['images_per_second']:.1f} images/s")
    return "; ".join(parts)
