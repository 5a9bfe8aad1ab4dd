"""A share of a batch part by part: the same random draws in both passes, and the runs that come of it."""

import dataclasses

import pytest
import torch
from quick_runs import QUICK
from rank_processes import ALONE, CPU, TINY, Job, beside, folder, run_cell, weights
from torch.nn import functional as F

from benchmark.config.compute_setup import Shares, Tuning
from benchmark.errors import SettingsError
from benchmark.records.heartbeat import RunInterrupt
from benchmark.records.run_folder import read_result
from benchmark.training.checkpoint import Randomness
from benchmark.training.device import Compute
from benchmark.training.distributed import SingleProcess
from benchmark.training.models import tune
from benchmark.training.step import AccumulatedGradients, StepLoss
from benchmark.training.tasks import TASKS
from dcal.builder import build
from dcal.losses import UncertaintyWeighting
from dcal.pwca import noisy_labels
from dcal.settings import GLCASettings, PWCASettings

BASELINE, DCAL = "cub/deit_tiny/baseline", "cub/deit_tiny/dcal"
# Nothing is drawn; SGD, because Adam turns the rounding of a gradient that is zero into whole steps.
EXACT = {**QUICK, "train.epochs": 2, "train.optimizer": "sgd", "train.lr": 0.5, "model.drop_path": 0.0}


def drawing_model(pwca=PWCASettings()):  # noqa: B008 - it cannot be changed
    """Every kind of draw: partners or noise, paths, local queries (which a mean read-out depends on)."""
    torch.manual_seed(0)
    return build(
        TINY, 3, image_size=32, weights="random", drop_path=0.4,
        glca=GLCASettings(select="random", readout="mean", ratio=0.3), pwca=pwca,
    ).double()  # fmt: skip


def seeded(model):
    torch.manual_seed(5)
    model.glca.generator.manual_seed(6)


@pytest.mark.parametrize(
    ("pwca", "tuning"),
    [
        (PWCASettings(), Tuning()),
        (PWCASettings(), Tuning(recompute=True)),
        (PWCASettings(pairing="mixed"), Tuning()),
        (PWCASettings(regulariser="kv_noise"), Tuning(recompute=True)),
        (PWCASettings(regulariser="image_noise", noise=0.5), Tuning()),
        (PWCASettings(regulariser="label_noise", noise=0.5), Tuning()),
    ],
    ids=["kept", "recomputed", "mixed", "kv_noise, recomputed", "image_noise", "label_noise"],
)
def test_the_second_pass_draws_what_the_first_drew(pwca, tuning):
    generator = torch.Generator().manual_seed(1)
    images = torch.randn(7, 3, 32, 32, generator=generator, dtype=torch.float64)
    labels = torch.arange(7) % 3

    # One graph over all parts, each drawing for itself.
    model = drawing_model(pwca)
    seeded(model)
    sizes = [3, 2, 2]
    given = zip(images.split(sizes), labels.split(sizes), strict=True)
    parts = [model.features(part, labels=of_part) for part, of_part in given]
    branches = {
        "sa": model.sa_head(torch.cat([part.sa for part in parts])),
        "glca": model.glca_head(torch.cat([part.glca for part in parts])),
        "pwca": model.sa_head(torch.cat([part.pwca for part in parts])),
    }
    labels_of = dict.fromkeys(branches, labels)
    if pwca.regulariser == "label_noise":  # drawn once, behind all parts
        labels_of["pwca"] = noisy_labels(labels, 3, 0.5)
        assert not torch.equal(labels_of["pwca"], labels)
    expected = [F.cross_entropy(branch.logits, labels_of[name]) for name, branch in branches.items()]
    (0.5 * sum(expected)).backward()  # all w are 0
    after = torch.get_rng_state(), model.glca.generator.get_state()

    ours = drawing_model(pwca)
    tune(ours, tuning)
    weighting = UncertaintyWeighting(ours.branch_names).double()
    step_loss = StepLoss(
        ours, weighting, TASKS["fgvc"], Compute(CPU, "", "float64", None, 1), SingleProcess()
    )
    backward = AccumulatedGradients(
        step_loss,
        SingleProcess(),
        lambda total: 8 * total,
        cut=Shares(ranks=3, least=2),
        randomness=Randomness(ours, CPU),
    )
    seeded(ours)
    losses = backward(images, None, labels, (7,))

    # The task casts logits to float32.
    torch.testing.assert_close(losses, torch.stack(expected).detach(), rtol=1e-6, atol=0)
    for (name, value), plain in zip(ours.named_parameters(), model.parameters(), strict=True):
        torch.testing.assert_close(value.grad, 8 * plain.grad, rtol=1e-5, atol=1e-6, msg=name)
    assert torch.equal(torch.get_rng_state(), after[0])
    assert torch.equal(ours.glca.generator.get_state(), after[1])


def test_a_run_in_parts_is_the_run_at_once(places):
    once = Job(BASELINE, beside(places, "once"), EXACT)
    parts = Job(BASELINE, beside(places, "parts"), EXACT, tuning=Tuning(accumulate=4))
    expected, result = run_cell(ALONE, once), run_cell(ALONE, parts)
    assert result["config_hash"] == expected["config_hash"]
    assert result["metrics"] == expected["metrics"]
    assert "tuning" not in expected["device"]
    assert result["device"].pop("tuning") == "accumulate=4"
    assert result["device"] == expected["device"]
    for name, value in weights(parts).items():
        torch.testing.assert_close(value, weights(once)[name], rtol=1e-5, atol=1e-5, msg=name)


def test_a_stopped_run_in_parts_ends_with_the_same_bits(places):
    overrides = {**QUICK, "train.epochs": 2}
    tuning = Tuning(accumulate=2, recompute=True)
    whole = Job(DCAL, beside(places, "whole"), overrides, tuning=tuning)
    broken = dataclasses.replace(whole, places=beside(places, "broken"))
    expected = run_cell(ALONE, whole)
    with pytest.raises(RunInterrupt):
        run_cell(ALONE, dataclasses.replace(broken, stop_after={0: 2}))
    result = run_cell(ALONE, broken)
    assert result["final_weights_sha256"] == expected["final_weights_sha256"]
    stored, damage = read_result(folder(broken))
    assert (stored["device"]["tuning"], damage) == ("accumulate=2 recompute=true", "")


def test_parts_that_do_not_divide_the_batch_are_refused_before_anything_is_touched(places):
    with pytest.raises(SettingsError, match="each in 3 parts"):
        run_cell(ALONE, Job(DCAL, places, QUICK, tuning=Tuning(accumulate=3)))
    assert not places.runs.exists()


def test_recompute_reaches_the_model():
    model = drawing_model()
    tune(model, Tuning())
    assert not model.backbone.vit.grad_checkpointing
    tune(model, Tuning(recompute=True))
    assert model.backbone.vit.grad_checkpointing
