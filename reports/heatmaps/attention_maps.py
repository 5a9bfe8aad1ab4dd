"""Attention maps of networks, panels of a figure from them, and measures of how concentrated attention is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from dcal.inspection import Inspection, Layers
from dcal.model import class_scores
from reports.heatmaps.figure import Panel, Prediction
from reports.heatmaps.networks import Network
from reports.heatmaps.overlay import Scale, patch_mask
from tables.statistics import LEVEL, mean_interval

PICTURE, BASELINE, SA, GLCA, SELECTED = (
    "picture",
    "baseline rollout",
    "DCAL rollout (SA)",
    "GLCA's class token",
    "GLCA's queries",
)


@dataclass(frozen=True)
class AttentionMap:
    """Attention of one network in one picture.

    rollout: (R, C), rollout of the class token over the patches, in units of 1/N.
    class_token_share: share of the rollout that stays on the class token.
    glca: (R, C), attention of GLCA's class token in the same unit; None without GLCA.
    selected: (R, C) bool, GLCA's queries; None without GLCA.
    scores: (classes,) probabilities of the paper's prediction, summing to 1; None without classes.
    """

    rollout: np.ndarray
    class_token_share: float
    glca: np.ndarray | None = None
    selected: np.ndarray | None = None
    scores: np.ndarray | None = field(default=None, repr=False)


def attention_maps(
    network: Network, pictures: Sequence[np.ndarray], layers: Layers | None, *, has_classes: bool
) -> tuple[list[AttentionMap], Layers]:
    """Compute one attention map per picture; return them and the blocks of the rollout.

    pictures: uint8 (h, w, 3) each.
    layers: first and last block of the rollout, from 1; None for those before GLCA.
    has_classes: whether the network predicts named classes.
    Raises SettingsError for blocks that the network does not have.
    """
    inspection = network.inspect(pictures, layers)
    scores = None
    if has_classes and inspection.outputs:
        both = class_scores(inspection.outputs)["both"]
        scores = (both / both.sum(dim=1, keepdim=True)).cpu().numpy()
    return [_attention_map(inspection, index, scores) for index in range(len(pictures))], inspection.layers


def _attention_map(inspection: Inspection, index: int, scores: np.ndarray | None) -> AttentionMap:
    rows, columns = inspection.grid

    def on_grid(row: np.ndarray) -> np.ndarray:
        return row[1:].reshape(rows, columns) * (rows * columns)

    rollout = inspection.rollout[index].double().cpu().numpy()
    glca = selected = None
    if inspection.glca is not None:
        glca = on_grid(inspection.glca[index].double().cpu().numpy())
        selected = patch_mask(inspection.selected[index].cpu().numpy(), inspection.grid)
    return AttentionMap(
        on_grid(rollout), float(rollout[0]), glca, selected, None if scores is None else scores[index]
    )


def panels(
    picture: np.ndarray,
    baseline: AttentionMap | None,
    dcal: AttentionMap | None,
    predictions: Mapping[str, Prediction],
) -> tuple[tuple[str, ...], tuple[Panel, ...], dict[str, Scale]]:
    """Create the panels of one row; return headings, panels and scales.

    baseline, dcal: one of them may be None.
    predictions: by heading.

    The rollouts of both models share one scale, from 0 to their largest value, so that they can be compared.
    """
    largest = max(float(attention.rollout.max()) for attention in (baseline, dcal) if attention is not None)
    scales = {"rollout": (0.0, largest)}
    result = {PICTURE: Panel(picture)}
    if baseline is not None:
        result[BASELINE] = Panel(
            picture,
            baseline.rollout,
            scales["rollout"],
            bar=dcal is None,
            prediction=predictions.get(BASELINE),
        )
    if dcal is not None:
        spread = 3 if dcal.glca is not None else 1
        result[SA] = Panel(
            picture,
            dcal.rollout,
            scales["rollout"],
            bar=True,
            prediction=predictions.get(SA),
            spread=spread,
        )
        if dcal.glca is not None:
            scales["glca"] = (0.0, float(dcal.glca.max()))
            result[GLCA] = Panel(picture, dcal.glca, scales["glca"], bar=True)
            result[SELECTED] = Panel(picture, selected=dcal.selected)
    return tuple(result), tuple(result.values()), scales


def caption(patches: int, layers: Layers, *, compared: bool, selection: str) -> str:
    """Describe the colours. selection: how GLCA selects queries, ``rollout`` or ``random``; "" without GLCA."""
    scale = ", on one scale for both models of a row" if compared else ""
    text = (
        f"Rollout: attention of the class token accumulated over blocks {layers[0]}–{layers[1]} (Eq. 2), in units of "
        f"1/N with N = {patches} patches{scale}; the share of the class token itself is not drawn. "
    )
    if selection:
        rule = {
            "rollout": "of the highest rollout over the blocks before GLCA's own",
            "random": "drawn at random",
        }[selection]
        text += (
            "GLCA: softmax of its class token in its last block, mean over heads, same unit, own scale. GLCA's "
            f"queries: the outlined patches, {rule}, and the class token. "
        )
    return text + "Between patch centres values are interpolated linearly."


# --- Measures of how concentrated attention is, for single pictures and over a test set ---

MAPS = ("baseline", "dcal", "glca")  # the baseline's rollout, DCAL's rollout (SA), GLCA's own attention
TOP_SHARE = 0.1
# name → description in tables and pages
MEASURES = {
    "entropy": "entropy of p, in nats",
    "effective_patches": "effective number of patches, e to the entropy",
    "entropy_share": "entropy as a share of log N, that of uniform attention",
    "top_tenth": "share of p in the tenth of the patches with most of it; uniform attention: 0.1",
    "inside_box": "share of p inside the bounding box, patches counted by their area inside",
}


def distribution(rows: np.ndarray) -> np.ndarray:
    """Compute the distribution p over the patches from attention rows: (B, N+1) to (B, N) float64, rows sum to 1."""
    patches = rows[:, 1:].astype(np.float64)
    return patches / patches.sum(axis=1, keepdims=True)


def entropy(p: np.ndarray) -> np.ndarray:
    """Compute the entropy −Σ p log p in nats: (B,), from 0 to log N."""
    return -(p * np.log(np.where(p > 0, p, 1.0))).sum(axis=1)


def top_share(p: np.ndarray, share: float = TOP_SHARE) -> np.ndarray:
    """Compute the mass of the ``share`` · N patches with the largest mass: (B,).

    A fraction of a patch counts with this fraction of its mass, so that uniform attention gives ``share`` for any N.
    """
    count = share * p.shape[1]
    complete = int(count + 1e-9)
    ranked = -np.sort(-p, axis=1)
    return ranked[:, :complete].sum(axis=1) + max(count - complete, 0.0) * ranked[:, complete]


def picture_measures(rows: np.ndarray, covered: np.ndarray | None) -> dict[str, np.ndarray]:
    """Compute every measure of each picture: name → (B,).

    rows: (B, N+1), attention of the class token.
    covered: (B, N), share of each patch inside the box, NaN for a picture without box; None without boxes.
    """
    p = distribution(rows)
    nats = entropy(p)
    values = {
        "entropy": nats,
        "effective_patches": np.exp(nats),
        "entropy_share": nats / np.log(p.shape[1]),
        "top_tenth": top_share(p),
    }
    return values if covered is None else values | {"inside_box": (p * covered).sum(axis=1)}


@dataclass(frozen=True)
class AttentionMeasures:
    """Measures of a test set.

    files: names of the n pictures.
    values: map → measure → (n,); NaN for a picture without box.
    area: (n,), share of the picture's area inside the box, the value of uniform attention; None without boxes.
    """

    files: tuple[str, ...]
    values: Mapping[str, Mapping[str, np.ndarray]]
    area: np.ndarray | None = None

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the arrays of attention.npz."""
        arrays = {"files": np.array(self.files, dtype=str)}
        for name, values in self.values.items():
            arrays |= {f"{name}_{measure}": array for measure, array in values.items()}
        return arrays if self.area is None else arrays | {"area_inside_box": self.area}


