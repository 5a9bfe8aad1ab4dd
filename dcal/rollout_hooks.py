"""The rollout of other people's vision transformers, by hooks, in the course of their own forward pass.

    with dcal.RolloutHooks(model) as hooks:
        model(images)
    hooks.rollout(), hooks.cls_attention(), hooks.top_tokens(0.1)

Kept of each block are its queries and keys, never a B×H×N×N map. The model's outputs stay the same, bit for bit.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Self

from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from dcal.attention_listening import Read, given_values, listen_to_input
from dcal.attention_rollout import rollout_row
from dcal.head_fusion import HeadFusion
from dcal.rolled_out import Layers, Rollout, legal_layers
from dcal.vit_layouts import Layout, layout_of


class RolloutHooks:
    """Listens to a model's attention as long as the ``with`` block lasts; what it heard last stays readable behind it.

    model: a model with one vision transformer in it: timm's, torchvision's, or a ViT, DeiT or DINOv2 of Hugging Face
        transformers. In training mode dropout on the attention is not seen.
    layout: where to listen; none: as is known of such a model.

    Raises ValueError for a model whose attention is not known, for one without class token, for several of them, and
    for models of dcal (``dcal.rollout`` looks into these). So does an attention that is given a mask, and a ``with``
    block inside another of the same hooks.
    """

    def __init__(self, model: nn.Module, *, layout: Layout | None = None) -> None:
        self._name, self._layout = type(model).__name__, layout or layout_of(model)
        self._handles: list[RemovableHandle] = []
        self._seen: dict[int, tuple[Tensor, Tensor]] = {}
        self._grid: tuple[int, int] | None = None

    @classmethod
    def by_hand(
        cls, model: nn.Module, *, attentions: Sequence[nn.Module], read: Read, prefix: int = 1
    ) -> RolloutHooks:
        """For a model that is not known.

        attentions: the attention modules of block 1 … L, each of which runs once in a forward pass.
        read: from such a module and the first argument it is given, its (Q, K), each (B, H, tokens, d), unscaled.
        prefix: tokens in front of the patches, of which the class token is the first.

        Raises ValueError for attentions that are not one module a block; of what ``read`` gives, in the forward pass.
        """
        attentions = list(attentions)
        modules = {id(part) for part in attentions if isinstance(part, nn.Module)}
        if not attentions or len(modules) < len(attentions):
            raise ValueError(
                f"by_hand listens to one attention module a block, found {len(modules)} different modules in a list of "
                f"{len(attentions)}"
            )
        listen = partial(listen_to_input, read)
        return cls(model, layout=Layout(attentions, listen, entry=model, prefix=prefix, grid=None))

    def __enter__(self) -> Self:
        if self._handles:
            raise ValueError(
                f"these RolloutHooks listen to {self._name} already: make others for a `with` block inside this one"
            )
        layout = self._layout
        self._handles = [layout.entry.register_forward_pre_hook(self._begin, with_kwargs=True)]
        for l, attention in enumerate(layout.attentions):
            self._handles += layout.listen(attention, partial(self._keep, l))
        return self

    def __exit__(self, *_: object) -> None:
        for handle in self._handles:
            handle.remove()
        self._handles = []

    @property
    def queries_keys(self) -> list[tuple[Tensor, Tensor]]:
        """(Q, K) of block 1 … L in the last forward pass, each (B, H, P + N, d), unscaled, without gradient.

        Raises ValueError where not all blocks ran, or not with the same tokens.
        """
        depth = len(self._layout.attentions)
        missing = [l + 1 for l in range(depth) if l not in self._seen]
        if missing:
            what = "no forward pass" if len(missing) == depth else f"no attention of block {missing[0]}"
            raise ValueError(
                f"{what} of {self._name} was seen: run model(images) inside `with dcal.RolloutHooks(model) as hooks:`; "
                "in place of one that torch.compile made, run the model it was made of"
            )
        pairs = [self._seen[l] for l in range(depth)]
        shapes = {tuple(tensor.shape[i] for i in (0, 2)) for pair in pairs for tensor in pair}
        if len(shapes) > 1:
            raise ValueError(
                f"the blocks of {self._name} attend among different tokens, (B, tokens) {sorted(shapes)}: a rollout "
                "needs the same in all of them"
            )
        return pairs

    def rollout(self, layers: Layers | None = None, head_fusion: HeadFusion = "mean") -> Rollout:
        """Accumulated attention of the class token over blocks a … b.

        layers: (a, b), counted from 1; none: 1 … L−1, the blocks by which a GLCA with M = 1 selects.
        head_fusion: ``mean`` (the method's), ``max`` or ``min``, as ``rollout_row``.
        Raises ValueError for layers that are none, and as ``queries_keys``.
        """
        pairs = self.queries_keys
        first, last = legal_layers(layers, len(pairs))
        row = rollout_row(pairs[first - 1 : last], head_fusion)
        return Rollout(row, (first, last), self._layout.prefix, self._grid)

    def cls_attention(self, layers: Layers | None = None, head_fusion: HeadFusion = "mean") -> Tensor:
        """Response of the class token to the patches, (B, N); arguments and errors as ``rollout``."""
        return self.rollout(layers, head_fusion).cls_attention()

    def top_tokens(
        self, ratio: float, layers: Layers | None = None, head_fusion: HeadFusion = "mean"
    ) -> Tensor:
        """The ⌊R·N⌋ patches with the highest response, indices among all tokens; the rest as ``rollout``."""
        return self.rollout(layers, head_fusion).top_tokens(ratio)

    def _begin(self, _module: nn.Module, args: tuple, kwargs: dict) -> None:
        self._seen = {}
        if self._layout.grid:
            images = next(given_values(args, kwargs))
            self._grid = self._layout.grid(tuple(images.shape[-2:]))

    def _keep(self, l: int, q: Tensor, k: Tensor) -> None:
        self._seen[l] = (q, k)
