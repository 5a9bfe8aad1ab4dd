"""Noise on pixels, in labels, and as keys and values, in PWCA's place."""

from functools import partial

import pytest
import reference_options
import torch
from literal_step import compare_step
from reference_options import RegularisedSetup
from scipy.stats import binomtest, chisquare
from small_cait import L as CAIT_BLOCKS
from small_cait import small_cait_dcal
from small_models import random_images, small_dcal
from small_swin import SIZES, small_swin_dcal

import dcal
from dcal import pwca
from dcal.pwca import noise_like, noisy_images, noisy_labels

SETUPS = {
    "kv_noise": RegularisedSetup(T=12),
    "kv_noise, last 5": RegularisedSetup(T=5),
    "kv_noise, last, bnneck": RegularisedSetup(T=1, head="bnneck"),
    "image_noise": RegularisedSetup(T=12, regulariser="image_noise", noise=0.5),
    "image_noise, bnneck": RegularisedSetup(T=12, regulariser="image_noise", noise=1.0, head="bnneck"),
    "label_noise": RegularisedSetup(T=12, regulariser="label_noise"),
}
IN_PLACE = ("image_noise", "label_noise", "kv_noise")


def settings(regulariser, blocks=12, **more):
    return dcal.PWCASettings(regulariser=regulariser, blocks=blocks, **more)


def drawn_noise(setup):
    """What a step of four images draws, by image."""
    if setup.regulariser == "image_noise":
        return torch.randn(4, 3, 32, 32, dtype=torch.float64)
    if setup.regulariser == "label_noise":
        return [None] * 4
    shape = (2, 4, setup.heads, 17, 16)  # K2 then V2; images, heads, tokens, width
    blocks = [
        torch.stack([torch.randn(shape[1:], dtype=torch.float64) for _ in range(2)]) for _ in range(setup.T)
    ]
    return [[(keys[i], values[i]) for keys, values in blocks] for i in range(4)]


@pytest.mark.parametrize("name", SETUPS)
def test_training_step_with_noise_in_pwcas_place_equals_the_equations_in_float64(name):
    """Features, logits, total loss, gradients of all parameters and of w, for the same draws: within 1e-9."""
    setup = SETUPS[name]
    model = small_dcal(head=setup.head, pwca=settings(setup.regulariser, setup.T, noise=setup.noise))
    torch.manual_seed(7)
    drawn = drawn_noise(setup)
    torch.manual_seed(7)
    compare_step(model, partial(reference_options.forward, drawn=drawn), setup, {}, torch.float64, 1e-9)


OTHER_FAMILIES = {
    "cait": (lambda pwca: small_cait_dcal(pwca=pwca), CAIT_BLOCKS, 32),
    "swin": (lambda pwca: small_swin_dcal(pwca=pwca), 8, SIZES["filled"]),
}


@pytest.mark.parametrize("blocks", ["all", 1])
@pytest.mark.parametrize("family", OTHER_FAMILIES)
def test_noise_that_were_the_own_keys_and_values_is_self_attention_in_other_families(
    family, blocks, monkeypatch
):
    """Twice the same keys share the softmax evenly. Real noise is something else."""
    build, depth, size = OTHER_FAMILIES[family]
    model = build(settings("kv_noise", depth if blocks == "all" else blocks)).double()
    for block in model.backbone.blocks:
        if hasattr(block.attn, "proj_w"):  # CaiT's mixing adds its bias for each key once more
            torch.nn.init.zeros_(block.attn.proj_w.bias)
    images = random_images(3, size).double()
    torch.manual_seed(0)
    noisy = model(images)
    monkeypatch.setattr(pwca, "noise_like", lambda tokens: tokens)
    own = model(images)
    assert (own.pwca.feature - own.sa.feature).abs().max() < 1e-12
    assert (noisy.pwca.feature - noisy.sa.feature).abs().max() > 1e-3
    assert torch.equal(noisy.sa.feature, own.sa.feature)