def summary(result: AttentionMeasures, pair_id: str) -> dict[str, dict[str, Any]]:
    """Average the measures over the pictures, and compare DCAL's rollout with the baseline's.

    pair_id: name of the pair; it seeds the bootstrap of the interval.
    """
    measures: dict[str, dict[str, Any]] = {}
    for measure, meaning in MEASURES.items():
        if measure not in result.values[MAPS[0]]:
            continue
        counted = ~np.isnan(result.values[MAPS[0]][measure])
        if not counted.any():  # no picture shows its box
            continue
        values = {name: arrays[measure][counted] for name, arrays in result.values.items()}
        measures[measure] = {
            "meaning": meaning,
            "pictures": int(counted.sum()),
            **{name: float(value.mean()) for name, value in values.items()},
            "difference": _difference(values["dcal"] - values["baseline"], f"{pair_id}/{measure}"),
        }
        if measure == "inside_box":
            area = result.area[counted]
            measures[measure]["uniform"] = float(area.mean())
            measures[measure]["over_uniform"] = {
                name: float((value - area).mean()) for name, value in values.items()
            }
    return measures


def _difference(differences: np.ndarray, name: str) -> dict[str, float]:
    interval = mean_interval(differences, name)
    return {
        "mean": float(differences.mean()),
        "low": interval.low,
        "high": interval.high,
        "level": LEVEL,
    }
