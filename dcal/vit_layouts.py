"""Where the queries and keys of other people's vision transformers pass by, so that hooks can listen there.

Those of timm, torchvision and Hugging Face transformers whose attention is softmax(QKᵀ/√d) with nothing added to the
scores, and whose first token is the class token. torchvision and transformers are recognised by the names of their
modules and never imported.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from timm.layers import Attention
from timm.models.vision_transformer import VisionTransformer
from torch import nn
from torch.utils.hooks import RemovableHandle

from dcal.attention_listening import Keep, listen_to_multihead, listen_to_outputs, split_heads
from dcal.class_token import ClassTokenBackbone
from dcal.swin import Swin

KNOWN = (
    "timm's VisionTransformer with plain multi-head attention, torchvision's VisionTransformer, and ViT, DeiT and "
    "DINOv2 (with or without registers) of Hugging Face transformers; timm's Cait needs no hooks, dcal.rollout knows it"
)
BY_HAND = (
    "For another say which its attention modules are and how to read them: dcal.RolloutHooks.by_hand(model, "
    "attentions=[…], read=f), f(module, tokens) giving (Q, K), each (B, heads, tokens, width of a head). Or give (Q, "
    "K) of every block to dcal.rollout_row, or explicit maps to dcal.rollout_matrix, without hooks"
)
_TRANSFORMERS = ("vit", "deit", "dinov2", "dinov2_with_registers")


@dataclass(frozen=True)
class Layout:
    """attentions: of block 1 … L. listen: sets hooks on one of them that hand on its (Q, K). entry: gets the images as
    its first argument in every forward pass, before any block. prefix: tokens in front of the patches. grid: from the
    images' height and width to the patches' rows and columns; None where nobody knows.
    """

    attentions: Sequence[nn.Module]
    listen: Callable[[nn.Module, Keep], list[RemovableHandle]]
    entry: nn.Module
    prefix: int
    grid: Callable[[tuple[int, int]], tuple[int, int]] | None


def layout_of(model: nn.Module) -> Layout:
    """The one vision transformer in a model. Raises ValueError for none, for several, and for a model of dcal."""
    name = type(model).__name__
    if any(isinstance(module, ClassTokenBackbone | Swin) for module in model.modules()):
        raise ValueError(
            f"{name} is or holds a model of dcal, which runs its blocks by functions of its own: no hooks are needed, "
            "give that model itself to dcal.rollout(model, images) or dcal.inspect(model, images)"
        )
    found = [layout for module in model.modules() if (layout := _layout(module))]
    if len(found) > 1:
        raise ValueError(f"{name} has {len(found)} vision transformers: set the hooks on one of them")
    if not found:
        kinds = [type(module).__name__ for module in model.modules()]
        counted = Counter(kind for kind in kinds if "attention" in kind.lower() or "attn" in kind.lower())
        named = ", ".join(f"{count} {kind}" for kind, count in counted.items()) or "no module of that name"
        raise ValueError(f"{name} has no attention that is known (found: {named}). Known: {KNOWN}. {BY_HAND}")
    return found[0]


def _layout(module: nn.Module) -> Layout | None:
    """Of a vision transformer itself; None for whatever else, and for one whose attention is not known."""
    if isinstance(module, VisionTransformer):
        return _timm(module)
    places = {kind.__module__ for kind in type(module).__mro__}
    if "torchvision.models.vision_transformer" in places and hasattr(module, "conv_proj"):
        return _torchvision(module)
    for family in _TRANSFORMERS:
        place = f"transformers.models.{family}.modeling_{family}"
        if place in places and hasattr(getattr(module, "embeddings", None), "cls_token"):
            return _transformers(module, place)
    return None


def _timm(vit: VisionTransformer) -> Layout | None:
    if not vit.has_class_token:
        raise ValueError(f"{type(vit).__name__} has no class token, where a rollout would start")
    attentions = [getattr(block, "attn", None) for block in vit.blocks]
    if any(type(attention) is not Attention for attention in attentions):
        return None
    grid = getattr(vit.patch_embed, "dynamic_feat_size", None)
    listen = partial(listen_to_outputs, "q_norm", "k_norm", lambda _, heads: heads)
    return Layout(attentions, listen, vit.patch_embed, vit.num_prefix_tokens, grid)


def _torchvision(vit: nn.Module) -> Layout:
    attentions = [block.self_attention for block in vit.encoder.layers]
    grid = partial(_patches, (vit.patch_size, vit.patch_size))
    return Layout(attentions, listen_to_multihead, vit.conv_proj, 1, grid)


def _transformers(vit: nn.Module, place: str) -> Layout | None:
    parts = [module for module in vit.modules() if type(module).__module__ == place]
    for names in (("q_proj", "k_proj"), ("query", "key")):  # the second in transformers 5.0
        attentions = [module for module in parts if all(hasattr(module, name) for name in names)]
        if attentions:
            listen = partial(listen_to_outputs, *names, split_heads)
            grid = partial(_patches, vit.embeddings.patch_embeddings.projection.kernel_size)
            return Layout(attentions, listen, vit.embeddings, _prefix(vit.embeddings), grid)
    return None


def _prefix(embeddings: nn.Module) -> int:
    names = ("cls_token", "distillation_token", "register_tokens")
    tokens = (getattr(embeddings, name, None) for name in names)
    return sum(token.shape[1] for token in tokens if token is not None)


def _patches(side: tuple[int, int], size: tuple[int, int]) -> tuple[int, int]:
    return size[0] // side[0], size[1] // side[1]
