"""What two networks see in pictures, as rows of a figure and as plain values for its record (JSON)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from dcal.inspection import Inspection, Layers
from dcal.model import class_scores
from reports.heatmaps.figure import Panel, Said
from reports.heatmaps.networks import Network
from reports.heatmaps.overlay import Scale, mask_of
from tables.statistics import LEVEL, mean_interval

PICTURE, BASELINE, SA, GLCA, SELECTED = (
    "picture",
    "baseline rollout",
    "DCAL rollout (SA)",
    "GLCA's class token",
    "GLCA's queries",
)


@dataclass(frozen=True)
class Sight:
    """What one network sees in one picture.

    rollout, glca: (R, C), attention of the class token to each patch in units of 1/N; glca, selected (R, C) bool: None
    without GLCA. own: share of the rollout that stays on the class token itself. scores: (classes,) probabilities of
    the paper's prediction, summing to 1; None where the network names no classes.
    """

    rollout: np.ndarray
    own: float
    glca: np.ndarray | None = None
    selected: np.ndarray | None = None
    scores: np.ndarray | None = field(default=None, repr=False)


def look(
    network: Network, pictures: Sequence[np.ndarray], layers: Layers | None, *, names_classes: bool
) -> tuple[list[Sight], Layers]:
    """One sight a picture, and the blocks that were rolled out. Raises SettingsError for layers it has not."""
    seen = network.inspect(pictures, layers)
    scores = _scores(seen) if names_classes and seen.outputs else None
    return [_sight(seen, place, scores) for place in range(len(pictures))], seen.layers


def _scores(seen: Inspection) -> np.ndarray:
    both = class_scores(seen.outputs)["both"]
    return (both / both.sum(dim=1, keepdim=True)).cpu().numpy()


def _sight(seen: Inspection, place: int, scores: np.ndarray | None) -> Sight:
    rows, columns = seen.grid

    def on_grid(row: np.ndarray) -> np.ndarray:
        return row[1:].reshape(rows, columns) * (rows * columns)

    rollout = seen.rollout[place].double().cpu().numpy()
    glca = selected = None
    if seen.glca is not None:
        glca = on_grid(seen.glca[place].double().cpu().numpy())
        selected = mask_of(seen.selected[place].cpu().numpy(), seen.grid)
    return Sight(
        on_grid(rollout), float(rollout[0]), glca, selected, None if scores is None else scores[place]
    )


def panels(
    picture: np.ndarray, baseline: Sight | None, dcal: Sight | None, said: dict[str, Said]
) -> tuple[tuple[str, ...], tuple[Panel, ...], dict[str, Scale]]:
    """Heads, panels and scales of one row. said: by head.

    The rollouts of both models share one scale, from 0 to their largest value, so that they can be compared.
    """
    shown = [sight for sight in (baseline, dcal) if sight is not None]
    scales = {"rollout": (0.0, max(float(sight.rollout.max()) for sight in shown))}
    made = {PICTURE: Panel(picture, said=said.get(PICTURE))}
    if baseline is not None:
        made[BASELINE] = Panel(
            picture, baseline.rollout, scales["rollout"], bar=dcal is None, said=said.get(BASELINE)
        )
    if dcal is not None:
        spread = 3 if dcal.glca is not None else 1
        made[SA] = Panel(picture, dcal.rollout, scales["rollout"], bar=True, said=said.get(SA), spread=spread)
        if dcal.glca is not None:
            scales["glca"] = (0.0, float(dcal.glca.max()))
            made[GLCA] = Panel(picture, dcal.glca, scales["glca"], bar=True)
            made[SELECTED] = Panel(picture, selected=dcal.selected)
    return tuple(made), tuple(made.values()), scales


def caption(patches: int, layers: Layers, *, compared: bool, selection: str) -> str:
    """What the colours are, in words. selection: GLCA's, ``rollout`` or ``random``; "" without GLCA."""
    of_each = ", on one scale for both models of a row" if compared else ""
    text = (
        f"Rollout: attention of the class token accumulated over blocks {layers[0]}–{layers[1]} (Eq. 2), in units of "
        f"1/N with N = {patches} patches{of_each}; what stays on the class token itself is not drawn. "
    )
    if selection:
        how = {
            "rollout": "of the highest rollout over the blocks before GLCA's own",
            "random": "drawn at random",
        }[selection]
        text += (
            "GLCA: softmax of its class token in its last block, mean over heads, same unit, own scale. GLCA's "
            f"queries: the patches {how}, outlined, which query beside the class token. "
        )
    return text + "Between patch centres values are interpolated linearly."


# --- How concentrated attention is, over a whole test set: measures of one picture, and of a pair of models ---

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
