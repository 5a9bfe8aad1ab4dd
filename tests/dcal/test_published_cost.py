"""What GLCA adds to a backbone, counted on the real modules, against the paper's whole percentages.

Published: +9 % parameters and +2 % multiply-adds on DeiT-Tiny for CUB (448², 200 classes, R = 0.1), +8 % and +3 %
on ViT-Base for VeRi-776 (256², R = 0.3, classifier not counted). The published figure holds GLCA's block, norm and
classifier. It does not hold the rollout, which computes the scores QKᵀ of blocks 1 … 11 a second time because the
fused attention keeps none: see `test_rollout_is_not_in_the_published_figure`.
"""

import pytest
import torch

import dcal
from benchmark.timing.counting import glca_cost, multiply_adds, on_meta
from dcal import model as dcal_model
from dcal.backbones import vit

# tag, classes, input, R, classifier counted
CUB = ("deit_tiny_patch16_224.fb_in1k", 200, 448, 0.1, True)
VERI = ("vit_base_patch16_224.orig_in21k", 576, 256, 0.3, False)


PUBLISHED = {CUB: (9, 2), VERI: (8, 3)}  # % of parameters and of multiply-adds
HEADS_AND_TOKENS = {CUB: (3, 785), VERI: (12, 257)}
ROLLOUT = {CUB: 18.6, VERI: 2.4}  # % of multiply-adds


@pytest.fixture(scope="module", params=[CUB, VERI], ids=["cub", "veri"])
def counted(request):
    """The model, and what GLCA costs there."""
    tag, classes, size, ratio, classifier = request.param
    settings = dcal.GLCASettings(ratio=ratio)
    return request.param, glca_cost(tag, classes, (size, size), settings, classifier=classifier)


def test_glca_adds_the_published_share_of_parameters(counted):
    """Measured: +8.52 % on CUB, +8.26 % on VeRi-776."""
    model, cost = counted
    assert round(100 * cost.added_parameters / cost.parameters) == PUBLISHED[model][0]


def test_glca_adds_the_published_share_of_multiply_adds(counted):
    """Measured: +1.56 % on CUB, +3.40 % on VeRi-776."""
    model, cost = counted
    assert round(100 * cost.added_multiply_adds / cost.multiply_adds) == PUBLISHED[model][1]


def test_rollout_is_not_in_the_published_figure(counted):
    """What the class token's rollout over 11 blocks adds: 18.6 % of DeiT-Tiny's multiply-adds at 448², 2.4 % of
    ViT-Base's at 256². Nearly all of it is QKᵀ once more, (N+1)²·D a block; the row itself is (N+1)²·H."""
    model, cost = counted
    heads, tokens = HEADS_AND_TOKENS[model]
    assert cost.rollout_multiply_adds == 11 * tokens**2 * heads * (64 + 1)
    assert 100 * cost.rollout_multiply_adds / cost.multiply_adds == pytest.approx(ROLLOUT[model], abs=0.05)


def all_tokens_through_the_last_block(monkeypatch):
    """timm's own forward, which is the baseline's, takes all tokens through the last block; DCAL computes the one row
    that is read."""
    run = vit.encoder_block
    monkeypatch.setattr(vit, "encoder_block", lambda block, x, pairs, **_: run(block, x, pairs))


@torch.no_grad()
@pytest.mark.parametrize(("last", "times"), [("the class token's row", 1.127), ("all tokens", 1.202)])
def test_multiply_adds_of_dcal_in_eval_mode_in_baselines(last, times, monkeypatch):
    """DeiT-Tiny at 448² on one image, the real forward: the baseline, GLCA and the rollout."""
    if last == "all tokens":
        all_tokens_through_the_last_block(monkeypatch)
    tag, classes, size, ratio = CUB[:4]
    baseline, _ = on_meta(tag, classes, (size, size), dcal.GLCASettings(ratio=ratio))
    model = dcal.build(
        tag,
        classes,
        image_size=size,
        weights="random",
        glca=dcal.GLCASettings(ratio=ratio),
        pwca=dcal.PWCASettings(),
    )
    base = multiply_adds(lambda: baseline(torch.empty(1, 3, size, size, device="meta")))
    full = multiply_adds(lambda: model.eval()(torch.zeros(1, 3, size, size)))
    assert full / base == pytest.approx(times, abs=0.001)


