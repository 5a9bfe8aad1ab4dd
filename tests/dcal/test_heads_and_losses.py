"""Heads, losses and the prediction from both branches."""

import math

import pytest
import reference
import torch
from small_models import random_images, small_dcal
from torch.nn import functional as F

import dcal
from dcal.heads import BNNeck

# ---- uncertainty weighting --------------------------------------------------------------------------------


def test_total_loss_and_its_gradients_by_hand():
    """L = ½ Σ (e^{−w} L + w); ∂L/∂L_b = ½ e^{−w_b}; ∂L/∂w_b = ½ (1 − e^{−w_b} L_b)."""
    weighting = dcal.UncertaintyWeighting(("sa", "glca", "pwca")).double()
    with torch.no_grad():
        weighting.w.copy_(torch.tensor([0.5, -1.0, 2.0]))
    losses = {
        name: torch.tensor(value, dtype=torch.float64, requires_grad=True)
        for name, value in (("pwca", 7.0), ("sa", 2.0), ("glca", 3.0))  # the order given does not matter
    }
    total = weighting(losses)
    total.backward()
    by_hand = 0.5 * (2 * math.exp(-0.5) + 3 * math.exp(1.0) + 7 * math.exp(-2.0) + 0.5 - 1.0 + 2.0)
    assert total.item() == pytest.approx(by_hand, abs=1e-12)
    for name, w, value in (("sa", 0.5, 2.0), ("glca", -1.0, 3.0), ("pwca", 2.0, 7.0)):
        assert losses[name].grad.item() == pytest.approx(0.5 * math.exp(-w), abs=1e-12)
        index = weighting.branches.index(name)
        assert weighting.w.grad[index].item() == pytest.approx(0.5 * (1 - math.exp(-w) * value), abs=1e-12)


@pytest.mark.parametrize("initial", [0.0, -1.85])
def test_w_starts_where_it_is_told_to(initial):
    weighting = dcal.UncertaintyWeighting(("sa", "pwca"), initial=initial)
    assert weighting.weights() == pytest.approx({"sa": initial, "pwca": initial})


def test_w_moves_under_the_optimizer_and_does_not_decay():
    """At L_b = e^{w_b} the gradient of w_b is 0: in a group without decay it stays put, elsewhere it moves."""
    weighting = dcal.UncertaintyWeighting(("sa", "glca", "pwca"), initial=1.0)
    optimizer = torch.optim.AdamW(
        [{"params": weighting.parameters(), "weight_decay": 0.0}], lr=0.1, weight_decay=0.05
    )
    weighting({"sa": torch.tensor(math.e), "glca": torch.tensor(9.0), "pwca": torch.tensor(0.1)}).backward()
    with torch.no_grad():
        weighting.w.grad[0] = 0.0  # exactly, not to rounding, which Adam would blow up
    optimizer.step()
    w = weighting.weights()
    assert w["sa"] == 1.0
    assert w["glca"] == pytest.approx(1.1, abs=1e-4)
    assert w["pwca"] == pytest.approx(0.9, abs=1e-4)


def test_a_single_branch_is_plain_l_sa_without_any_w():
    weighting = dcal.UncertaintyWeighting(("sa",))
    loss = torch.tensor(2.5)
    assert weighting({"sa": loss}) is loss
    assert list(weighting.parameters()) == []
    assert weighting.weights() == {}


@pytest.mark.parametrize("given", [("sa",), ("sa", "pwca"), ("sa", "glca", "pwca")])
def test_losses_of_other_branches_than_weighted_are_refused(given):
    weighting = dcal.UncertaintyWeighting(("sa", "glca"))
    with pytest.raises(ValueError, match="the weighting is over"):
        weighting({name: torch.tensor(1.0) for name in given})


def test_a_weighting_over_no_branch_is_refused():
    with pytest.raises(ValueError, match="at least one branch"):
        dcal.UncertaintyWeighting(())


