"""timm's own weights to look into, with their classifier where the file has one."""

from __future__ import annotations

from pathlib import Path

import timm
import torch
from timm.models.vision_transformer import VisionTransformer
from torch import nn

from benchmark.data.loader import normalise
from benchmark.data.pictures import TestPictures
from benchmark.data.transforms import ViewSettings
from benchmark.errors import RunError, SettingsError
from benchmark.training.checkpoint import weights_sha256
from dcal.backbones import make_adapter
from dcal.weights.load import WeightsError, load_pretrained, locate
from dcal.weights.read import read_state
from reports.heatmaps.networks import Network

IMAGENET = 1000


def plain(
    tag: str,
    weights: str | Path = "hub",
    size: tuple[int, int] | None = None,
    where: torch.device | str = "cpu",
) -> Network:
    """A timm ViT as it was pretrained; pictures are resized whole to its input.

    weights: the hub, a folder or a file. size: (height, width) of the input; none: the weights' own.
    Raises SettingsError for a tag that is unknown or no plain ViT, or a size that its patches do not divide, RunError
    for weights that are missing or another model's.
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
    _with_classifier(vit, file)
    vit.mean, vit.std = tuple(vit.pretrained_cfg["mean"]), tuple(vit.pretrained_cfg["std"])
    where = torch.device(where)
    return Network(
        vit.eval().to(where),
        TestPictures(ViewSettings(resize=size, crop=size, test_crop="whole")),
        normalise(vit, where),
        tag,
        weights_sha256(vit.state_dict()),
        _imagenet() if vit.num_classes == IMAGENET else (),
    )


def _with_classifier(vit: VisionTransformer, file: Path) -> None:
    """Give the headless model the file's own linear classifier. Google's .npz files have a layer in between: none."""
    tensors = {} if file.suffix == ".npz" else read_state(file)
    weight, bias = tensors.get("head.weight"), tensors.get("head.bias")
    if weight is None or bias is None or weight.shape[1:] != (vit.embed_dim,):
        return
    vit.head, vit.num_classes = nn.Linear(vit.embed_dim, len(weight)), len(weight)
    vit.head.load_state_dict({"weight": weight, "bias": bias})


def _imagenet() -> tuple[str, ...]:
    """ImageNet-1k's words, as timm has them."""
    from timm.data import ImageNetInfo

    names = ImageNetInfo()
    return tuple(names.index_to_description(index).split(",")[0] for index in range(IMAGENET))