@pytest.mark.parametrize("regulariser", ["image_noise", "label_noise"])
@pytest.mark.parametrize("family", OTHER_FAMILIES)
def test_other_families_take_noise_on_images_and_labels_through_their_plain_blocks(family, regulariser):
    build, depth, size = OTHER_FAMILIES[family]
    model = build(settings(regulariser, depth, noise=0.5)).double()
    images = random_images(3, size).double()
    torch.manual_seed(3)
    found = model(images).pwca.feature
    torch.manual_seed(3)
    second = noisy_images(images, 0.5) if regulariser == "image_noise" else images
    torch.testing.assert_close(found, model.backbone.plain_feature(second), rtol=1e-10, atol=1e-10)


@torch.no_grad()
def test_the_second_stream_of_label_noise_drops_paths_of_its_own():
    same, other = (
        small_dcal(drop_path=rate, pwca=settings("label_noise"))(random_images(4)) for rate in (0.0, 0.5)
    )
    torch.testing.assert_close(same.pwca.feature, same.sa.feature)
    assert (other.pwca.feature - other.sa.feature).abs().max() > 0.1


@pytest.mark.parametrize("regulariser", IN_PLACE)
def test_in_eval_mode_nothing_is_left_of_it_and_nothing_is_drawn(regulariser):
    glca = dcal.GLCASettings()
    model, plain = (small_dcal(glca=glca, pwca=pwca).eval() for pwca in (settings(regulariser), None))
    before, images = torch.get_rng_state(), random_images(2)
    found, expected = model(images), plain(images)
    assert torch.equal(torch.get_rng_state(), before)
    assert list(found.branches()) == ["sa", "glca"]
    for name, branch in expected.branches().items():
        assert torch.equal(found.branches()[name].logits, branch.logits)
    assert list(model.state_dict()) == list(plain.state_dict())


@pytest.mark.parametrize("regulariser", IN_PLACE)
def test_self_attention_and_glca_see_nothing_of_the_noise(regulariser):
    glca = dcal.GLCASettings()
    model, plain = (small_dcal(glca=glca, pwca=pwca) for pwca in (settings(regulariser), None))
    images = random_images(3)
    found = model(images).branches()
    assert list(found) == ["sa", "glca", "pwca"]
    for name, branch in plain(images).branches().items():
        torch.testing.assert_close(found[name].logits, branch.logits, rtol=0, atol=1e-5)


@pytest.mark.parametrize("regulariser", ["image_noise", "label_noise"])
def test_a_second_stream_through_some_blocks_alone_is_refused(regulariser):
    with pytest.raises(ValueError, match=r"all 12 blocks: T = 5 has no meaning for it, give T = 12"):
        small_dcal(pwca=settings(regulariser, 5))


@pytest.mark.parametrize("given", ["partner", "partner_images"])
def test_partners_where_noise_distracts_are_refused(given):
    model, images = small_dcal(pwca=settings("kv_noise")), random_images(2)
    with pytest.raises(ValueError, match="'kv_noise' pairs no images"):
        model(images, **{given: torch.tensor([1, 0]) if given == "partner" else images})


def test_noise_takes_a_batch_of_one():
    assert small_dcal(pwca=settings("kv_noise"))(random_images(1)).pwca.logits.shape == (1, 5)


@pytest.mark.parametrize("noise", [0.0, -0.1, 1.1])
def test_noise_outside_0_to_1_is_refused(noise):
    with pytest.raises(ValueError, match="noise is a share"):
        settings("image_noise", noise=noise)


# ---- what is drawn ------------------------------------------------------------------------------------------


