"""How concentrated attention is, over a whole test set: measures of one picture, and of a pair of models.

All measures are of the distribution p over the N patches: the class token's attention without what stays on the class
token itself, over its sum.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from tables.bootstrap import LEVEL, mean_interval

MAPS = ("baseline", "dcal", "glca")  # the baseline's rollout, DCAL's rollout (SA), GLCA's own attention
TOP = 0.1
# name → what it is, as tables and pages say it
MEASURES = {
    "entropy": "entropy of p, in nats",
    "effective_patches": "effective number of patches, e to the entropy",
    "entropy_share": "entropy as a share of log N, that of uniform attention",
    "top_tenth": "share of p in the tenth of the patches with most of it; uniform attention: 0.1",
    "inside_box": "share of p inside the bounding box, patches counted by their area inside",
}


def distribution(rows: np.ndarray) -> np.ndarray:
    """p from rows of attention over class token and patches: (B, N+1) to (B, N) float64, rows summing to 1."""
    patches = rows[:, 1:].astype(np.float64)
    return patches / patches.sum(axis=1, keepdims=True)


def entropy(p: np.ndarray) -> np.ndarray:
    """−Σ p log p in nats, (B,); 0 to log N."""
    return -(p * np.log(np.where(p > 0, p, 1.0))).sum(axis=1)


def top_share(p: np.ndarray, share: float = TOP) -> np.ndarray:
    """Mass of the ``share`` · N patches with most of it, (B,).

    Of a fraction of a patch the fraction of its mass counts, so that uniform attention gives ``share`` whatever N.
    """
    wanted = share * p.shape[1]
    whole = int(wanted + 1e-9)
    ranked = -np.sort(-p, axis=1)
    return ranked[:, :whole].sum(axis=1) + max(wanted - whole, 0.0) * ranked[:, whole]


def measured(rows: np.ndarray, covered: np.ndarray | None) -> dict[str, np.ndarray]:
    """Every measure of each picture, (B,).

    rows: (B, N+1) attention of the class token. covered: (B, N) share of each patch inside the box; None: no boxes;
    rows that are NaN: this picture has none.
    """
    p = distribution(rows)
    found = entropy(p)
    values = {
        "entropy": found,
        "effective_patches": np.exp(found),
        "entropy_share": found / np.log(p.shape[1]),
        "top_tenth": top_share(p),
    }
    return values if covered is None else values | {"inside_box": (p * covered).sum(axis=1)}


@dataclass(frozen=True)
class Measured:
    """values: map → measure → (n,), in the order of ``files``; NaN where a picture has no box. area: (n,) share of the
    picture's area inside the box, what uniform attention would have there; None without boxes."""

    files: tuple[str, ...]
    values: Mapping[str, Mapping[str, np.ndarray]]
    area: np.ndarray | None = None

    def arrays(self) -> dict[str, np.ndarray]:
        """What attention.npz holds."""
        arrays = {"files": np.array(self.files, dtype=str)}
        for name, values in self.values.items():
            arrays |= {f"{name}_{measure}": found for measure, found in values.items()}
        return arrays if self.area is None else arrays | {"area_inside_box": self.area}


def summary(found: Measured, compared: str) -> dict[str, object]:
    """Means over the pictures and what DCAL's rollout differs by, with its interval. compared: names the pair; it alone
    sets the bootstrap's random numbers."""
    measures: dict[str, object] = {}
    for measure, meaning in MEASURES.items():
        if measure not in found.values[MAPS[0]]:
            continue
        counted = ~np.isnan(found.values[MAPS[0]][measure])
        if not counted.any():  # no picture shows its box
            continue
        values = {name: of[measure][counted] for name, of in found.values.items()}
        measures[measure] = {
            "meaning": meaning,
            "pictures": int(counted.sum()),
            **{name: float(value.mean()) for name, value in values.items()},
            "difference": _difference(values["dcal"] - values["baseline"], f"{compared}/{measure}"),
        }
        if measure == "inside_box":
            area = found.area[counted]
            measures[measure]["uniform"] = float(area.mean())
            measures[measure]["over_uniform"] = {
                name: float((value - area).mean()) for name, value in values.items()
            }
    return measures


def _difference(differences: np.ndarray, compared: str) -> dict[str, float]:
    interval = mean_interval(differences, compared)
    return {
        "mean": float(differences.mean()),
        "low": interval.low,
        "high": interval.high,
        "level": LEVEL,
    }
