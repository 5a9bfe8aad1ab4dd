"""Heatmap figure of a pair: load networks, read pictures, draw attention maps and predictions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from dcal.inspection import Layers
from reports.heatmaps import figure, ranked_lists
from reports.heatmaps.attention_maps import BASELINE, SA, AttentionMap, attention_maps, caption, panels
from reports.heatmaps.figure import FigureRow, Prediction
from reports.heatmaps.networks import load_run
from reports.heatmaps.pick_images import Pick
from reports.heatmaps.run_pairs import RunPair
from tables.formats import one_line

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from benchmark.data.splits import Split

UNIT = "× 1/N"
METHODS = {"baseline": BASELINE, "dcal": SA}
NOTES = {
    "fgvc": (
        "Confidence: probability of the predicted class; for DCAL the mean of SA and GLCA, as in the paper."
    ),
    "reid": (
        "AP and ranks are from the records (without gallery pictures of the query's own identity and camera)."
    ),
}


@dataclass(frozen=True)
class PairFigures:
    """Figures of a pair.

    ranked_lists: for a Re-ID pair, else None.
    grid: rows and columns of patches.
    rows: contents of the heatmaps as plain values.
    """

    heatmaps: Figure
    ranked_lists: Figure | None
    caption: str
    layers: Layers
    grid: tuple[int, int]
    rows: list[dict[str, object]]


def draw(pair: RunPair, picks: Sequence[Pick], layers: Layers | None) -> PairFigures:
    """Draw the figures of the picked pictures. Raises the errors of ``pair_heatmaps.draw``."""
    networks = {"baseline": load_run(pair.baseline), "dcal": load_run(pair.dcal)}
    read_picture, split, has_classes = networks["dcal"].pictures, _split(pair), pair.task == "fgvc"
    pictures = [read_picture(pair.dataset.root / split.files[pick.index]) for pick in picks]
    maps: dict[str, list[AttentionMap]] = {}
    maps["dcal"], layers = attention_maps(networks["dcal"], pictures, layers, has_classes=has_classes)
    # The baseline has no GLCA, so its rollout uses the blocks of DCAL's.
    maps["baseline"], _ = attention_maps(networks["baseline"], pictures, layers, has_classes=has_classes)
    rows, records, headings = [], [], ()
    for place, (pick, picture) in enumerate(zip(picks, pictures, strict=True)):
        row_maps = {method: maps[method][place] for method in METHODS}
        facts = {method: _facts(pair, method, pick.index, row_maps[method]) for method in METHODS}
        predictions = {heading: _prediction(pair.task, facts[method]) for method, heading in METHODS.items()}
        headings, row_panels, scales = panels(picture, row_maps["baseline"], row_maps["dcal"], predictions)
        letter, true = chr(ord("A") + place), _true(pair, pick.index)
        rows.append(
            FigureRow(
                f"{letter} · {_true_text(pair.task, true)}",
                f"{split.files[pick.index]} · {pick.rule}",
                row_panels,
            )
        )
        records.append(
            {
                "letter": letter,
                "file": split.files[pick.index],
                "index": pick.index,
                "rule": pick.rule,
                "true": true,
                **{method: values | _statistics(row_maps[method]) for method, values in facts.items()},
                "scale": {name: list(scale) for name, scale in scales.items()},
            }
        )
    grid = maps["dcal"][0].rollout.shape
    rules = "; ".join(f"{record['letter']}: {record['rule']}" for record in records)
    parts = (
        f"Pictures are the inputs of the networks, selected from the records: {rules}.",
        caption(grid[0] * grid[1], layers, compared=True, selection=networks["dcal"].selection),
        NOTES[pair.task],
        pair.warning,
    )
    text = " ".join(part for part in parts if part)
    title = f"{pair.title} · blocks {layers[0]}–{layers[1]}"
    lists = ranked_lists.draw(pair, picks, read_picture) if pair.task == "reid" else None
    return PairFigures(figure.draw(title, headings, rows, text, UNIT), lists, text, layers, grid, records)


def _split(pair: RunPair) -> Split:
    return pair.dataset.query if pair.task == "reid" else pair.dataset.test


def _true(pair: RunPair, index: int) -> dict[str, str | int]:
    """Return the true class, or identity and camera, of a picture."""
    split = _split(pair)
    if pair.task == "reid":
        return {"identity": split.labels[index], "camera": split.cameras[index]}
    return {"class": pair.dataset.classes[split.labels[index]]}


def _true_text(task: str, true: Mapping[str, object]) -> str:
    if task == "reid":
        return f"query: identity {true['identity']}, camera {true['camera']}"
    return f"true class: {one_line(true['class'])}"


def _facts(pair: RunPair, method: str, index: int, attention: AttentionMap) -> dict[str, object]:
    """Describe a model's prediction: for FGVC from the network, for Re-ID from its record."""
    recorded = getattr(pair, method).predictions
    if pair.task == "reid":
        hit = int(recorded["both_first_hit"][index])
        return {
            "ap": float(recorded["both_ap"][index]) if hit else None,
            "first_hit": hit or None,
            "correct": hit == 1 if hit else None,
        }
    predicted, label = int(np.argmax(attention.scores)), pair.dataset.test.labels[index]
    return {
        "predicted": pair.dataset.classes[predicted],
        "confidence": float(attention.scores[predicted]),
        "true_probability": float(attention.scores[label]),
        "correct": predicted == label,
        "as_recorded": predicted == int(recorded["both_predicted"][index]),
    }


def _prediction(task: str, facts: Mapping[str, Any]) -> Prediction:
    word = {True: "✓ right", False: "✗ wrong", None: "no true match"}[facts["correct"]]
    if task == "reid":
        if facts["first_hit"] is None:
            return Prediction((word, "in another camera"))
        return Prediction(
            (f"{word} at rank 1", f"AP {facts['ap']:.2f}", f"first hit: rank {facts['first_hit']}"),
            facts["correct"],
        )
    lines = (f"{word}, confidence {facts['confidence']:.0%}", one_line(facts["predicted"]))
    if not facts["as_recorded"]:
        lines += ("(the run itself predicted another class)",)
    return Prediction(lines, facts["correct"])


def _statistics(attention: AttentionMap) -> dict[str, float]:
    """Return statistics of an attention map for the record."""
    return {
        "class_token_share": attention.class_token_share,
        "rollout_max": float(attention.rollout.max()),
    }
