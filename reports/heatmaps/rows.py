"""The rows of a pair's heatmaps: networks loaded, pictures read, looked at, and said what each model says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from dcal.inspection import Layers
from reports.heatmaps import attention_maps
from reports.heatmaps import figure as figure_rows
from reports.heatmaps import networks as models
from reports.heatmaps import ranked_lists as ranked
from reports.heatmaps.attention_maps import BASELINE, SA, Sight
from reports.heatmaps.figure import Row, Said
from reports.heatmaps.pick_images import Pick
from reports.heatmaps.run_pairs import RunPair
from tables.formats import one_line

if TYPE_CHECKING:
    from matplotlib.figure import Figure

UNIT = "× 1/N"
METHODS = {"baseline": BASELINE, "dcal": SA}


@dataclass(frozen=True)
class Drawn:
    """ranked: the ranked lists of a Re-ID pair; rows: what the figure shows, as plain values."""

    figure: Figure
    ranked: Figure | None
    caption: str
    layers: Layers
    grid: tuple[int, int]
    rows: list[dict[str, object]]


def draw(pair: RunPair, chosen: Sequence[Pick], layers: Layers | None) -> Drawn:
    """The figure of these pictures. Raises RunError, DataError and SettingsError as ``heatmaps.draw``."""
    networks = {"baseline": models.of_run(pair.baseline), "dcal": models.of_run(pair.dcal)}
    pictures, split = networks["dcal"].pictures, _split(pair)
    seen_pictures = [pictures(pair.dataset.root / split.files[pick.index]) for pick in chosen]
    seen: dict[str, list[Sight]] = {}
    # The baseline has no GLCA: it is rolled out over the blocks that DCAL is.
    seen["dcal"], used = attention_maps.look(
        networks["dcal"], seen_pictures, layers, names_classes=pair.task == "fgvc"
    )
    seen["baseline"], _ = attention_maps.look(
        networks["baseline"], seen_pictures, used, names_classes=pair.task == "fgvc"
    )
    rows, records, heads = [], [], ()
    for place, (pick, picture) in enumerate(zip(chosen, seen_pictures, strict=True)):
        sight = {method: seen[method][place] for method in METHODS}
        facts = {method: _facts(pair, method, pick.index, sight[method]) for method in METHODS}
        said = {head: _said(pair.task, facts[method]) for method, head in METHODS.items()}
        heads, panels, scales = attention_maps.panels(picture, sight["baseline"], sight["dcal"], said)
        letter, true = chr(ord("A") + place), _true(pair, pick.index)
        rows.append(
            Row(f"{letter} · {_named(pair.task, true)}", f"{split.files[pick.index]} · {pick.rule}", panels)
        )
        records.append(
            {
                "letter": letter,
                "file": split.files[pick.index],
                "index": pick.index,
                "rule": pick.rule,
                "true": true,
                **{method: fact | _extent(sight[method]) for method, fact in facts.items()},
                "scale": {name: list(scale) for name, scale in scales.items()},
            }
        )
    grid = seen["dcal"][0].rollout.shape
    text = " ".join(
        part
        for part in (
            "Pictures as the networks see them, picked from the records: "
            + "; ".join(f"{r['letter']}: {r['rule']}" for r in records)
            + ".",
            attention_maps.caption(
                grid[0] * grid[1], used, compared=True, selection=networks["dcal"].selection
            ),
            _note(pair.task),
            pair.warning,
        )
        if part
    )
    title = f"{pair.title} · blocks {used[0]}–{used[1]}"
    lists = ranked.figure(pair, chosen, pictures) if pair.task == "reid" else None
    return Drawn(figure_rows.figure(title, heads, rows, text, UNIT), lists, text, used, grid, records)


def _split(pair: RunPair) -> object:
    return pair.dataset.query if pair.task == "reid" else pair.dataset.test


def _true(pair: RunPair, index: int) -> dict[str, object]:
    split = _split(pair)
    if pair.task == "reid":
        return {"identity": split.labels[index], "camera": split.cameras[index]}
    return {"class": pair.dataset.classes[split.labels[index]]}


def _named(task: str, true: Mapping[str, object]) -> str:
    if task == "reid":
        return f"query: identity {true['identity']}, camera {true['camera']}"
    return f"true class: {one_line(true['class'])}"


def _facts(pair: RunPair, method: str, index: int, sight: Sight) -> dict[str, object]:
    """What a model says of a picture: of FGVC from the network itself, of Re-ID from its record of the gallery."""
    found = getattr(pair, method).predictions
    if pair.task == "reid":
        hit = int(found["both_first_hit"][index])
        return {
            "ap": float(found["both_ap"][index]) if hit else None,
            "first_hit": hit or None,
            "correct": hit == 1 if hit else None,
        }
    predicted, label = int(np.argmax(sight.scores)), pair.dataset.test.labels[index]
    return {
        "predicted": pair.dataset.classes[predicted],
        "confidence": float(sight.scores[predicted]),
        "true_probability": float(sight.scores[label]),
        "correct": predicted == label,
        "as_recorded": predicted == int(found["both_predicted"][index]),
    }


def _said(task: str, facts: Mapping[str, object]) -> Said:
    word = {True: "✓ right", False: "✗ wrong", None: "nothing to find"}[facts["correct"]]
    if task == "reid":
        if facts["first_hit"] is None:
            return Said((word, "in another camera"))
        return Said(
            (f"{word} at rank 1", f"AP {facts['ap']:.2f}", f"first hit: rank {facts['first_hit']}"),
            facts["correct"],
        )
    lines = (f"{word}, confidence {facts['confidence']:.0%}", one_line(facts["predicted"]))
    if not facts["as_recorded"]:
        lines += ("(the run itself predicted another class)",)
    return Said(lines, facts["correct"])


def _extent(sight: Sight) -> dict[str, float]:
    """Of the drawn values, for who reads the record."""
    return {"class_token_share": sight.own, "rollout_max": float(sight.rollout.max())}


def _note(task: str) -> str:
    if task == "reid":
        return "AP and ranks are the records' (gallery pictures of the query's identity and camera removed)."
    return "Confidence: probability of the predicted class; of DCAL the mean of SA's and GLCA's, as in the paper."
