"""Hooks on one attention module that hand on its queries and keys and change nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.hooks import RemovableHandle

# What reads (Q, K), each (B, H, tokens, d) and unscaled, from an attention module and the tokens it is given.
Read = Callable[[nn.Module, Tensor], tuple[Tensor, Tensor]]
Keep = Callable[[Tensor, Tensor], None]


def listen_to_outputs(
    queries: str,
    keys: str,
    of_heads: Callable[[nn.Module, Tensor], Tensor],
    attention: nn.Module,
    keep: Keep,
) -> list[RemovableHandle]:
    """To what two parts of an attention put out, named ``queries`` and ``keys``.

    of_heads: makes (B, H, tokens, d) of the attention module and such an output.
    """
    seen: dict[str, Tensor] = {}

    def record(name: str) -> Callable[..., None]:
        def put_out(_module: nn.Module, _args: tuple, output: Tensor) -> None:
            seen[name] = of_heads(attention, output.detach())
            if len(seen) == 2:
                keep(seen.pop(queries), seen.pop(keys))

        return put_out

    handles = [getattr(attention, name).register_forward_hook(record(name)) for name in (queries, keys)]
    return [attention.register_forward_pre_hook(_refuse_masks, with_kwargs=True), *handles]


def listen_to_input(read: Read, attention: nn.Module, keep: Keep) -> list[RemovableHandle]:
    """To what an attention is given as its first argument, from which ``read`` makes queries and keys.

    In the forward pass, ValueError for what ``read`` makes of it, if that is not (Q, K), each (B, H, tokens, d).
    """

    def given(module: nn.Module, args: tuple, kwargs: dict) -> None:
        with torch.no_grad():
            made = read(module, next(given_values(args, kwargs)))
        pair = () if made is None else tuple(made)
        if [part.ndim for part in pair] != [4, 4]:
            raise ValueError(
                f"read has to give (Q, K) of {type(module).__name__}, each (B, heads, tokens, width of a head), "
                f"found {' and '.join(str(tuple(part.shape)) for part in pair) or 'nothing'}"
            )
        keep(*pair)

    return [attention.register_forward_pre_hook(given, with_kwargs=True)]


def split_heads(attention: nn.Module, projected: Tensor) -> Tensor:
    """(B, n, H·d) to (B, H, n, d)."""
    return projected.unflatten(2, (attention.num_attention_heads, -1)).transpose(1, 2)


def listen_to_multihead(attention: nn.MultiheadAttention, keep: Keep) -> list[RemovableHandle]:
    """To torch's own attention of (B, n, D) tokens to themselves, which has no module for its queries and keys."""
    return [
        attention.register_forward_pre_hook(_refuse_masks, with_kwargs=True),
        *listen_to_input(_multihead, attention, keep),
    ]


def _multihead(attention: nn.MultiheadAttention, x: Tensor) -> tuple[Tensor, Tensor]:
    rows = slice(0, 2 * attention.embed_dim)  # of Q, K and V
    projected = F.linear(x, attention.in_proj_weight[rows], attention.in_proj_bias[rows])
    q, k = projected.unflatten(2, (2, attention.num_heads, -1)).permute(2, 0, 3, 1, 4)
    return q, k


def _refuse_masks(attention: nn.Module, args: tuple, kwargs: dict) -> None:
    first, *more = given_values(args, kwargs)
    if any(isinstance(value, Tensor) and value is not first for value in more):
        raise ValueError(
            f"{type(attention).__name__} is given another tensor beside its tokens, such as a mask: the rollout is "
            "made of softmax(QKᵀ/√d) and would be another than the model's attention; call the model without it"
        )


def given_values(args: tuple, kwargs: dict) -> Iterator[object]:
    """All that a module is called with, in order."""
    yield from args
    yield from kwargs.values()
