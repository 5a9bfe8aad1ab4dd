"""One picture under one or two networks: figure, record, and what they say in lines."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from reports.heatmaps import attention_maps, figure, overlay
from reports.heatmaps.attention_maps import BASELINE, SA, Sight
from reports.heatmaps.figure import Row, Said
from reports.heatmaps.networks import Network
from tables.formats import one_line

TOP = 5


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
    """Write ``stem``.png and .pdf; returns lines for a terminal.

    networks: by method, baseline and dcal or one of them; a plain ViT goes as a baseline. retrieval: they name no
    classes. Raises DataError for an unreadable picture, SettingsError for layers they have not.
    """
    order = [method for method in ("dcal", "baseline") if method in networks]
    seen: dict[str, Sight] = {}
    for method in order:
        shown = networks[method].pictures(path)
        (seen[method],), layers = attention_maps.look(
            networks[method], [shown], layers, names_classes=not retrieval
        )
    said = {
        {"baseline": BASELINE, "dcal": SA}[method]: _said(networks[method], sight)
        for method, sight in seen.items()
        if sight.scores is not None
    }
    heads, panels, _ = attention_maps.panels(shown, seen.get("baseline"), seen.get("dcal"), said)
    if "dcal" not in seen:
        heads = tuple("rollout" if head == BASELINE else head for head in heads)
    sight = next(iter(seen.values()))
    text = attention_maps.caption(
        sight.rollout.size,
        layers,
        compared=len(seen) > 1,
        selection=networks[order[0]].selection,
    )
    made = figure.figure(
        f"{one_line(title, 90)} · blocks {layers[0]}–{layers[1]}",
        heads,
        [Row(one_line(path.name), "", panels)],
        f"{text} {warning}".strip(),
        "× 1/N",
    )
    files = overlay.save(made, stem)
    return [line for method in seen for line in _lines(networks[method], seen[method])] + [
        f"written: {file}" for file in files
    ]


def _said(network: Network, sight: Sight) -> Said:
    best = int(np.argmax(sight.scores))
    return Said((f"confidence {sight.scores[best]:.0%}", _name(network, best)))


def _lines(network: Network, sight: Sight) -> list[str]:
    """The five most probable classes."""
    if sight.scores is None:
        return [f"{network.label}: names no class"]
    best = np.argsort(-sight.scores, kind="stable")[:TOP]
    return [f"{network.label}:", *(f"  {sight.scores[k]:7.2%}  {_name(network, int(k))}" for k in best)]


def _name(network: Network, index: int) -> str:
    return one_line(network.classes[index]) if network.classes else f"class {index}"
