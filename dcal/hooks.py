"""Rollout of vision transformers of other libraries, by hooks on their own forward pass.

    with dcal.RolloutHooks(model) as hooks:
        model(images)
    hooks.rollout(), hooks.cls_attention(), hooks.top_tokens(0.1)

Of each block its queries and keys are kept, not a B×H×N×N map. The model's outputs are bit for bit those without hooks.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Self

from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from dcal.attention_rollout import HeadFusion, Layers, QueriesKeys, Rollout, rollout_layers, rollout_row
from dcal.known_vits import AttentionLayout, Reader, call_values, find_layout, listen_to_input


class RolloutHooks:
    """Hooks on a model's attention in a ``with`` block; the queries and keys of the last forward pass stay readable.

    model: a model that contains one vision transformer: timm's, torchvision's, or a ViT, DeiT or DINOv2 of Hugging Face
        transformers. Dropout on the attention, in training mode, is not in the rollout.
    layout: the modules for the hooks; None: the known ones of such a model.

    Raises ValueError for a model with unknown attention, without class token or with several transformers, and for
    models of dcal (use ``dcal.rollout``); in the forward pass for attention with a mask; and for a ``with`` block
    inside another of the same hooks.
    """

    def __init__(self, model: nn.Module, *, layout: AttentionLayout | None = None) -> None:
        self._name, self._layout = type(model).__name__, layout or find_layout(model)
        self._handles: list[RemovableHandle] = []
        self._queries_keys: dict[int, QueriesKeys] = {}
        self._grid: tuple[int, int] | None = None

    @classmethod
    def by_hand(
        cls, model: nn.Module, *, attentions: Sequence[nn.Module], read: Reader, prefix: int = 1
    ) -> RolloutHooks:
        """Hooks on a model of an unknown family.

        attentions: the attention modules of blocks 1 … L, each of which runs once in a forward pass.
        read: function of such a module and its first argument that returns (Q, K), each (B, H, tokens, d), unscaled.
        prefix: number of tokens before the patches, the class token first.

        Raises ValueError for attentions that are not one module a block; in the forward pass for other results of
        ``read``.
        """
        attentions = list(attentions)
        modules = {id(part) for part in attentions if isinstance(part, nn.Module)}
        if not attentions or len(modules) < len(attentions):
            raise ValueError(
                f"by_hand listens to one attention module a block, found {len(modules)} different modules in a list of "
                f"{len(attentions)}"
            )
        listen = partial(listen_to_input, read)
        return cls(model, layout=AttentionLayout(attentions, listen, entry=model, prefix=prefix, grid=None))

    def __enter__(self) -> Self:
        if self._handles:
            raise ValueError(
                f"these RolloutHooks listen to {self._name} already: make others for a `with` block inside this one"
            )
        layout = self._layout
        self._handles = [layout.entry.register_forward_pre_hook(self._reset, with_kwargs=True)]
        for l, attention in enumerate(layout.attentions):
            self._handles += layout.listen(attention, partial(self._store, l))
        return self

    def __exit__(self, *_: object) -> None:
        for handle in self._handles:
            handle.remove()
        self._handles = []

    @property
    def queries_keys(self) -> list[QueriesKeys]:
        """(Q, K) of blocks 1 … L in the last forward pass, each (B, H, P + N, d), unscaled, without gradient.

        Raises ValueError unless all blocks ran, with the same tokens.
        """
        depth = len(self._layout.attentions)
        missing = [l + 1 for l in range(depth) if l not in self._queries_keys]
        if missing:
            problem = "no forward pass" if len(missing) == depth else f"no attention of block {missing[0]}"
            raise ValueError(
                f"{problem} of {self._name} was seen: run model(images) inside `with dcal.RolloutHooks(model) as "
                "hooks:`; in place of one that torch.compile made, run the model it was made of"
            )
        pairs = [self._queries_keys[l] for l in range(depth)]
        shapes = {tuple(tensor.shape[i] for i in (0, 2)) for pair in pairs for tensor in pair}
        if len(shapes) > 1:
            raise ValueError(
                f"the blocks of {self._name} attend among different tokens, (B, tokens) {sorted(shapes)}: a rollout "
                "needs the same in all of them"
            )
        return pairs

    def rollout(self, layers: Layers | None = None, head_fusion: HeadFusion = "mean") -> Rollout:
        """Accumulated attention of the class token over blocks a … b.

        layers: (a, b), counted from 1; None: 1 … L−1, the blocks by which a GLCA with M = 1 selects.
        head_fusion: ``mean`` (the method's), ``max`` or ``min``, as in ``rollout_row``.
        Raises ValueError for layers that are not 1 ≤ a ≤ b ≤ L, and as ``queries_keys``.
        """
        pairs = self.queries_keys
        first, last = rollout_layers(layers, len(pairs))
        row = rollout_row(pairs[first - 1 : last], head_fusion)
        return Rollout(row, (first, last), self._layout.prefix, self._grid)

    def cls_attention(self, layers: Layers | None = None, head_fusion: HeadFusion = "mean") -> Tensor:
        """Response of the class token to the patches, (B, N); arguments and errors as ``rollout``."""
        return self.rollout(layers, head_fusion).cls_attention()

    def top_tokens(
        self, ratio: float, layers: Layers | None = None, head_fusion: HeadFusion = "mean"
    ) -> Tensor:
        """As ``Rollout.top_tokens``; layers and errors as ``rollout``."""
        return self.rollout(layers, head_fusion).top_tokens(ratio)

    def _reset(self, _module: nn.Module, args: tuple, kwargs: dict) -> None:
        """At the start of a forward pass."""
        self._queries_keys = {}
        if self._layout.grid:
            images = next(call_values(args, kwargs))
            self._grid = self._layout.grid(tuple(images.shape[-2:]))

    def _store(self, l: int, q: Tensor, k: Tensor) -> None:
        self._queries_keys[l] = (q, k)
