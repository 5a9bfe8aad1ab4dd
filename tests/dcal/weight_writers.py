"""Small models and their weights in every published format, for the tests of loading."""

from pathlib import Path

import numpy as np
import safetensors.torch
import timm
import torch
from small_models import NATIVE, spread_out
from torch import nn

import dcal


def authors_layout(model: nn.Module) -> dict[str, dict[str, torch.Tensor]]:
    """A timm CaiT's or Swin's tensors as the authors publish them, written from the published files' names.

    CaiT: saved from a data-parallel model. Swin: a stage's downsampling at its end, the classifier ``head``, and the
    index and mask buffers among the tensors.
    """
    state = model.state_dict()
    if not hasattr(model, "layers"):
        return {"model": {f"module.{name}": value for name, value in state.items()}}
    for i, stage in enumerate(model.layers):
        for j, block in enumerate(stage.blocks):
            state[f"layers.{i}.blocks.{j}.attn.relative_position_index"] = block.attn.relative_position_index
            if block.attn_mask is not None:
                state[f"layers.{i}.blocks.{j}.attn_mask"] = block.attn_mask
    for i in range(1, len(model.layers)):
        for part in ("norm.weight", "norm.bias", "reduction.weight"):
            state[f"layers.{i - 1}.downsample.{part}*"] = state.pop(f"layers.{i}.downsample.{part}")
    return {"model": {name.rstrip("*").replace("head.fc.", "head."): value for name, value in state.items()}}


def source_model(architecture: str) -> nn.Module:
    """A timm model with a classifier of 7, as published files have one; every weight is visible."""
    return spread_out(timm.create_model(architecture, num_classes=7), seed=3)


def google_layout(model: nn.Module) -> dict[str, np.ndarray]:
    """A timm ViT's tensors under the names and axes of Google's JAX files, written from their published layout:
    matrices as (in, out), convolutions as (h, w, in, out), attention with an axis of heads."""
    state = {name: value.detach().numpy() for name, value in model.state_dict().items()}
    heads = model.blocks[0].attn.num_heads
    width = model.embed_dim
    d = width // heads
    arrays = {
        "cls": state["cls_token"],
        "Transformer/posembed_input/pos_embedding": state["pos_embed"],
        "embedding/kernel": state["patch_embed.proj.weight"].transpose(2, 3, 1, 0),
        "embedding/bias": state["patch_embed.proj.bias"],
        "Transformer/encoder_norm/scale": state["norm.weight"],
        "Transformer/encoder_norm/bias": state["norm.bias"],
        "head/kernel": state["head.weight"].T,
        "head/bias": state["head.bias"],
    }
    for i in range(len(model.blocks)):
        block, target = f"blocks.{i}", f"Transformer/encoderblock_{i}"
        attention = f"{target}/MultiHeadDotProductAttention_1"
        for j, name in enumerate(("query", "key", "value")):
            weight = state[f"{block}.attn.qkv.weight"][j * width : (j + 1) * width]
            bias = state[f"{block}.attn.qkv.bias"][j * width : (j + 1) * width]
            arrays[f"{attention}/{name}/kernel"] = weight.T.reshape(width, heads, d)
            arrays[f"{attention}/{name}/bias"] = bias.reshape(heads, d)
        arrays[f"{attention}/out/kernel"] = state[f"{block}.attn.proj.weight"].T.reshape(heads, d, width)
        arrays[f"{attention}/out/bias"] = state[f"{block}.attn.proj.bias"]
        for theirs, ours in (("LayerNorm_0", "norm1"), ("LayerNorm_2", "norm2")):
            arrays[f"{target}/{theirs}/scale"] = state[f"{block}.{ours}.weight"]
            arrays[f"{target}/{theirs}/bias"] = state[f"{block}.{ours}.bias"]
        for r in (0, 1):
            arrays[f"{target}/MlpBlock_3/Dense_{r}/kernel"] = state[f"{block}.mlp.fc{r + 1}.weight"].T
            arrays[f"{target}/MlpBlock_3/Dense_{r}/bias"] = state[f"{block}.mlp.fc{r + 1}.bias"]
    stem = "patch_embed.backbone"
    if f"{stem}.stem.conv.weight" in state:
        arrays["conv_root/kernel"] = state[f"{stem}.stem.conv.weight"].transpose(2, 3, 1, 0)
        arrays["gn_root/scale"] = state[f"{stem}.stem.norm.weight"].reshape(1, 1, 1, -1)
        arrays["gn_root/bias"] = state[f"{stem}.stem.norm.bias"].reshape(1, 1, 1, -1)
        for i, stage in enumerate(model.patch_embed.backbone.stages):
            for j, block in enumerate(stage.blocks):
                ours, theirs = f"{stem}.stages.{i}.blocks.{j}", f"block{i + 1}/unit{j + 1}"
                parts = [(f"conv{r}", f"norm{r}", f"conv{r}", f"gn{r}") for r in (1, 2, 3)]
                if block.downsample is not None:
                    parts.append(("downsample.conv", "downsample.norm", "conv_proj", "gn_proj"))
                for conv, norm, their_conv, their_norm in parts:
                    kernel = state[f"{ours}.{conv}.weight"].transpose(2, 3, 1, 0)
                    arrays[f"{theirs}/{their_conv}/kernel"] = kernel
                    arrays[f"{theirs}/{their_norm}/scale"] = state[f"{ours}.{norm}.weight"].reshape(
                        1, 1, 1, -1
                    )
                    arrays[f"{theirs}/{their_norm}/bias"] = state[f"{ours}.{norm}.bias"].reshape(1, 1, 1, -1)
    return arrays


def write(model: nn.Module, file: Path, wrapped: bool = False) -> Path:
    if file.suffix == ".safetensors":
        safetensors.torch.save_file(model.state_dict(), file)
    elif file.suffix == ".npz":
        np.savez(file, **google_layout(model))
    else:
        torch.save({"model": model.state_dict()} if wrapped else model.state_dict(), file)
    return file


def build(architecture: str, weights: str | Path, size=None, **settings) -> dcal.DCAL:
    size = size or NATIVE[architecture]
    return dcal.build(f"{architecture}.test", 5, image_size=size, weights=weights, **settings)
