"""The generic pictures and a pretraining of a few seconds."""

import numpy as np
import pytest
import torch

from benchmark.data.mini import manifest
from benchmark.data.mini.backbones import ARCHITECTURES
from benchmark.data.mini.generic import KINDS, MARKS, PATCH, SIZE, SLOTS, WORLDS, PretrainingWorld
from benchmark.data.mini.pretrain import PLANS, Pretraining, pretrain
from benchmark.data.mini.pretrain_data import Pictures, mirrored, through_a_camera, twice
from benchmark.data.mini.splits import GENERATED


def test_a_world_is_the_same_whenever_it_is_made():
    one, other = PretrainingWorld(WORLDS["small"]), PretrainingWorld(WORLDS["small"])
    assert one.species == other.species
    a, b = (world.sample(np.random.default_rng(5)) for world in (one, other))
    assert np.array_equal(a.image, b.image)
    assert a.species == b.species


def test_no_two_species_of_a_world_are_alike():
    for size in WORLDS.values():
        world = PretrainingWorld(size)
        keys = {(k // size.per_genus, parts) for k, parts in enumerate(world.species)}
        assert len(keys) == size.classes


def test_the_two_worlds_share_no_species():
    small, large = (PretrainingWorld(size) for size in WORLDS.values())
    assert not set(small.species) & set(large.species)


def test_samples_have_the_documented_shapes():
    sample = PretrainingWorld(WORLDS["large"]).sample(np.random.default_rng(0))
    assert sample.image.shape == (SIZE, SIZE, 3)
    assert sample.kinds.shape == (SLOTS,)
    assert sample.kinds.max() < len(KINDS)
    assert sample.marks.shape == ((SIZE // PATCH) ** 2, MARKS)
    assert set(np.unique(sample.marks)) <= {0.0, 1.0}


def test_mirroring_turns_pictures_and_marks_alike():
    batch = next(iter(Pictures("small", 0, 4)))
    image, *_, marks = mirrored(batch)
    assert torch.equal(image[:, :, 0], batch[0][:, :, -1])
    assert torch.equal(marks[:, 0], batch[4][:, SIZE // PATCH - 1])


def test_each_batch_is_used_twice_the_second_time_mirrored():
    batches = [tuple(torch.full((1, 4, 4), k) for _ in range(5)) for k in range(60)]
    used = [int(batch[1][0, 0, 0]) for batch in twice(iter(batches), 40)]
    assert used[:42] == [*range(41), 0]
    assert all(used.count(k) == 2 for k in range(10))


def test_generic_pictures_are_no_class_of_a_mini_set():
    named = {name for dataset in GENERATED.values() for name in dataset.classes}
    assert not named & set(KINDS)


@pytest.mark.parametrize(
    ("architecture", "classifier"),
    [
        ("mini_deit_tiny_patch8_48", "head.weight"),
        ("mini_swin_tiny_48", "head.fc.weight"),
    ],
)
def test_a_pretraining_of_seconds_returns_float16_and_its_measurements(architecture, classifier, monkeypatch):
    monkeypatch.setattr("benchmark.data.mini.pretrain.HELD_OUT", 64)
    state, outcome = pretrain(architecture, minutes=0.01, seed=3)
    assert {tensor.dtype for tensor in state.values()} == {torch.float16}
    assert state[classifier].shape[0] == outcome.generic_classes == WORLDS["small"].classes
    assert outcome.images_seen == PLANS[architecture].batch * outcome.steps > 0
    assert outcome.distinct_images <= outcome.images_seen
    assert 0 <= outcome.held_out_accuracy <= 1


@pytest.mark.parametrize(
    "architecture", ["mini_deit_tiny_patch8_48", "mini_cait_xs24_48", "mini_swin_tiny_48"]
)
def test_what_is_pretrained_is_what_timms_own_forward_classifies_by(architecture):
    model = Pretraining(architecture).eval()
    image = next(iter(Pictures("small", 0, 2)))[0]
    whole, patches = model.features(image)
    pixels = (image.permute(0, 3, 1, 2) - model.mean) / model.std
    logits = model.backbone.get_classifier()(whole)
    assert torch.allclose(logits, model.backbone(pixels), atol=1e-5)
    assert patches.shape[:2] == (2, (SIZE // PATCH) ** 2)


def test_through_a_camera_each_picture_changes_and_its_places_stay():
    torch.manual_seed(0)
    image = torch.zeros(3, 48, 48, 3, dtype=torch.uint8)
    image[:, 8:24, 32:40] = 180
    seen = through_a_camera(image)
    assert seen.dtype == torch.uint8
    assert seen.shape == image.shape
    assert not torch.equal(seen[0], seen[1])
    assert not torch.equal(seen[..., 0], seen[..., 1])  # a cast
    bright = seen.float().mean(dim=3) > 90
    assert torch.equal(bright, image[..., 0] > 0)


def test_a_patch_feature_of_swin_is_of_the_place_whose_marks_it_learns():
    model = Pretraining("mini_swin_tiny_48").eval()
    for stage in model.backbone.layers:  # attention spreads a change; what is left is each place alone
        for block in stage.blocks:
            torch.nn.init.zeros_(block.attn.proj.weight)
    image = next(iter(Pictures("small", 0, 1)))[0]
    changed = image.clone()
    changed[:, 8:16, 40:48] = 255 - changed[:, 8:16, 40:48]  # second row, last column
    differs = (model.features(image)[1] != model.features(changed)[1]).any(dim=2)
    assert differs.nonzero().tolist() == [[0, 1 * 6 + 5]]


def test_the_committed_weights_were_made_as_the_plans_say():
    rows = manifest.read()
    assert set(PLANS) == set(ARCHITECTURES)
    for name, plan in PLANS.items():
        row = rows[f"{name}.generic"]
        assert f"--minutes {plan.minutes:g} " in row["command"]
        assert row["images_seen"] == plan.batch * row["steps"]
