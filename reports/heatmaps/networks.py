"""Models to look into: of a run, of any checkpoint file, or timm's own weights; each knows how pictures enter it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

import dcal
from benchmark.config.resolve import Config
from benchmark.data.loader import Prepare, normalise
from benchmark.data.pictures import TestPictures
from benchmark.errors import RunError, SettingsError
from benchmark.inference import trained
from benchmark.records.status import RunView
from benchmark.training import checkpoint
from benchmark.training.final_weights import model_of
from dcal.inspection import Inspection, Layers
from dcal.model import DCAL


@dataclass(frozen=True)
class Network:
    """A model in eval mode on its device.

    pictures: from a file to its input, uint8 (h, w, 3). classes: names by index, () where they are not known.
    label: who it is, in a figure. weights: digest of all tensors.
    """

    model: nn.Module
    pictures: TestPictures
    prepare: Prepare
    label: str
    weights: str
    classes: tuple[str, ...] = field(default=(), repr=False)

    @property
    def has_glca(self) -> bool:
        return getattr(self.model, "glca", None) is not None

    @property
    def selection(self) -> str:
        """How GLCA chooses its queries, ``rollout`` or ``random``; "" without GLCA."""
        return self.model.glca.settings.select if self.has_glca else ""

    def inspect(
        self, images: Sequence[np.ndarray] | np.ndarray | Tensor, layers: Layers | None
    ) -> Inspection:
        """Look at pictures, uint8 (B, h, w, 3). Raises SettingsError for layers it has not."""
        stacked = images if isinstance(images, Tensor) else torch.from_numpy(np.stack(list(images)))
        look = dcal.inspect if isinstance(self.model, DCAL) else dcal.inspect_vit
        try:
            return look(self.model, self.prepare(stacked), layers)
        except ValueError as error:
            raise SettingsError(f"LAYERS: {error}") from error


def of_run(run: RunView, where: torch.device | str = "cpu") -> Network:
    """A finished run's final weights. Raises RunError where its checkpoint is missing, torn or of other weights."""
    found = trained.of_folder(run.folder)
    label = f"{run.cell.method} seed {run.seed}"
    return _network(
        found.model, found.config, label, found.result["final_weights_sha256"], found.classes, where
    )


def of_checkpoint(
    path: Path, config: Config, classes: Sequence[str] = (), where: torch.device | str = "cpu"
) -> Network:
    """Any checkpoint file of the architecture that ``config`` names; baseline or DCAL as its tensors say.

    classes: names, used if they are as many as the checkpoint's. Raises RunError for a file that is missing, torn, no
    checkpoint, or of another architecture.
    """
    state = _read(path)
    if any(name.startswith("glca.") for name in state) != (config.glca is not None):
        method = "baseline" if config.glca else "dcal"
        config = replace(config, cell=replace(config.cell, method=method))
    model = model_of(config, state, str(path))
    return _network(model, config, path.stem, checkpoint.weights_sha256(state), tuple(classes), where)


def _network(
    model: DCAL,
    config: Config,
    label: str,
    weights: str,
    names: tuple[str, ...],
    where: torch.device | str,
) -> Network:
    where, data = torch.device(where), config.settings.data
    return Network(
        model.to(where),
        TestPictures.of(config.cell.dataset, data),
        normalise(model, where, data.normalise),
        label,
        weights,
        names if len(names) == model.sa_head.classifier.out_features else (),
    )


def _read(path: Path) -> dict[str, Tensor]:
    """The model's tensors in a checkpoint file, or in a state_dict saved alone."""
    if not path.is_file():
        raise RunError(f"{path}: no such checkpoint; expected the checkpoint.pt of a run")
    state, damage = checkpoint.contents(path)
    if damage:
        raise RunError(
            f"{path} ({path.stat().st_size:,} bytes) cannot be read as a checkpoint: {damage}; copy it again"
        )
    state = state.get("model", state) if isinstance(state, dict) else state
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise RunError(f"{path} holds no tensors by name: expected the checkpoint.pt of a run")
    return state
