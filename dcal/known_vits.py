"""Attention modules of vision transformers of other libraries, for hooks on their queries and keys.

Known are those of timm, torchvision and Hugging Face transformers whose attention is softmax(QKᵀ/√d) without a bias,
and whose first token is the class token. torchvision and transformers are recognised by the names of their modules and
not imported.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from timm.layers import Attention
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.hooks import RemovableHandle

from dcal.attention_rollout import QueriesKeys
from dcal.backbones.class_token import ClassTokenBackbone
from dcal.backbones.swin import Swin

KNOWN_MODELS = (
    "timm's VisionTransformer with plain multi-head attention, torchvision's VisionTransformer, and ViT, DeiT and "
    "DINOv2 (with or without registers) of Hugging Face transformers; timm's Cait needs no hooks, dcal.rollout knows it"
)
HELP = (
    "For another say which its attention modules are and how to read them: dcal.RolloutHooks.by_hand(model, "
    "attentions=[…], read=f), f(module, tokens) giving (Q, K), each (B, heads, tokens, width of a head). Or give (Q, "
    "K) of every block to dcal.rollout_row, or explicit maps to dcal.rollout_matrix, without hooks"
)
_TRANSFORMERS = ("vit", "deit", "dinov2", "dinov2_with_registers")


@dataclass(frozen=True)
class AttentionLayout:
    """Parts of a vision transformer that hooks need.

    attentions: the attention modules of blocks 1 … L. listen: function of one of them that sets hooks on it, which
    store its (Q, K). entry: the module that gets the images as its first argument, before any block. prefix: number of
    tokens before the patches. grid: function of the images' height and width that returns the patches' rows and
    columns; None where unknown.
    """

    attentions: Sequence[nn.Module]
    listen: Callable[[nn.Module, Receiver], list[RemovableHandle]]
    entry: nn.Module
    prefix: int
    grid: Callable[[tuple[int, int]], tuple[int, int]] | None


def find_layout(model: nn.Module) -> AttentionLayout:
    """Layout of the vision transformer in a model. Raises ValueError for none, several, and a model of dcal."""
    name = type(model).__name__
    if any(isinstance(module, ClassTokenBackbone | Swin) for module in model.modules()):
        raise ValueError(
            f"{name} is or holds a model of dcal, which runs its blocks by functions of its own: no hooks are needed, "
            "give that model itself to dcal.rollout(model, images) or dcal.inspect(model, images)"
        )
    layouts = [layout for module in model.modules() if (layout := _layout(module))]
    if len(layouts) > 1:
        raise ValueError(f"{name} has {len(layouts)} vision transformers: set the hooks on one of them")
    if not layouts:
        kinds = [type(module).__name__ for module in model.modules()]
        counts = Counter(kind for kind in kinds if "attention" in kind.lower() or "attn" in kind.lower())
        modules = ", ".join(f"{count} {kind}" for kind, count in counts.items()) or "no module of that name"
        raise ValueError(
            f"{name} has no attention that is known (found: {modules}). Known: {KNOWN_MODELS}. {HELP}"
        )
    return layouts[0]


def _layout(module: nn.Module) -> AttentionLayout | None:
    """Layout of a vision transformer; None for other modules, and for unknown attention."""
    if isinstance(module, VisionTransformer):
        return _timm(module)
    origins = {kind.__module__ for kind in type(module).__mro__}
    if "torchvision.models.vision_transformer" in origins and hasattr(module, "conv_proj"):
        return _torchvision(module)
    for family in _TRANSFORMERS:
        origin = f"transformers.models.{family}.modeling_{family}"
        if origin in origins and hasattr(getattr(module, "embeddings", None), "cls_token"):
            return _transformers(module, origin)
    return None


def _timm(vit: VisionTransformer) -> AttentionLayout | None:
    if not vit.has_class_token:
        raise ValueError(f"{type(vit).__name__} has no class token, where a rollout would start")
    attentions = [getattr(block, "attn", None) for block in vit.blocks]
    if any(type(attention) is not Attention for attention in attentions):
        return None
    grid = getattr(vit.patch_embed, "dynamic_feat_size", None)
    listen = partial(listen_to_outputs, "q_norm", "k_norm", lambda _, heads: heads)
    return AttentionLayout(attentions, listen, vit.patch_embed, vit.num_prefix_tokens, grid)


def _torchvision(vit: nn.Module) -> AttentionLayout:
    attentions = [block.self_attention for block in vit.encoder.layers]
    grid = partial(_patches, (vit.patch_size, vit.patch_size))
    return AttentionLayout(attentions, listen_to_multihead, vit.conv_proj, 1, grid)


def _transformers(vit: nn.Module, origin: str) -> AttentionLayout | None:
    parts = [module for module in vit.modules() if type(module).__module__ == origin]
    for names in (("q_proj", "k_proj"), ("query", "key")):  # the second pair in transformers 5.0
        attentions = [module for module in parts if all(hasattr(module, name) for name in names)]
        if attentions:
            listen = partial(listen_to_outputs, *names, split_heads)
            grid = partial(_patches, vit.embeddings.patch_embeddings.projection.kernel_size)
            return AttentionLayout(attentions, listen, vit.embeddings, _prefix(vit.embeddings), grid)
    return None


def _prefix(embeddings: nn.Module) -> int:
    """Number of tokens before the patches, of transformers' embeddings."""
    names = ("cls_token", "distillation_token", "register_tokens")
    tokens = (getattr(embeddings, name, None) for name in names)
    return sum(token.shape[1] for token in tokens if token is not None)


