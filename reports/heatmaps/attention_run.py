"""Measure how concentrated attention is, for both models of a pair over the test set, batch by batch."""

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
from reports.heatmaps.attention_maps import MAPS, AttentionMeasures, picture_measures, summary
from reports.heatmaps.networks import Network, load_run
from reports.heatmaps.run_pairs import ATTENTION, RunPair, require_drawable

BATCH_SIZE = 32
Layers = tuple[int, int]


def measure(
    pair: RunPair,
    *,
    layers: Layers | None = None,
    box_side: int | None = None,
    device: torch.device | str = "cpu",
    workers: int = 0,
) -> dict[str, object]:
    """Measure a pair; write attention.npz, then attention.json into its folder; return the contents of the latter.

    layers: first and last block of the rollout; None for those before GLCA.
    box_side: ``official_side`` of ``cub_boxes.load_boxes``.
    workers: decoding processes.
    Raises RunError, DataError and SettingsError if a run is not done, a checkpoint, picture or list of boxes cannot be
    used, the blocks do not exist, or box_side is given without boxes.
    """
    require_drawable(pair)
    boxes = _boxes(pair, box_side)
    networks = {method: load_run(getattr(pair, method), device) for method in ("baseline", "dcal")}
    result, layers = _measure_test_set(pair, networks, boxes, layers, workers)
    with explained(pair.folder / f"{ATTENTION}.json"):
        pair.folder.mkdir(parents=True, exist_ok=True)
    write_file(pair.folder / f"{ATTENTION}.npz", partial(np.savez_compressed, **result.arrays()))
    record = {
        "title": pair.title,
        "runs": pair.identity,
        "layers": list(layers),
        "pictures": len(result.files),
        "patches": list(networks["dcal"].model.backbone.grid),
        "note": (
            "Of the distribution over the patches: the class token's attention without its own share, over its sum. "
            "baseline and dcal: rollout over the blocks named here; glca: GLCA's class token in its last block, mean "
            "over heads. Difference: dcal − baseline on the same pictures, with a bootstrap interval over pictures."
        ),
        "warning": pair.warning,
        "boxes": _box_record(boxes, result, box_side),
        "measures": summary(result, pair.id),
    }
    write_json(pair.folder / f"{ATTENTION}.json", record)
    return record


def _boxes(pair: RunPair, side: int | None) -> Boxes | None:
    """Load the boxes of CUB; None for other datasets."""
    dataset = pair.dataset
    if dataset.key == "cub" and cub_boxes.has_boxes(dataset.root):
        return cub_boxes.load_boxes(dataset.root, side)
    if side is not None:
        raise SettingsError(
            f"BOX_SIDE is about {cub_boxes.FILE} of CUB-200-2011, which {dataset.root} has not; leave it out"
        )
    return None


def _measure_test_set(
    pair: RunPair, networks: dict[str, Network], boxes: Boxes | None, layers: Layers | None, workers: int
) -> tuple[AttentionMeasures, Layers]:
    """Measure all pictures of the test set; return the measures and the blocks of the rollout."""
    files, data = pair.dataset.test.files, pair.dcal.config.settings.data
    batches: dict[str, list[dict[str, np.ndarray]]] = {
        name: [] for name in MAPS if name != "glca" or networks["dcal"].has_glca
    }
    areas: list[np.ndarray] = []
    workers = fitting_workers(workers, BATCH_SIZE * 3 * math.prod(data.crop))
    with loader_session(TestLoader(pair.dataset, data, BATCH_SIZE, workers=workers)) as loader:
        for batch in _with_progress(loader, len(files), pair.id):
            covered = None if boxes is None else _covered(batch, files, boxes, networks["dcal"])
            if covered is not None:
                areas.append(
                    covered.mean(axis=1)
                )  # patches tile the picture, so the mean is the share of the area
            inspection = networks["dcal"].inspect(batch.images, layers)
            layers = inspection.layers  # the same blocks for the baseline
            rows = {
                "dcal": inspection.rollout,
                "baseline": networks["baseline"].inspect(batch.images, layers).rollout,
            }
            if inspection.glca is not None:
                rows["glca"] = inspection.glca
            for name, measures in batches.items():
                measures.append(picture_measures(rows[name].double().cpu().numpy(), covered))
    values = {
        name: {key: np.concatenate([batch[key] for batch in measures]) for key in measures[0]}
        for name, measures in batches.items()
    }
    return AttentionMeasures(files, values, np.concatenate(areas) if areas else None), layers


def _covered(batch: ImageBatch, files: tuple[str, ...], boxes: Boxes, network: Network) -> np.ndarray:
    """Compute the share of each patch inside its picture's box: (B, N); NaN if the box is outside the view."""
    view, grid = network.pictures.view, network.model.backbone.grid
    rows = []
    for index in batch.index.tolist():
        box = cub_boxes.view_box(boxes.boxes[files[index]], boxes.sizes[files[index]], view)
        cells = cub_boxes.patch_coverage(box, view.crop, grid).ravel()
        rows.append(cells if cells.any() else np.full(cells.shape, np.nan))
    return np.stack(rows)


def _with_progress(loader: TestLoader, total: int, name: str) -> Iterator[ImageBatch]:
    """Iterate over the batches; show the progress if stderr is a terminal."""
    done, is_terminal = 0, sys.stderr.isatty()
    for batch in loader:
        yield batch
        done += len(batch.images)
        if is_terminal:
            print(f"\r{name}: {done:,} of {total:,} pictures", end="", file=sys.stderr, flush=True)
    if is_terminal:
        print(file=sys.stderr)


def _box_record(boxes: Boxes | None, result: AttentionMeasures, side: int | None) -> dict[str, object] | None:
    """Describe the boxes for the record."""
    if boxes is None:
        return None
    with_box = int((~np.isnan(result.area)).sum())
    scaling = (
        f"boxes of {boxes.scaled:,} pictures of the dataset, those of the largest size, scaled by {boxes.scale:.4g} "
        f"from an official longest side of {side}; the others taken as they are"
        if side
        else "boxes taken as they are, all of them inside their pictures"
    )
    return {
        "share_of_pictures": with_box / len(result.files),
        "scaling": scaling,
        "scaled": boxes.scaled,
        "clipped": boxes.clipped,
        "box_side": side,
    }