@pytest.mark.parametrize(
    ("settings", "names"),
    [
        ({}, ("sa",)),
        ({"glca": dcal.GLCASettings()}, ("sa", "glca")),
        ({"pwca": dcal.PWCASettings()}, ("sa", "pwca")),
        ({"glca": dcal.GLCASettings(), "pwca": dcal.PWCASettings()}, ("sa", "glca", "pwca")),
    ],
)
def test_the_branches_that_are_weighted_are_those_the_model_trains(settings, names):
    model = small_dcal(**settings)
    assert model.branch_names == names
    assert tuple(model(random_images(2)).branches()) == names


# ---- triplet loss -----------------------------------------------------------------------------------------


def test_triplet_loss_and_gradient_equal_the_literal_loop():
    """12 features of 3 identities, float32 against float64: 1e-5."""
    labels = torch.tensor([0, 1, 2, 0, 1, 2, 0, 0, 1, 1, 2, 2])
    features = torch.randn(12, 8, generator=torch.Generator().manual_seed(0)).requires_grad_()
    exact = features.detach().double().requires_grad_()
    loss = dcal.soft_margin_triplet(features, labels)
    expected = reference.soft_margin_triplet(exact, labels.tolist())
    loss.backward()
    expected.backward()
    assert loss.item() == pytest.approx(expected.item(), abs=1e-5)
    torch.testing.assert_close(features.grad.double(), exact.grad, rtol=0, atol=1e-5)


def test_triplet_loss_keeps_float32_under_bfloat16_autocast():
    """Distances of about 100 that differ by 0.01: bfloat16 keeps steps of 0.5 there."""
    labels = torch.tensor([0, 0, 1, 1])
    features = torch.tensor([[0.0, 0.0], [100.0, 0.0], [0.0, 100.01], [100.0, 100.0]])
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = dcal.soft_margin_triplet(features, labels)
    assert loss.dtype == torch.float32
    exact = reference.soft_margin_triplet(features.double(), labels.tolist()).item()
    assert loss.item() == pytest.approx(exact, abs=1e-5)


def test_triplet_gradient_is_finite_where_two_images_coincide():
    features = torch.tensor([[1.0, 2.0], [1.0, 2.0], [3.0, 1.0], [3.0, 1.0]], requires_grad=True)
    dcal.soft_margin_triplet(features, torch.tensor([0, 0, 1, 1])).backward()
    assert features.grad.isfinite().all()


@pytest.mark.parametrize("labels", [[0, 0, 0, 0], [0, 1, 2, 3], [0, 0, 0, 1]])
def test_batches_without_a_positive_or_a_negative_for_every_anchor_are_refused(labels):
    with pytest.raises(ValueError, match="use P×K sampling"):
        dcal.soft_margin_triplet(torch.randn(4, 3), torch.tensor(labels))


# ---- heads ------------------------------------------------------------------------------------------------


def statistics(neck: torch.nn.BatchNorm1d) -> tuple:
    return neck.running_mean.tolist(), neck.running_var.tolist(), neck.num_batches_tracked.item()


def test_pwca_normalises_by_its_batch_and_leaves_the_running_statistics():
    head = BNNeck(6, 3).train()
    before = statistics(head.neck)
    feature = 3 + 2 * torch.randn(16, 6, generator=torch.Generator().manual_seed(0))
    found = head(feature, keep_statistics=True)
    assert statistics(head.neck) == before
    expected = head(feature)
    torch.testing.assert_close(found.logits, expected.logits, rtol=0, atol=1e-6)
    assert statistics(head.neck) != before


@pytest.mark.parametrize("pairing", ["batch", "loader"])
def test_a_training_step_moves_the_running_statistics_once_by_the_self_attention_features(pairing):
    model = small_dcal(head="bnneck", glca=dcal.GLCASettings(), pwca=dcal.PWCASettings(pairing=pairing))
    distractors = {"partner_images": random_images(4, seed=8)} if pairing == "loader" else {}
    outputs = model(random_images(4), **distractors)
    for head, branch in ((model.sa_head, outputs.sa), (model.glca_head, outputs.glca)):
        assert head.neck.num_batches_tracked.item() == 1
        torch.testing.assert_close(
            head.neck.running_mean, 0.1 * branch.feature.mean(dim=0), rtol=0, atol=1e-6
        )
        moved = 0.9 + 0.1 * branch.feature.var(dim=0)
        torch.testing.assert_close(head.neck.running_var, moved, rtol=1e-5, atol=1e-6)


