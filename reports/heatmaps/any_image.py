"""Heatmaps of one picture with one or two networks, and their predictions as lines of text."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from reports.heatmaps import figure, overlay
from reports.heatmaps.attention_maps import BASELINE, SA, AttentionMap, attention_maps, caption, panels
from reports.heatmaps.figure import FigureRow, Prediction
from reports.heatmaps.networks import Network
from tables.formats import one_line

TOP_CLASSES = 5


def draw(
    path: Path,
    networks: Mapping[str, Network],
    title: str,
    warning: str,
    stem: Path,
    layers: tuple[int, int] | None,
    *,
    retrieval: bool = False,
) -> list[str]:
    """Write ``stem``.png and .pdf; return lines for a terminal: the most probable classes, and the files.

    path: the picture.
    networks: by method: baseline, dcal or both; a plain ViT is a baseline.
    warning: text below the figure; "" for none.
    layers: first and last block of the rollout; None for those before GLCA.
    retrieval: the networks have no classes.
    Raises DataError for an unreadable picture, SettingsError for blocks that the networks do not have.
    """
    maps: dict[str, AttentionMap] = {}
    for method in ("dcal", "baseline"):  # the baseline's rollout uses the blocks of DCAL's
        if method in networks:
            picture = networks[method].pictures(path)
            (maps[method],), layers = attention_maps(
                networks[method], [picture], layers, has_classes=not retrieval
            )
    predictions = {
        {"baseline": BASELINE, "dcal": SA}[method]: _prediction(networks[method], attention)
        for method, attention in maps.items()
        if attention.scores is not None
    }
    headings, row_panels, _ = panels(picture, maps.get("baseline"), maps.get("dcal"), predictions)
    if "dcal" not in maps:
        headings = tuple("rollout" if heading == BASELINE else heading for heading in headings)
    method, attention = next(iter(maps.items()))
    text = caption(
        attention.rollout.size, layers, compared=len(maps) > 1, selection=networks[method].selection
    )
    files = overlay.save(
        figure.draw(
            f"{one_line(title, 90)} · blocks {layers[0]}–{layers[1]}",
            headings,
            [FigureRow(one_line(path.name), "", row_panels)],
            f"{text} {warning}".strip(),
            "× 1/N",
        ),
        stem,
    )
    return [line for method in maps for line in _class_lines(networks[method], maps[method])] + [
        f"written: {file}" for file in files
    ]


def _prediction(network: Network, attention: AttentionMap) -> Prediction:
    best = int(np.argmax(attention.scores))
    return Prediction((f"confidence {attention.scores[best]:.0%}", _class_name(network, best)))


def _class_lines(network: Network, attention: AttentionMap) -> list[str]:
    """List the most probable classes."""
    scores = attention.scores
    if scores is None:
        return [f"{network.label}: names no class"]
    best = np.argsort(-scores, kind="stable")[:TOP_CLASSES]
    return [f"{network.label}:", *(f"  {scores[k]:7.2%}  {_class_name(network, int(k))}" for k in best)]


def _class_name(network: Network, index: int) -> str:
    return one_line(network.classes[index]) if network.classes else f"class {index}"
