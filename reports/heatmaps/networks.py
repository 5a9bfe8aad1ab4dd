"""Networks to inspect, with the transform of their input: from runs, checkpoint files, or timm's weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import timm
import torch
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn

import dcal
from benchmark.config.resolve import Config
from benchmark.data.images import TestPictures
from benchmark.data.loader import Prepare, normalise
from benchmark.data.transforms import ViewSettings
from benchmark.errors import RunError, SettingsError
from benchmark.inference import trained
from benchmark.records.status import RunView
from benchmark.training import checkpoint
from benchmark.training.checkpoint import weights_sha256
from benchmark.training.models import model_of
from dcal.backbones import make_adapter
from dcal.inspection import Inspection, Layers
from dcal.model import DCAL
from dcal.weights.load import WeightsError, load_pretrained, locate
from dcal.weights.read import read_state


@dataclass(frozen=True)
class Network:
    """A model in eval mode on its device.

    pictures: reads a file as the model's input, uint8 (h, w, 3).
    prepare: normalises such pictures.
    label: name in a figure.
    weights: digest of all tensors.
    classes: names by index; () if they are unknown.
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
        """Return how GLCA selects its queries, ``rollout`` or ``random``; "" without GLCA."""
        return self.model.glca.settings.select if self.has_glca else ""

    def inspect(
        self, images: Sequence[np.ndarray] | np.ndarray | Tensor, layers: Layers | None
    ) -> Inspection:
        """Inspect the attention in pictures, uint8 (B, h, w, 3). Raises SettingsError for blocks that do not exist."""
        stacked = images if isinstance(images, Tensor) else torch.from_numpy(np.stack(list(images)))
        inspect = dcal.inspect if isinstance(self.model, DCAL) else dcal.inspect_vit
        try:
            return inspect(self.model, self.prepare(stacked), layers)
        except ValueError as error:
            raise SettingsError(f"LAYERS: {error}") from error


def load_run(run: RunView, device: torch.device | str = "cpu") -> Network:
    """Load a finished run's final weights. Raises RunError if the checkpoint is missing, torn or of other weights."""
    finished = trained.load_run_folder(run.folder)
    label = f"{run.cell.method} seed {run.seed}"
    return _network(
        finished.model,
        finished.config,
        label,
        finished.result["final_weights_sha256"],
        finished.classes,
        device,
    )


def load_checkpoint(
    path: Path, config: Config, classes: Sequence[str] = (), device: torch.device | str = "cpu"
) -> Network:
    """Load a checkpoint file of the architecture of ``config``; its tensors tell baseline from DCAL.

    classes: class names; used if their number is that of the checkpoint.
    Raises RunError for a file that is missing, torn, no checkpoint, or of another architecture.
    """
    state = _read_state(path)
    if any(name.startswith("glca.") for name in state) != (config.glca is not None):
        method = "baseline" if config.glca else "dcal"
        config = replace(config, cell=replace(config.cell, method=method))
    model = model_of(config, state, str(path))
    return _network(model, config, path.stem, checkpoint.weights_sha256(state), tuple(classes), device)


def _network(
    model: DCAL,
    config: Config,
    label: str,
    weights: str,
    names: tuple[str, ...],
    device: torch.device | str,
) -> Network:
    device, data = torch.device(device), config.settings.data
    return Network(
        model.to(device),
        TestPictures.for_dataset(config.cell.dataset, data),
        normalise(model, device, data.normalise),
        label,
        weights,
        names if len(names) == model.sa_head.classifier.out_features else (),
    )


def _read_state(path: Path) -> dict[str, Tensor]:
    """Read the model's tensors from a checkpoint file, or from a file with a state_dict only."""
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


# --- timm's weights, with their classifier if the file has one ---

IMAGENET_CLASSES = 1000


def load_timm(
    tag: str,
    weights: str | Path = "hub",
    size: tuple[int, int] | None = None,
    device: torch.device | str = "cpu",
) -> Network:
    """Load a pretrained timm ViT; pictures are resized to its input without cropping.

    weights: ``hub``, a folder or a file.
    size: (height, width) of the input; None for the size of the weights.
    Raises SettingsError for a tag that is unknown or no plain ViT and for a size that its patches do not divide,
    RunError for weights that are missing or of another model.
    """
    if tag not in timm.list_models(pretrained=True) + timm.list_models():
        raise SettingsError(f"timm has no model {tag!r}; `timm.list_models()` names them all")
    try:
        vit = timm.create_model(tag, pretrained=False, num_classes=0, **({"img_size": size} if size else {}))
        make_adapter(vit)
        if getattr(vit, "cls_token", None) is None:
            raise ValueError("it has no class token, where a rollout would start")
    except (TypeError, ValueError, AssertionError) as error:
        raise SettingsError(f"{tag} cannot be looked into: {error}") from error
    size = size or tuple(vit.pretrained_cfg["input_size"][-2:])
    patch = [pixels // cells for pixels, cells in zip(size, vit.patch_embed.grid_size, strict=True)]
    if any(
        p * cells != pixels for p, cells, pixels in zip(patch, vit.patch_embed.grid_size, size, strict=True)
    ):
        raise SettingsError(
            f"--size {size[0]}x{size[1]}: {tag} needs multiples of {patch[0]} and {patch[1]} pixels"
        )
    try:
        file = locate(tag, weights)
        load_pretrained(vit, file)
    except WeightsError as error:
        raise RunError(str(error)) from error
    _add_classifier(vit, file)
    vit.mean, vit.std = tuple(vit.pretrained_cfg["mean"]), tuple(vit.pretrained_cfg["std"])
    device = torch.device(device)
    return Network(
        vit.eval().to(device),
        TestPictures(ViewSettings(resize=size, crop=size, test_crop="whole")),
        normalise(vit, device),
        tag,
        weights_sha256(vit.state_dict()),
        _imagenet_classes() if vit.num_classes == IMAGENET_CLASSES else (),
    )


def _add_classifier(vit: VisionTransformer, file: Path) -> None:
    """Add the file's linear classifier to the model; none for Google's .npz files, which have a further layer."""
    tensors = {} if file.suffix == ".npz" else read_state(file)
    weight, bias = tensors.get("head.weight"), tensors.get("head.bias")
    if weight is None or bias is None or weight.shape[1:] != (vit.embed_dim,):
        return
    vit.head, vit.num_classes = nn.Linear(vit.embed_dim, len(weight)), len(weight)
    vit.head.load_state_dict({"weight": weight, "bias": bias})


def _imagenet_classes() -> tuple[str, ...]:
    """Return the class names of ImageNet-1k from timm."""
    from timm.data import ImageNetInfo

    names = ImageNetInfo()
    return tuple(names.index_to_description(index).split(",")[0] for index in range(IMAGENET_CLASSES))