def test_noise_has_mean_and_deviation_of_each_image_head_and_channel_and_no_gradient():
    """Of 40,000 tokens each, means within 5 and deviations within 5 of their standard errors."""
    torch.manual_seed(0)
    shift, spread = torch.randn(2, 3, 1, 4), 0.5 + torch.rand(2, 3, 1, 4)
    tokens = (shift + spread * torch.randn(2, 3, 40_000, 4)).requires_grad_()
    noise = noise_like(tokens)
    assert not noise.requires_grad
    mean, deviation = tokens.detach().mean(2), tokens.detach().std(2)
    assert ((noise.mean(2) - mean).abs() < 5 * deviation / 200).all()
    assert ((noise.std(2) / deviation - 1).abs() < 5 / (2 * 40_000) ** 0.5).all()
    correlation = torch.corrcoef(torch.stack([noise[0, 0, :, 0], tokens.detach()[0, 0, :, 0]]))[0, 1]
    assert abs(correlation) < 5 / 200  # drawn, not copied
    assert noise_like(tokens.bfloat16()).dtype == torch.bfloat16


def test_pixels_get_noise_of_the_standard_deviation_asked_for():
    torch.manual_seed(0)
    images = random_images(4, 64)
    noise = noisy_images(images, 0.3) - images
    assert abs(noise.std().item() / 0.3 - 1) < 5 / (2 * noise.numel()) ** 0.5
    assert abs(noise.mean().item()) < 5 * 0.3 / noise.numel() ** 0.5


def test_a_share_of_the_labels_is_any_other_class_with_equal_chance():
    torch.manual_seed(0)
    labels = torch.arange(5).repeat(2000)
    noisy = noisy_labels(labels, 5, 0.3)
    wrong = noisy != labels
    assert binomtest(int(wrong.sum()), len(labels), 0.3).pvalue > 0.01
    steps = (noisy - labels)[wrong] % 5
    assert chisquare(torch.bincount(steps, minlength=5)[1:]).pvalue > 0.01
    assert torch.equal(labels, torch.arange(5).repeat(2000))


def test_with_all_labels_wrong_none_is_right():
    labels = torch.arange(1000) % 7
    assert (noisy_labels(labels, 7, 1.0) != labels).all()


def test_one_class_has_no_other():
    with pytest.raises(ValueError, match="another class"):
        noisy_labels(torch.zeros(3, dtype=torch.long), 1, 0.5)


# ---- triplets of labels that are wrong on purpose -----------------------------------------------------------


@pytest.mark.parametrize(
    ("labels", "counting"),
    [([0, 0, 1, 1, 2, 3], [0, 1, 2, 3]), ([0, 0, 0, 1], [0, 1, 2]), ([0, 0, 1, 1], [0, 1, 2, 3])],
)
def test_anchors_without_a_positive_count_nowhere(labels, counting):
    """The mean of log(1 + e^{d_p − d_n}) over the others."""
    features = torch.randn(len(labels), 4, generator=torch.Generator().manual_seed(0))
    terms = []
    for a in counting:
        to = [(features[a] - features[b]).norm() for b in range(len(labels))]
        positive = max(to[b] for b in range(len(labels)) if b != a and labels[b] == labels[a])
        negative = min(to[b] for b in range(len(labels)) if labels[b] != labels[a])
        terms.append(torch.log(1 + torch.exp(positive - negative)))
    found = dcal.soft_margin_triplet(features, torch.tensor(labels), noisy=True)
    torch.testing.assert_close(found, sum(terms) / len(terms))
    if len(counting) == len(labels):
        torch.testing.assert_close(found, dcal.soft_margin_triplet(features, torch.tensor(labels)))


@pytest.mark.parametrize("labels", [[0, 1, 2], [0, 0, 0]], ids=["no positive", "no negative"])
def test_without_any_triplet_the_loss_and_its_gradient_are_0(labels):
    features = torch.randn(3, 4, requires_grad=True)
    loss = dcal.soft_margin_triplet(features, torch.tensor(labels), noisy=True)
    loss.backward()
    assert loss == 0
    assert torch.equal(features.grad, torch.zeros(3, 4))
    with pytest.raises(ValueError, match="at least two images"):
        dcal.soft_margin_triplet(features, torch.tensor(labels))