OPTIONS = {  # name → (settings, multiply-adds of a training step in the baseline's)
    "PWCA": ({"pwca": dcal.PWCASettings()}, 2.20),
    "kv_noise": ({"pwca": dcal.PWCASettings(regulariser="kv_noise")}, 2.20),
    "image_noise": ({"pwca": dcal.PWCASettings(regulariser="image_noise")}, 1.85),
    "label_noise": ({"pwca": dcal.PWCASettings(regulariser="label_noise")}, 1.85),
    "hardest": ({"pwca": dcal.PWCASettings(pairing="hardest")}, 2.53),
    "mixed": ({"pwca": dcal.PWCASettings(pairing="mixed")}, 2.53),
    "GLCA": ({"glca": dcal.GLCASettings()}, 1.004),
    "attention": ({"glca": dcal.GLCASettings(select="attention")}, 0.94),
    "local keys": ({"glca": dcal.GLCASettings(keys="local")}, 0.99),
}


def step_on_meta(settings, monkeypatch):
    """Multiply-adds of a forward and backward pass of two images. Who is paired and selected is no matter of cost; the
    rollout, which runs on no meta tensor, is counted as above, and the class token's row of one block as nothing."""
    tag, classes, size, _ = CUB[:4]
    with torch.device("meta"):
        model = dcal.build(tag, classes, image_size=size, weights="random", **settings).train()
        images, labels = torch.empty(2, 3, size, size), torch.empty(2, dtype=torch.long)
    monkeypatch.setattr(dcal_model, "sample_partners", lambda *_: torch.tensor([1, 0]))
    heads, tokens = HEADS_AND_TOKENS[CUB]
    rolled_out = 0
    if model.glca:
        row = torch.empty(2, tokens, device="meta")
        monkeypatch.setattr(model.backbone, "response", lambda *_: row)
        rolled_out = 2 * 11 * tokens**2 * heads * (64 + 1) * (model.glca.settings.select == "rollout")
    given = {"labels": labels} if model.pwca and model.pwca.pairs_by_features else {}

    def step() -> None:
        sum(branch.logits.sum() for branch in model(images, **given).branches().values()).backward()

    return multiply_adds(step) + rolled_out


@pytest.fixture(scope="module")
def baseline_step():
    with pytest.MonkeyPatch.context() as monkeypatch:
        return step_on_meta({}, monkeypatch)


@pytest.mark.parametrize(("last", "times"), [("the class token's row", 2.274), ("all tokens", 2.456)])
def test_multiply_adds_of_a_training_step_of_dcal_in_baselines(last, times, baseline_step, monkeypatch):
    """DeiT-Tiny at 448², both branches, rollout included."""
    if last == "all tokens":
        all_tokens_through_the_last_block(monkeypatch)
    both = {"glca": dcal.GLCASettings(), "pwca": dcal.PWCASettings()}
    assert step_on_meta(both, monkeypatch) / baseline_step == pytest.approx(times, abs=0.001)


@pytest.mark.parametrize(("settings", "times"), OPTIONS.values(), ids=OPTIONS)
def test_multiply_adds_of_a_training_step_of_each_option_in_baselines(
    settings, times, baseline_step, monkeypatch
):
    """DeiT-Tiny at 448²."""
    places = len(str(times).partition(".")[2])
    assert step_on_meta(settings, monkeypatch) / baseline_step == pytest.approx(times, abs=0.5 * 10**-places)
