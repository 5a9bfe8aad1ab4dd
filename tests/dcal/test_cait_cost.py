"""What GLCA, the rollout and both branches cost on CaiT-XS24 at 448². The paper publishes no such number for CaiT."""

import pytest
import torch

import dcal
from benchmark.timing.counting import multiply_adds, parameters

SIZE, CLASSES, N, WIDTH, HEADS = 448, 200, 784, 288, 6


def built(**settings) -> dcal.DCAL:
    """Without storage: shapes are all that counting needs."""
    with torch.device("meta"):
        return dcal.build("cait_xs24_384", CLASSES, image_size=SIZE, weights="random", **settings)


def step(model: dcal.DCAL) -> None:
    images = torch.empty(2, 3, SIZE, SIZE, device="meta")
    partner = {"partner": torch.empty(2, dtype=torch.long, device="meta")} if model.pwca else {}
    sum(branch.logits.sum() for branch in model(images, **partner).branches().values()).backward()


def test_what_glca_rollout_and_a_training_step_of_dcal_cost_on_cait_xs24():
    """Percent of the baseline. The rollout is counted by its two parts, QKᵀ of 24 blocks with the mixing of 6 heads and
    the row times the maps (test_cait_rollouts_multiply_adds_are_counted_rightly), because it runs on no meta tensor."""
    baseline, model = (
        built().train(),
        built(glca=dcal.GLCASettings(), pwca=dcal.PWCASettings(blocks=26)).train(),
    )

    added = parameters(model.glca, model.glca_head) / parameters(baseline)
    assert 100 * added == pytest.approx(3.99, abs=0.005)

    once = multiply_adds(lambda: baseline(torch.empty(1, 3, SIZE, SIZE, device="meta")))
    x, local = (torch.empty(1, n, WIDTH, device="meta") for n in (1 + N, 1 + 78))
    glca = multiply_adds(lambda: model.glca_head(model.glca.read_out(model.glca.step(0, local, x))))
    assert 100 * glca / once == pytest.approx(0.81, abs=0.005)
    assert 100 * rollout(N, 24) / once == pytest.approx(16.9, abs=0.05)

    model.backbone.response = lambda glca, queries_keys: torch.empty(2, 1 + N, device="meta")
    steps = [multiply_adds(lambda m=m: step(m)) for m in (baseline, model)]
    assert (steps[1] + 2 * rollout(N, 24)) / steps[0] == pytest.approx(2.57, abs=0.005)


def rollout(patches: int, blocks: int) -> int:
    """Multiply-adds of an image: scores, the heads' mixing, the row times every head's map; the class token's row."""
    return blocks * patches**2 * (WIDTH + HEADS**2 + HEADS) + (patches + 1) * WIDTH


@torch.no_grad()
def test_cait_rollouts_multiply_adds_are_counted_rightly():
    """The same formula on a real rollout over 3 blocks and 64 patches."""
    model = dcal.build("cait_xs24_384", CLASSES, image_size=128, weights="random", glca=dcal.GLCASettings())
    pairs = [(torch.zeros(1, HEADS, 64, 48),) * 2] * 3
    pairs.append((torch.zeros(1, HEADS, 1, 48), torch.zeros(1, HEADS, 65, 48)))
    assert multiply_adds(lambda: model.backbone.rollout_row(pairs, first=22)) == rollout(64, 3)
