"""Attention that RolloutHooks does not know: read by hand, or refused in words that say how."""

import pytest
import timm
import torch
from small_models import random_images, small_backbone, small_dcal, spread_out
from torch import nn

import dcal


def timm_vit():
    return small_backbone(depth=3).eval()


class OtherAttention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.to_q, self.to_kv = nn.Linear(12, 12), nn.Linear(12, 24)

    def forward(self, x):
        q, k = other_queries_keys(self, x)
        return (q @ k.mT / 6**0.5).softmax(dim=-1).sum(dim=1) @ x


class OtherViT(nn.Module):
    def __init__(self, depth: int = 3) -> None:
        super().__init__()
        self.layers = nn.ModuleList(OtherAttention() for _ in range(depth))

    def forward(self, x):
        for layer in self.layers:
            x = x + layer(x=x)
        return x


def other_queries_keys(attention, x):
    q, k = attention.to_q(x), attention.to_kv(x)[..., :12]
    return (projected.unflatten(2, (2, 6)).transpose(1, 2) for projected in (q, k))


@torch.no_grad()
def test_attention_that_is_not_known_is_read_by_hand():
    vit, x = spread_out(OtherViT()).double(), torch.randn(2, 7, 12, dtype=torch.float64)
    by_hand = {"attentions": vit.layers, "read": other_queries_keys, "prefix": 2}
    with dcal.RolloutHooks.by_hand(vit, **by_hand) as hooks:
        vit(x)
    maps = []
    for layer in vit.layers:
        q, k = other_queries_keys(layer, x)
        maps.append((q @ k.mT / 6**0.5).softmax(dim=-1))
        x = x + layer(x)
    seen = hooks.rollout((1, 3))
    torch.testing.assert_close(seen.row, dcal.rollout_matrix(maps)[:, 0], rtol=1e-10, atol=1e-14)
    assert seen.cls_attention().shape == (2, 5)
    with pytest.raises(ValueError, match="grid is None"):
        seen.heatmap()


@pytest.mark.parametrize(
    "attentions",
    [lambda layers: [], lambda layers: [layers[0], None], lambda layers: [layers[0], layers[0]]],
    ids=["none", "no module", "one twice"],
)
def test_what_is_not_one_attention_a_block_is_refused_before_any_hook_is_set(attentions):
    vit = OtherViT()
    with pytest.raises(ValueError, match="one attention module a block"):
        dcal.RolloutHooks.by_hand(vit, attentions=attentions(vit.layers), read=other_queries_keys)


@torch.no_grad()
@pytest.mark.parametrize(
    ("read", "found"),
    [(lambda *_: None, "nothing"), (lambda _, x: (x, x), r"\(1, 7, 12\) and \(1, 7, 12\)")],
    ids=["nothing", "no heads"],
)
def test_what_is_read_by_hand_has_to_be_queries_and_keys_of_heads(read, found):
    vit = OtherViT()
    with (
        dcal.RolloutHooks.by_hand(vit, attentions=vit.layers, read=read),
        pytest.raises(ValueError, match=rf"\(Q, K\) of OtherAttention, .* found {found}"),
    ):
        vit(torch.rand(1, 7, 12))


def test_an_unknown_model_is_refused_with_what_was_found_what_is_known_and_the_way_by_hand():
    with pytest.raises(ValueError) as refused:
        dcal.RolloutHooks(OtherViT())
    for said in ("OtherViT", "3 OtherAttention", "torchvision's", "by_hand", "rollout_matrix"):
        assert said in str(refused.value)


def test_a_vit_of_timm_with_other_attention_is_refused():
    vit = small_backbone(depth=1)
    vit.blocks[0].attn = timm.layers.AttentionRope(48, 3)
    with pytest.raises(ValueError, match="found: 1 AttentionRope"):
        dcal.RolloutHooks(vit)


def test_a_vit_without_class_token_is_refused():
    with pytest.raises(ValueError, match="no class token"):
        dcal.RolloutHooks(small_backbone(class_token=False, global_pool="avg"))


def test_two_vits_in_a_model_are_refused():
    with pytest.raises(ValueError, match="2 vision transformers"):
        dcal.RolloutHooks(nn.ModuleList([timm_vit(), timm_vit()]))


def test_a_model_of_dcal_is_sent_to_dcals_own_function():
    with pytest.raises(ValueError, match=r"dcal\.rollout\(model, images\)"):
        dcal.RolloutHooks(small_dcal())


def test_reading_without_a_forward_pass_is_refused():
    with dcal.RolloutHooks(timm_vit()) as hooks, pytest.raises(ValueError, match="no forward pass of Vision"):
        hooks.rollout()


@torch.no_grad()
def test_a_pass_that_ended_half_way_is_not_mixed_with_the_one_before():
    vit = timm_vit()
    images = random_images(1)
    with dcal.RolloutHooks(vit) as hooks:
        vit(images)
        vit.blocks[2].register_forward_pre_hook(lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            vit(images)
    with pytest.raises(ValueError, match="no attention of block 3"):
        hooks.rollout()


def test_a_second_with_block_of_the_same_hooks_is_refused_and_the_first_lets_go():
    vit = timm_vit()
    hooks = dcal.RolloutHooks(vit)
    with hooks, pytest.raises(ValueError, match="listen to VisionTransformer already"), hooks:
        pass
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in vit.modules())


@torch.no_grad()
def test_a_mask_is_refused_since_the_rollout_would_not_have_it():
    vit = timm_vit()
    tokens, mask = torch.rand(1, 17, 48), torch.zeros(17, 17)
    with dcal.RolloutHooks(vit), pytest.raises(ValueError, match="mask"):
        vit.blocks[0].attn(tokens, attn_mask=mask)


@torch.no_grad()
def test_blocks_that_attend_among_different_tokens_are_refused():
    vit = OtherViT()
    with dcal.RolloutHooks.by_hand(vit, attentions=vit.layers[:2], read=other_queries_keys) as hooks:
        vit.layers[0](torch.rand(1, 7, 12))
        vit.layers[1](torch.rand(1, 5, 12))
    with pytest.raises(ValueError, match=r"different tokens.*\(1, 5\), \(1, 7\)"):
        hooks.rollout()


@torch.no_grad()
@pytest.mark.parametrize("layers", [(0, 2), (3, 2), (1, 4)])
def test_layers_that_are_none_are_refused_with_the_legal_range(layers):
    vit = timm_vit()
    with dcal.RolloutHooks(vit) as hooks:
        vit(random_images(1))
    with pytest.raises(ValueError, match=r"1 ≤ a ≤ b ≤ 3"):
        hooks.rollout(layers)