def _patches(side: tuple[int, int], size: tuple[int, int]) -> tuple[int, int]:
    """Rows and columns of patches. side, size: height and width of a patch and of the image, in pixels."""
    return size[0] // side[0], size[1] // side[1]


# --- Hooks on an attention module that pass on its queries and keys and change nothing ---

# Reads (Q, K), each (B, H, tokens, d), unscaled, from an attention module and its input tokens.
Reader = Callable[[nn.Module, Tensor], QueriesKeys]
# Receives Q and K.
Receiver = Callable[[Tensor, Tensor], None]


def listen_to_outputs(
    queries: str,
    keys: str,
    split: Callable[[nn.Module, Tensor], Tensor],
    attention: nn.Module,
    store: Receiver,
) -> list[RemovableHandle]:
    """Hooks on the outputs of two parts of an attention module, named ``queries`` and ``keys``.

    split: function of the attention module and such an output that returns (B, H, tokens, d).
    """
    outputs: dict[str, Tensor] = {}

    def record(name: str) -> Callable[..., None]:
        def hook(_module: nn.Module, _args: tuple, output: Tensor) -> None:
            outputs[name] = split(attention, output.detach())
            if len(outputs) == 2:
                store(outputs.pop(queries), outputs.pop(keys))

        return hook

    handles = [getattr(attention, name).register_forward_hook(record(name)) for name in (queries, keys)]
    return [attention.register_forward_pre_hook(_refuse_masks, with_kwargs=True), *handles]


def listen_to_input(read: Reader, attention: nn.Module, store: Receiver) -> list[RemovableHandle]:
    """A hook on the first argument of an attention module, from which ``read`` computes queries and keys.

    The hook raises ValueError for results of ``read`` that are not (Q, K), each (B, H, tokens, d).
    """

    def hook(module: nn.Module, args: tuple, kwargs: dict) -> None:
        with torch.no_grad():
            result = read(module, next(call_values(args, kwargs)))
        pair = () if result is None else tuple(result)
        if [part.ndim for part in pair] != [4, 4]:
            raise ValueError(
                f"read has to give (Q, K) of {type(module).__name__}, each (B, heads, tokens, width of a head), "
                f"found {' and '.join(str(tuple(part.shape)) for part in pair) or 'nothing'}"
            )
        store(*pair)

    return [attention.register_forward_pre_hook(hook, with_kwargs=True)]


def split_heads(attention: nn.Module, x: Tensor) -> Tensor:
    """(B, n, H·d) to (B, H, n, d)."""
    return x.unflatten(2, (attention.num_attention_heads, -1)).transpose(1, 2)


def listen_to_multihead(attention: nn.MultiheadAttention, store: Receiver) -> list[RemovableHandle]:
    """Hooks on torch's self-attention of (B, n, D) tokens, which has no module for its queries and keys."""
    return [
        attention.register_forward_pre_hook(_refuse_masks, with_kwargs=True),
        *listen_to_input(_multihead_queries_keys, attention, store),
    ]


def _multihead_queries_keys(attention: nn.MultiheadAttention, x: Tensor) -> QueriesKeys:
    """(Q, K), each (B, H, n, d). x: (B, n, D)."""
    rows = slice(0, 2 * attention.embed_dim)  # of Q and K; V's follow
    queries_keys = F.linear(x, attention.in_proj_weight[rows], attention.in_proj_bias[rows])
    q, k = queries_keys.unflatten(2, (2, attention.num_heads, -1)).permute(2, 0, 3, 1, 4)
    return q, k


def _refuse_masks(attention: nn.Module, args: tuple, kwargs: dict) -> None:
    """Raises ValueError for attention that gets another tensor than its tokens."""
    first, *more = call_values(args, kwargs)
    if any(isinstance(value, Tensor) and value is not first for value in more):
        raise ValueError(
            f"{type(attention).__name__} is given another tensor beside its tokens, such as a mask: the rollout is "
            "made of softmax(QKᵀ/√d) and would be another than the model's attention; call the model without it"
        )


def call_values(args: tuple, kwargs: dict) -> Iterator[object]:
    """All arguments of a call, in order."""
    yield from args
    yield from kwargs.values()
