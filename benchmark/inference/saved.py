"""A trained model into a file that says which run it is of and how pictures enter it."""

from __future__ import annotations

from pathlib import Path

import dcal
from benchmark.atomic import explained
from benchmark.errors import RunError
from benchmark.inference.trained import Trained, about


def write(trained: Trained, path: Path) -> str:
    """Write ``trained`` to ``path``, by its suffix as ``dcal.save``, ``dcal.export_onnx`` or ``dcal.export_program``.

    Returns a line about it. Raises RunError for a model that cannot be exported, an extra that is not installed, and a
    file that cannot be written.
    """
    model, settings = trained.model, trained.config.settings
    if settings.data.normalise == "half":
        model.mean = model.std = (0.5, 0.5, 0.5)
    writer = {".safetensors": dcal.save, ".onnx": dcal.export_onnx, ".pt2": dcal.export_program}[path.suffix]
    try:
        with explained(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            difference = writer(model, path, class_names=trained.classes, about=about(trained))
    except (ValueError, ImportError) as error:
        raise RunError(f"{trained.config.run_id} is not exported: {error}") from error
    said = f"{trained.config.run_id} is in {path}, {path.stat().st_size / 1e6:,.1f} MB"
    if difference is None:
        return said
    height, width = settings.data.crop
    return (
        f"{said}, for images (B, 3, {height}, {width}); on random ones its outputs differ from the model's by "
        f"{difference:.1g} at most"
    )
