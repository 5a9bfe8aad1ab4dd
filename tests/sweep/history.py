"""Made-up training: losses that fall, a metric that rises to what the predictions say, lines of a log."""

from __future__ import annotations

import random

from sweep.plan import Planned

# By profile and task: epochs, and epochs between evaluations. As the recipes were when this was written; the records
# do not follow them.
EPOCHS_AND_EVERY = {
    ("paper", "fgvc"): (100, 1),
    ("paper", "reid"): (120, 40),
    ("mini", "fgvc"): (8, 4),
    ("mini", "reid"): (16, 8),
}
_UNFINISHED = {"top1": 80.0, "top5": 94.0, "sa_top1": 79.0, "glca_top1": 78.5}


def entries(planned: Planned, epochs: int, every: int, metrics: dict[str, float]) -> list[dict]:
    """One entry an epoch, as history.jsonl holds them; the last epoch's metrics are ``metrics``.

    every: epochs between evaluations. metrics: empty for a run that is not done.
    """
    own = random.Random(f"{planned.run} history")
    dcal = "/dcal/" in planned.run
    branches = {"sa": 1.0, "glca": 1.03, "pwca": 1.4} if dcal else {"sa": 1.0}
    if not metrics:
        metrics = {name: value for name, value in _UNFINISHED.items() if dcal or "_" not in name}
    lines = []
    for epoch in range(1, (planned.epochs or epochs) + 1):
        done = epoch / epochs
        level = 5.2 * (1 - done) ** 2.2 + 0.05
        line: dict[str, object] = {
            "epoch": epoch,
            "loss": {
                name: round(level * factor * (0.97 + 0.06 * own.random()), 3)
                for name, factor in branches.items()
            },
            "w": {name: round(-0.3 * done * factor, 4) for name, factor in branches.items()} if dcal else {},
            "lr": float(f"{1.5625e-5 * (1 - done) + 1e-9:.3g}"),
            "seconds": round((2 + own.random()) * (40 if dcal else 18), 1),
            "images_per_second": 66.6 if dcal else 148.1,
        }
        if epoch == epochs:
            line["metrics"] = metrics
        elif epoch % every == 0:
            short = 0.7 * (1 - done) ** 3
            line["metrics"] = {
                name: round(value * (1 - short) - own.random() * (1 - done), 2)
                for name, value in metrics.items()
            }
        lines.append(line)
    return lines


def log_lines(planned: Planned, lines: list[dict], note: str) -> list[str]:
    """The log: what was started, and the last epochs."""
    said = [f"2026-01-01 10:00:00 I {planned.run} on {planned.host}; {note}"]
    for line in lines[-3:]:
        losses = " ".join(f"{name} {value:.4f}" for name, value in line["loss"].items())
        said.append(f"2026-01-01 10:00:01 I epoch {line['epoch']}; loss {losses}; {line['seconds']:.1f} s")
    return said
