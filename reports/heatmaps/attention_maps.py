"""What two networks see in pictures, as rows of a figure and as plain values for its record (JSON)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from dcal.inspection import Inspection, Layers
from dcal.prediction import class_scores
from reports.heatmaps.figure import Panel, Said
from reports.heatmaps.networks import Network
from reports.heatmaps.overlay import Scale, mask_of

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
