"""Talking heads in parts: the same as timm's module, whole; no part above its bytes; what the biases do."""

import pytest
import timm
import torch
from small_cait import HEADS, visible
from torch.utils._python_dispatch import TorchDispatchMode

from dcal.attention_rollout import SCORE_BYTES
from dcal.backbones import talking_heads
from dcal.backbones.talking_heads import row_times_maps, softmax_maps, talking_heads_attention

N, D = 37, 24  # no number of rows at once but 1 divides the patches


def attention() -> torch.nn.Module:
    return visible(timm.create_model("small_cait", num_classes=0)).double().blocks[0].attn


def tensors(*shape: int, count: int) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(*shape, dtype=torch.float64, generator=generator) for _ in range(count)]


def whole(attn: torch.nn.Module, x: torch.Tensor) -> torch.Tensor:
    """The module's own forward, as talking_heads_attention with its projections around it."""
    q, k, v = attn.qkv(x).unflatten(2, (3, HEADS, -1)).permute(2, 0, 3, 1, 4)
    return attn.proj(talking_heads_attention(attn, q, k, v).transpose(1, 2).flatten(2))


@pytest.mark.parametrize("rows", [1, 5, 36, 37])
def test_talking_heads_in_parts_equal_timms_module_and_its_gradients(rows, monkeypatch):
    monkeypatch.setattr(talking_heads, "MAP_BYTES", rows * 2 * HEADS * N * 8)
    attn, (x, upstream) = attention(), tensors(2, N, D, count=2)
    gradients = []
    for function in (attn, lambda x: whole(attn, x)):
        attn.zero_grad()
        given = x.clone().requires_grad_()
        (function(given) * upstream).sum().backward()
        gradients.append({"x": given.grad} | {name: p.grad.clone() for name, p in attn.named_parameters()})
    torch.testing.assert_close(whole(attn, x), attn(x), rtol=0, atol=1e-12)
    torch.testing.assert_close(gradients[1], gradients[0], rtol=1e-10, atol=1e-11)


class Largest(TorchDispatchMode):
    """Bytes of the largest tensor made."""

    bytes = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        for tensor in result if isinstance(result, (list, tuple)) else (result,):
            if isinstance(tensor, torch.Tensor):
                self.bytes = max(self.bytes, tensor.untyped_storage().nbytes())
        return result


@torch.no_grad()
def test_no_map_is_larger_than_asked_for(monkeypatch):
    """A whole map has 2·3·37·37 numbers. Keys and values themselves have 2·37·24."""
    attn, (q, k, v) = attention(), tensors(2, HEADS, N, D // HEADS, count=3)
    row = torch.rand(2, N, dtype=torch.float64)
    for module_bytes, run in (
        ("MAP_BYTES", lambda: talking_heads_attention(attn, q, k, v)),
        ("SCORE_BYTES", lambda: row_times_maps(attn, row, q, k)),
    ):
        asked = 20_000
        monkeypatch.setattr(talking_heads, module_bytes, asked)
        with Largest() as largest:
            run()
        assert 2 * N * D * 8 <= largest.bytes <= asked < 2 * HEADS * N * N * 8
    assert SCORE_BYTES > asked  # the constant that other rollouts use is another module's and was left alone


@torch.no_grad()
def test_rollouts_step_equals_the_row_times_the_mean_of_the_softmax_maps(monkeypatch):
    attn, (q, k) = attention(), tensors(2, HEADS, N, D // HEADS, count=2)
    row = torch.rand(2, N, dtype=torch.float64)
    scores = torch.einsum("bhnd,bhmd->bhnm", q, k) / (D // HEADS) ** 0.5
    mixed = torch.einsum("gh,bhnm->bgnm", attn.proj_l.weight, scores) + attn.proj_l.bias[:, None, None]
    expected = torch.einsum("bn,bhnm->bm", row, mixed.softmax(dim=-1)) / HEADS
    monkeypatch.setattr(talking_heads, "SCORE_BYTES", 5 * 2 * HEADS * N * 8)
    torch.testing.assert_close(row_times_maps(attn, row, q, k), expected, rtol=1e-12, atol=0)


@torch.no_grad()
def test_the_second_mixings_bias_counts_each_of_the_2n_keys():
    """An image beside itself: the bias b_w alone adds b_w Σ V once more, the softmax nothing."""
    attn, (q, k, v) = attention(), tensors(2, HEADS, N, D // HEADS, count=3)
    alone = talking_heads_attention(attn, q, k, v)
    beside = talking_heads_attention(attn, q, torch.cat((k, k), dim=2), torch.cat((v, v), dim=2))
    once_more = attn.proj_w.bias[:, None, None] * v.sum(dim=2, keepdim=True)
    assert once_more.abs().min() > 1e-3
    torch.testing.assert_close(beside - alone, once_more.expand_as(alone), rtol=0, atol=1e-12)


@torch.no_grad()
def test_the_first_mixings_bias_changes_nothing():
    """It is one number a head for all keys, which a softmax does not see."""
    attn, (q, k) = attention(), tensors(2, HEADS, N, D // HEADS, count=2)
    maps = softmax_maps(attn, q, k)
    attn.proj_l.bias.add_(1)
    torch.testing.assert_close(softmax_maps(attn, q, k), maps, rtol=1e-12, atol=0)
