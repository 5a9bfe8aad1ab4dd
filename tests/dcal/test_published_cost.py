"""What GLCA adds to a backbone, counted on the real modules, against the paper's whole percentages.

Published: +9 % parameters and +2 % multiply-adds on DeiT-Tiny for CUB (448², 200 classes, R = 0.1), +8 % and +3 %
on ViT-Base for VeRi-776 (256², R = 0.3, classifier not counted). The published figure holds GLCA's block, norm and
classifier. It does not hold the rollout, which computes the scores QKᵀ of blocks 1 … 11 a second time because the
fused attention keeps none: see `test_rollout_is_not_in_the_published_figure`.
"""

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

import dcal
from dcal import plain_vit
from dcal.blocks import class_token_queries, queries_keys_values

# tag, classes, input, R, classifier counted, published % of parameters and of multiply-adds
CUB = ("deit_tiny_patch16_224.fb_in1k", 200, 448, 0.1, True, 9, 2)
VERI = ("vit_base_patch16_224.orig_in21k", 576, 256, 0.3, False, 8, 3)


def on_meta(tag, classes, size, ratio) -> tuple[dcal.DCAL, dcal.DCAL]:
    """Baseline and DCAL without storage: shapes are all that counting needs."""
    with torch.device("meta"):
        return tuple(
            dcal.build(tag, classes, image_size=size, weights="random", glca=glca).eval()
            for glca in (None, dcal.GLCASettings(ratio=ratio))
        )


def multiply_adds(call) -> float:
    """The counter counts a multiply-add as two; the math kernel shows it the attention."""
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        call()
    return counter.get_total_flops() / 2


def parameters(module: torch.nn.Module) -> int:
    return sum(value.numel() for value in module.parameters())


@pytest.mark.parametrize(
    ("tag", "classes", "size", "ratio", "classifier", "published", "_"), [CUB, VERI], ids=["cub", "veri"]
)
def test_glca_adds_the_published_share_of_parameters(tag, classes, size, ratio, classifier, published, _):
    """Measured: +8.52 % on CUB, +8.26 % on VeRi-776."""
    baseline, model = on_meta(tag, classes, size, ratio)
    added = parameters(model.glca) + (parameters(model.glca_head) if classifier else 0)
    base = parameters(baseline) if classifier else parameters(baseline.backbone)
    assert round(100 * added / base) == published


@pytest.mark.parametrize(
    ("tag", "classes", "size", "ratio", "classifier", "_", "published"), [CUB, VERI], ids=["cub", "veri"]
)
def test_glca_adds_the_published_share_of_multiply_adds(tag, classes, size, ratio, classifier, _, published):
    """Measured: +1.56 % on CUB, +3.40 % on VeRi-776."""
    baseline, model = on_meta(tag, classes, size, ratio)
    patches, width = model.backbone.grid[0] * model.backbone.grid[1], model.backbone.width
    tokens = torch.empty(1, patches + 1, width, device="meta")
    local = torch.empty(1, 1 + model.glca.count, width, device="meta")
    images = torch.empty(1, 3, size, size, device="meta")

    def glca() -> None:
        feature = model.glca.read_out(model.glca.step(0, local, tokens))
        if classifier:
            model.glca_head(feature)

    share = multiply_adds(glca) / multiply_adds(lambda: baseline(images))
    assert round(100 * share) == published


@torch.no_grad()
@pytest.mark.parametrize(
    ("tag", "size", "heads", "tokens", "percent"),
    [(CUB[0], 448, 3, 785, 18.6), (VERI[0], 256, 12, 257, 2.4)],
    ids=["cub", "veri"],
)
def test_rollout_is_not_in_the_published_figure(tag, size, heads, tokens, percent):
    """What the class token's rollout over 11 blocks adds: 18.6 % of DeiT-Tiny's multiply-adds at 448², 2.4 % of
    ViT-Base's at 256². Nearly all of it is QKᵀ once more, (N+1)²·D a block; the row itself is (N+1)²·H."""
    baseline, _ = on_meta(tag, 10, size, 0.3)
    images = torch.empty(1, 3, size, size, device="meta")
    pairs = [(torch.zeros(1, heads, tokens, 64), torch.zeros(1, heads, tokens, 64))] * 11
    rollout = multiply_adds(lambda: dcal.rollout_row(pairs))
    assert rollout == 11 * tokens**2 * heads * (64 + 1)
    assert 100 * rollout / multiply_adds(lambda: baseline(images)) == pytest.approx(percent, abs=0.05)


# timm's own forward, which is the baseline's, takes all tokens through the last block. DCAL computes the one row that
# is read; with all of them it would be the second number.
LAST_BLOCK = {"the class token's row": class_token_queries, "all tokens": queries_keys_values}


@torch.no_grad()
@pytest.mark.parametrize(("last", "times"), [("the class token's row", 1.127), ("all tokens", 1.202)])
def test_multiply_adds_of_dcal_in_eval_mode_in_baselines(last, times, monkeypatch):
    """DeiT-Tiny at 448² on one image, the real forward: the baseline, GLCA and the rollout."""
    monkeypatch.setattr(plain_vit, "class_token_queries", LAST_BLOCK[last])
    tag, classes, size, ratio = CUB[:4]
    baseline, _ = on_meta(tag, classes, size, ratio)
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


@pytest.mark.parametrize(("last", "times"), [("the class token's row", 2.274), ("all tokens", 2.456)])
def test_multiply_adds_of_a_training_step_of_dcal_in_baselines(last, times, monkeypatch):
    """DeiT-Tiny at 448², forward and backward, both branches, rollout included."""
    monkeypatch.setattr(plain_vit, "class_token_queries", LAST_BLOCK[last])
    tag, classes, size, ratio = CUB[:4]
    steps = []
    for settings in ({}, {"glca": dcal.GLCASettings(ratio=ratio), "pwca": dcal.PWCASettings()}):
        model = dcal.build(tag, classes, image_size=size, weights="random", **settings).train()

        def step(model: dcal.DCAL = model) -> None:
            branches = model(torch.zeros(2, 3, size, size)).branches().values()
            sum(branch.logits.sum() for branch in branches).backward()

        steps.append(multiply_adds(step))
    assert steps[1] / steps[0] == pytest.approx(times, abs=0.01)
