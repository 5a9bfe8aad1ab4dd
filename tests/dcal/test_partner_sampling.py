"""Partners that depend on classes and features, within a batch, beside the same written out one by one."""

from collections import Counter

import pytest
import torch
from reference_options import nearest_first
from scipy.stats import chisquare
from small_cait import small_cait_dcal
from small_models import random_images, small_dcal
from small_swin import SIZES, small_swin_dcal

import dcal

LABELS = torch.tensor([0, 1, 0, 2, 1, 0, 2, 1])
FEATURES = torch.randn(8, 5, generator=torch.Generator().manual_seed(1))


def allowed(pairing, i):
    """Partner → its probability."""
    same = [j for j in range(8) if j != i and LABELS[j] == LABELS[i]]
    other = [j for j in range(8) if LABELS[j] != LABELS[i]]
    if pairing == "half":
        return dict.fromkeys(same, 0.5 / len(same)) | dict.fromkeys(other, 0.5 / len(other))
    if pairing == "mixed":
        ordered = nearest_first(FEATURES, LABELS.tolist(), i)
        return dict.fromkeys((ordered[0], ordered[-(-len(ordered) // 2) - 1], ordered[-1]), 1 / 3)
    chosen = same if pairing == "same" else other
    return dict.fromkeys(chosen, 1 / len(chosen))


@pytest.mark.parametrize("pairing", ["same", "other", "half", "mixed"])
def test_every_partner_that_is_allowed_is_drawn_as_often_as_it_should(pairing):
    """Chi-square on 600 draws from a fixed seed, for each of 8 images."""
    torch.manual_seed(0)
    drawn = torch.stack([dcal.sample_partners(pairing, LABELS, FEATURES) for _ in range(600)])
    for i in range(8):
        expected, found = allowed(pairing, i), Counter(drawn[:, i].tolist())
        assert set(found) == set(expected)
        counts, shares = zip(*((found[j], 600 * share) for j, share in expected.items()), strict=True)
        assert len(counts) == 1 or chisquare(counts, shares).pvalue > 1e-3


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_features_that_overflowed_pair_no_image_with_itself_or_its_class(value):
    labels = torch.tensor([0, 0, 1, 1])
    found = dcal.sample_partners("hardest", labels, torch.full((4, 3), value))
    assert (labels[found] != labels).all()


def test_the_hardest_is_the_nearest_image_of_another_class_and_nothing_is_drawn():
    before = torch.get_rng_state()
    found = dcal.sample_partners("hardest", LABELS, FEATURES)
    assert torch.equal(torch.get_rng_state(), before)
    assert found.tolist() == [nearest_first(FEATURES, LABELS.tolist(), i)[0] for i in range(8)]


@pytest.mark.parametrize(("others", "middle"), [(1, 0), (2, 0), (3, 1), (4, 1), (5, 2)])
def test_the_middle_of_n_is_the_nearer_one_where_there_are_two(others, middle):
    """Images on a line, the first of one class, the others of another, at distances 1, 2, …"""
    features, labels = torch.arange(others + 1.0)[:, None], torch.ones(others + 1, dtype=torch.long)
    labels[0] = 0
    torch.manual_seed(0)
    drawn = {dcal.sample_partners("mixed", labels, features)[0].item() for _ in range(60)}
    assert drawn == {1, 1 + middle, others}


def test_the_batchs_pairing_is_a_derangement():
    torch.manual_seed(0)
    partner = dcal.sample_partners("batch", LABELS)
    assert sorted(partner.tolist()) == list(range(8))
    assert (partner != torch.arange(8)).all()


@pytest.mark.parametrize(
    ("pairing", "labels", "why"),
    [
        ("same", [0, 0, 1], "another image of its class: image 2 of a batch of 3 images of 2 classes"),
        ("half", [0, 0, 1], "another image of its class: image 2"),
        ("half", [0, 0, 0], "an image of another class: image 0"),
        ("other", [3, 3], "an image of another class: image 0 of a batch of 2 images of 1 classes"),
        ("hardest", [3, 3], "an image of another class"),
        ("mixed", [3], "an image of another class"),
        ("batch", [3], "batch of 1"),
        ("loader", [0, 1], "draws from the training set"),
        ("nearest", [0, 1], "expected one of batch"),
    ],
)
def test_an_image_without_a_partner_is_refused(pairing, labels, why):
    with pytest.raises(ValueError, match=why):
        dcal.sample_partners(pairing, torch.tensor(labels), torch.randn(len(labels), 2))


@pytest.mark.parametrize("features", [None, torch.zeros(3, 2)])
def test_distances_need_features_of_every_image(features):
    with pytest.raises(ValueError, match="needs features of 2 images"):
        dcal.sample_partners("hardest", torch.tensor([0, 1]), features)


# ---- in the model -------------------------------------------------------------------------------------------

FAMILIES = {
    "vit": (small_dcal, 12, 32),
    "cait": (small_cait_dcal, 6, 32),
    "swin": (lambda **settings: small_swin_dcal(SIZES["tall"], **settings), 8, SIZES["tall"]),
}


@pytest.mark.parametrize("family", FAMILIES)
def test_the_model_pairs_by_its_features_of_inference(family):
    """Outputs are those with the partners that a forward pass in eval mode gives; stochastic depth is on, but draws
    nothing for finding them."""
    build, blocks, size = FAMILIES[family]
    model = build(drop_path=0.3, pwca=dcal.PWCASettings(pairing="hardest", blocks=blocks))
    images, labels = random_images(8, size), LABELS
    with torch.no_grad():
        features = model.eval()(images).sa.feature
    partner = torch.tensor([nearest_first(features, labels.tolist(), i)[0] for i in range(8)])
    model.train()
    torch.manual_seed(2)
    found = model(images, labels=labels)
    torch.manual_seed(2)
    expected = model(images, partner=partner)
    for name, branch in expected.branches().items():
        assert torch.equal(found.branches()[name].logits, branch.logits)
    assert all(module.training for module in model.modules())


def test_modules_that_were_in_eval_mode_stay_there():
    model = small_dcal(pwca=dcal.PWCASettings(pairing="mixed"))
    model.backbone.vit.blocks[3].eval()
    model(random_images(8), labels=LABELS)
    assert [block.training for block in model.backbone.vit.blocks] == [l != 3 for l in range(12)]
    assert model.backbone.vit.norm.training


@pytest.mark.parametrize("labels", [None, torch.tensor([0, 1])])
def test_pairing_by_features_without_every_images_label_is_refused(labels):
    model = small_dcal(pwca=dcal.PWCASettings(pairing="hardest"))
    with pytest.raises(ValueError, match=r"pairing='hardest' needs labels of shape \(3,\)"):
        model(random_images(3), labels=labels)


@pytest.mark.parametrize("pairing", ["same", "other", "half"])
def test_pairings_from_the_training_set_take_a_second_batch(pairing):
    images, second = random_images(2), random_images(2, seed=5)
    model, loader = (small_dcal(pwca=dcal.PWCASettings(pairing=name)) for name in (pairing, "loader"))
    found = model(images, partner_images=second).pwca.logits
    assert torch.equal(found, loader(images, partner_images=second).pwca.logits)
    with pytest.raises(ValueError, match=f"pairing='{pairing}' needs partner_images"):
        model(images)
