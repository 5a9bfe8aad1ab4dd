"""The attention measure of a pair: both models over the whole test set, batch by batch."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator
from functools import partial

import numpy as np
import torch

from benchmark.atomic import explained, write_file, write_json
from benchmark.data.decoding import loader_session
from benchmark.data.loader import ImageBatch, TestLoader
from benchmark.data.readers import cub_boxes
from benchmark.data.readers.cub_boxes import Boxes
from benchmark.data.shared_memory import fitting_workers
from benchmark.errors import SettingsError
from reports.heatmaps import networks as models
from reports.heatmaps.attention_maps import MAPS, Measured, measured, summary
from reports.heatmaps.networks import Network
from reports.heatmaps.run_pairs import RunPair, require

NAME = "attention"
BATCH = 32
Layers = tuple[int, int]


def measure(
    pair: RunPair,
    *,
    layers: Layers | None = None,
    box_side: int | None = None,
    where: torch.device | str = "cpu",
    workers: int = 0,
) -> dict[str, object]:
    """Measure, write attention.npz and then attention.json into the pair's folder, and return the latter.

    box_side: as ``cub_boxes.load_boxes``'s official_side. Raises RunError, DataError and SettingsError if a run is not
    done, a checkpoint, picture or list of boxes cannot be used, the layers are none, or box_side comes without boxes.
    """
    require(pair)
    boxes = _boxes(pair, box_side)
    networks = {method: models.of_run(getattr(pair, method), where) for method in ("baseline", "dcal")}
    found, used = _over_the_test_set(pair, networks, boxes, layers, workers)
    with explained(pair.folder / f"{NAME}.json"):
        pair.folder.mkdir(parents=True, exist_ok=True)
    write_file(pair.folder / f"{NAME}.npz", partial(np.savez_compressed, **found.arrays()))
    record = {
        "title": pair.title,
        "runs": pair.identity,
        "layers": list(used),
        "pictures": len(found.files),
        "patches": list(networks["dcal"].model.backbone.grid),
        "note": (
            "Of the distribution over the patches: the class token's attention without its own share, over its sum. "
            "baseline and dcal: rollout over the blocks named here; glca: GLCA's class token in its last block, mean "
            "over heads. Difference: dcal − baseline on the same pictures, with a bootstrap interval over pictures."
        ),
        "warning": pair.warning,
        "boxes": _about(boxes, found, box_side),
        "measures": summary(found, pair.id),
    }
    write_json(pair.folder / f"{NAME}.json", record)
    return record


def _boxes(pair: RunPair, side: int | None) -> Boxes | None:
    dataset = pair.dataset
    if dataset.key == "cub" and cub_boxes.has_boxes(dataset.root):
        return cub_boxes.load_boxes(dataset.root, side)
    if side is not None:
        raise SettingsError(
            f"BOX_SIDE is about {cub_boxes.FILE} of CUB-200-2011, which {dataset.root} has not; leave it out"
        )
    return None


def _over_the_test_set(
    pair: RunPair, networks: dict[str, Network], boxes: Boxes | None, layers: Layers | None, workers: int
) -> tuple[Measured, Layers]:
    files, data = pair.dataset.test.files, pair.dcal.config.settings.data
    parts: dict[str, list[dict[str, np.ndarray]]] = {
        name: [] for name in MAPS if name != "glca" or networks["dcal"].has_glca
    }
    areas: list[np.ndarray] = []
    workers = fitting_workers(workers, BATCH * 3 * math.prod(data.crop))
    with loader_session(TestLoader(pair.dataset, data, BATCH, workers=workers)) as tests:
        for batch in _watched(tests, len(files), pair.id):
            covered = None if boxes is None else _covered(batch, files, boxes, networks["dcal"])
            if covered is not None:
                areas.append(covered.mean(axis=1))  # patches tile the picture: the mean is the area's share
            seen = networks["dcal"].inspect(batch.images, layers)
            layers = seen.layers  # the baseline is rolled out over the same blocks
            rows = {
                "dcal": seen.rollout,
                "baseline": networks["baseline"].inspect(batch.images, layers).rollout,
            }
            if seen.glca is not None:
                rows["glca"] = seen.glca
            for name, of in parts.items():
                of.append(measured(rows[name].double().cpu().numpy(), covered))
    values = {
        name: {measure: np.concatenate([part[measure] for part in of]) for measure in of[0]}
        for name, of in parts.items()
    }
    return Measured(files, values, np.concatenate(areas) if areas else None), layers


def _covered(batch: ImageBatch, files: tuple[str, ...], boxes: Boxes, network: Network) -> np.ndarray:
    """(B, N): share of each patch inside its picture's box; NaN where the view shows nothing of the box."""
    view, grid = network.pictures.view, network.model.backbone.grid
    rows = []
    for index in batch.index.tolist():
        shown = cub_boxes.view_box(boxes.boxes[files[index]], boxes.sizes[files[index]], view)
        cells = cub_boxes.patch_coverage(shown, view.crop, grid).ravel()
        rows.append(cells if cells.any() else np.full(cells.shape, np.nan))
    return np.stack(rows)


def _watched(batches: TestLoader, total: int, who: str) -> Iterator[ImageBatch]:
    """The batches, with a line that says how far they are on a terminal."""
    done, live = 0, sys.stderr.isatty()
    for batch in batches:
        yield batch
        done += len(batch.images)
        if live:
            print(f"\r{who}: {done:,} of {total:,} pictures", end="", file=sys.stderr, flush=True)
    if live:
        print(file=sys.stderr)


def _about(boxes: Boxes | None, found: Measured, side: int | None) -> dict[str, object] | None:
    if boxes is None:
        return None
    with_box = int((~np.isnan(found.area)).sum())
    scaling = (
        f"boxes of {boxes.scaled:,} pictures of the dataset, those of the largest size, scaled by {boxes.scale:.4g} "
        f"from an official longest side of {side}; the others taken as they are"
        if side
        else "boxes taken as they are, all of them inside their pictures"
    )
    return {
        "share_of_pictures": with_box / len(found.files),
        "scaling": scaling,
        "scaled": boxes.scaled,
        "clipped": boxes.clipped,
        "box_side": side,
    }