def test_bnneck_has_a_frozen_bias_of_0_and_a_classifier_without_bias():
    head = BNNeck(64, 50)
    assert not head.neck.bias.requires_grad
    assert head.neck.bias.eq(0).all()
    assert head.neck.weight.requires_grad
    assert head.classifier.bias is None
    assert head.classifier.weight.std().item() == pytest.approx(0.001, rel=0.1)


def test_the_feature_of_a_bnneck_is_taken_before_the_neck():
    feature = 5 + torch.randn(8, 6)
    assert BNNeck(6, 3).train()(feature).feature is feature


def test_linear_classifier_starts_as_timms():
    head = dcal.build("small_vit.test", 200, image_size=32, weights="random").sa_head
    assert head.classifier.weight.std().item() == pytest.approx(0.02, rel=0.1)
    assert head.classifier.weight.abs().max() > 0.04  # "truncated" at ±2, not at ±2 standard deviations
    assert head.classifier.bias.eq(0).all()


# ---- prediction -------------------------------------------------------------------------------------------


def outputs(sa: list, glca: list | None) -> dcal.Outputs:
    def branch(rows: list) -> dcal.Branch:
        values = torch.tensor(rows)
        return dcal.Branch(values, values)

    return dcal.Outputs(branch(sa), None if glca is None else branch(glca))


def test_probabilities_are_added_and_not_logits():
    """SA gives class 0 a probability of 0.94, GLCA none, by a logit far below zero: added probabilities elect class
    0, added logits would elect class 1."""
    result = outputs([[4.0, 1.0, 0.0]], [[-9.0, 1.0, 1.5]])
    scores = dcal.class_scores(result)
    expected = result.sa.logits.softmax(dim=1) + result.glca.logits.softmax(dim=1)
    torch.testing.assert_close(scores["both"], expected)
    torch.testing.assert_close(scores["sa"].sum(dim=1), torch.ones(1))
    torch.testing.assert_close(scores["glca"].sum(dim=1), torch.ones(1))
    logits = result.sa.logits + result.glca.logits
    assert logits.argmax(dim=1).item() == 1
    assert scores["both"].argmax(dim=1).item() == 0


def test_without_glca_the_prediction_is_the_self_attention_branchs():
    result = outputs([[2.0, 1.0]], None)
    scores = dcal.class_scores(result)
    assert sorted(scores) == ["both", "sa"]
    assert torch.equal(scores["both"], scores["sa"])
    features = dcal.retrieval_features(result)
    assert sorted(features) == ["both", "sa"]
    assert torch.equal(features["both"], features["sa"])


def test_retrieval_feature_is_the_normalised_concatenation_of_both_class_tokens():
    result = outputs([[3.0, 0.0]], [[0.0, 4.0]])
    features = dcal.retrieval_features(result)
    torch.testing.assert_close(features["both"], torch.tensor([[0.6, 0.0, 0.0, 0.8]]))
    torch.testing.assert_close(features["sa"], torch.tensor([[1.0, 0.0]]))
    torch.testing.assert_close(features["glca"], torch.tensor([[0.0, 1.0]]))


def test_retrieval_reads_the_feature_before_the_neck():
    model = small_dcal(head="bnneck", glca=dcal.GLCASettings()).eval()
    with torch.no_grad():
        model.sa_head.neck.running_mean.fill_(9.0)
        result = model(random_images(2))
        sa = model.backbone.plain_feature(random_images(2))
    torch.testing.assert_close(dcal.retrieval_features(result)["sa"], F.normalize(sa), rtol=0, atol=1e-5)
