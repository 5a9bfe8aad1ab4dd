"""GLCA's and PWCA's attention on given embeddings: Eq. 3 and Eq. 4 literally, in float64."""

import pytest
import torch
from small_models import random_images, small_backbone, spread_out

import dcal

D, H = 12, 3


def module(kind, **arguments):
    return spread_out(kind(D, H, **arguments), seed=3).double()


def tokens(count, seed, batch=2):
    return torch.randn(batch, count, D, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def attended(attention, x_q, x_kv):
    """softmax(QKᵀ/√d)V of one image, query by query and head by head, through the output projection."""
    W, b, d = attention.qkv.weight, attention.qkv.bias, D // H
    out = torch.zeros(len(x_q), D, dtype=torch.float64)
    for h in range(H):
        q_of, k_of, v_of = (slice(part * D + h * d, part * D + (h + 1) * d) for part in range(3))
        K = [W[k_of] @ x + b[k_of] for x in x_kv]
        V = [W[v_of] @ x + b[v_of] for x in x_kv]
        for i, x in enumerate(x_q):
            e = [torch.exp((W[q_of] @ x + b[q_of]) @ key / d**0.5) for key in K]
            out[i, h * d : (h + 1) * d] = sum(e_j * v_j for e_j, v_j in zip(e, V, strict=True)) / sum(e)
    return torch.stack([attention.proj.weight @ x + attention.proj.bias for x in out])


@torch.no_grad()
def test_global_local_attention_is_eq_3_of_the_class_token_and_the_top_patches():
    glca, x = module(dcal.GlobalLocalCrossAttention, ratio=0.4), tokens(6, seed=0)
    response = torch.tensor([[9.0, 0.1, 0.5, 0.2, 0.4, 0.3], [0.0, 0.1, 0.2, 0.3, 0.4, 0.5]])
    found = glca(x, response)
    for image, local in enumerate([[0, 2, 4], [0, 5, 4]]):
        expected = attended(glca.attention, x[image, local], x[image])
        torch.testing.assert_close(found[image], expected, rtol=1e-12, atol=1e-13)


@torch.no_grad()
def test_global_local_attention_takes_a_rollout_with_more_tokens_in_front():
    glca, x = module(dcal.GlobalLocalCrossAttention, ratio=0.5), tokens(6, seed=0, batch=1)
    rollout = dcal.Rollout(torch.tensor([[9.0, 8.0, 0.1, 0.4, 0.2, 0.3]]), (1, 11), prefix=2)
    expected = attended(glca.attention, x[0, [0, 3, 5]], x[0])
    torch.testing.assert_close(glca(x, rollout)[0], expected, rtol=1e-12, atol=1e-13)


@torch.no_grad()
def test_pair_wise_attention_in_training_is_eq_4():
    pwca, first, second = module(dcal.PairWiseCrossAttention).train(), tokens(5, seed=0), tokens(5, seed=1)
    found = pwca(first, second)
    for image in range(2):
        both = torch.cat([first[image], second[image]])
        expected = attended(pwca.attention, first[image], both)
        torch.testing.assert_close(found[image], expected, rtol=1e-12, atol=1e-13)


@torch.no_grad()
@pytest.mark.parametrize("second", [None, tokens(5, seed=1)], ids=["alone", "with a second"])
def test_pair_wise_attention_in_eval_mode_is_the_first_images_self_attention(second):
    pwca, first = module(dcal.PairWiseCrossAttention).eval(), tokens(5, seed=0)
    found = pwca(first, second)
    for image in range(2):
        expected = attended(pwca.attention, first[image], first[image])
        torch.testing.assert_close(found[image], expected, rtol=1e-12, atol=1e-13)


def test_pwca_can_share_a_vits_weights_and_then_equals_its_attention_in_eval_mode():
    vit = spread_out(small_backbone()).eval()
    pwca = dcal.PairWiseCrossAttention(48, 3).eval()
    pwca.attention = vit.blocks[3].attn
    x = vit.blocks[3].norm1(vit.patch_embed(random_images(2)))
    torch.testing.assert_close(pwca(x), vit.blocks[3].attn(x))
    pwca.train()(x, x.flip(0)).sum().backward()
    assert vit.blocks[3].attn.qkv.weight.grad.abs().sum() > 0


def test_gradients_reach_both_images_and_every_projection():
    pwca, first, second = module(dcal.PairWiseCrossAttention), tokens(5, seed=0), tokens(5, seed=1)
    pwca(first.requires_grad_(), second.requires_grad_())[:, 0].pow(2).sum().backward()
    given = [first, second, pwca.attention.qkv.weight, pwca.attention.proj.weight]
    assert all(value.grad.abs().sum() > 0 for value in given)


@pytest.mark.parametrize("second", [None, tokens(4, seed=1)], ids=["none", "of another size"])
def test_pwca_without_its_second_image_is_refused_in_training(second):
    with pytest.raises(ValueError, match=r"\(2, 5, 12\).*found (none|\(2, 4, 12\))"):
        module(dcal.PairWiseCrossAttention)(tokens(5, seed=0), second)


def test_a_response_to_other_tokens_is_refused():
    with pytest.raises(ValueError, match=r"\(2, 5\): expected .*\(2, 6\)"):
        module(dcal.GlobalLocalCrossAttention)(tokens(6, seed=0), torch.rand(2, 5))


@pytest.mark.parametrize("kind", [dcal.GlobalLocalCrossAttention, dcal.PairWiseCrossAttention])
@pytest.mark.parametrize("heads", [5, 0])
def test_heads_that_do_not_divide_the_embeddings_are_refused(kind, heads):
    with pytest.raises(ValueError, match=f"{heads} heads for embeddings of 12: expected a divisor"):
        kind(12, heads)
