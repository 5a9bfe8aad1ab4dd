"""Hooks on an attention module that pass on its queries and keys and change nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.hooks import RemovableHandle

from dcal.attention_rollout import QueriesKeys

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
