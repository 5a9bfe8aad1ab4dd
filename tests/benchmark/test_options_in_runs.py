"""The method's further options in whole runs: what the selection cannot change, and runs that were stopped."""

import pytest
import torch
from rank_processes import ALONE, Job, beside, folder, run_cell, weights

from benchmark.errors import DataError
from benchmark.records.heartbeat import RunInterrupt

DCAL = "cub/deit_tiny/dcal"
# 40 pictures in two steps. Stochastic depth draws beside everything else.
SHORT = {"data.class_limit": 2, "train.epochs": 1, "train.batch_size": 20, "evaluate.every": 1}
GLCA_ALONE = {**SHORT, "model.pwca_blocks": 0}
PWCA_ALONE = {**SHORT, "model.glca_blocks": 0}


@pytest.fixture(scope="module")
def selections(tmp_path_factory, mini_pictures):
    """Runs of GLCA alone that differ in nothing but which local queries they select."""
    from benchmark.config.places import MINI_WEIGHTS, Places

    places = Places(tmp_path_factory.mktemp("runs"), mini_pictures, MINI_WEIGHTS, generated=True)
    sgd = {
        "train.optimizer": "sgd",
        "train.lr": 0.5,
    }  # Adam turns the rounding of a zero gradient into whole steps
    asked = {"rollout": {}, "random": {"model.glca_select": "random"}, "half": {"model.glca_ratio": 0.5}}
    jobs = {name: Job(DCAL, beside(places, name), GLCA_ALONE | sgd | more) for name, more in asked.items()}
    return {name: (job, run_cell(ALONE, job)) for name, job in jobs.items()}


def test_in_the_class_token_read_out_rollout_and_random_selection_are_one_run_bit_for_bit(selections):
    (one, rollout), (other, random) = selections["rollout"], selections["random"]
    assert rollout["config_hash"] != random["config_hash"]
    assert rollout["final_weights_sha256"] == random["final_weights_sha256"]
    assert rollout["metrics"] == random["metrics"]
    assert set(rollout["metrics"]) == {"top1", "sa_top1", "glca_top1", "top5"}
    assert folder(one).predictions.read_bytes() == folder(other).predictions.read_bytes()


def test_in_the_class_token_read_out_another_r_differs_by_rounding_alone(selections):
    (one, rollout), (other, half) = selections["rollout"], selections["half"]
    expected = weights(one)
    for name, value in weights(other).items():
        torch.testing.assert_close(value, expected[name], rtol=1e-4, atol=1e-5, msg=name)
    assert half["metrics"] == rollout["metrics"]


@pytest.mark.parametrize(
    "asked",
    [
        {"model.pwca_pairing": "half"},
        {"model.pwca_pairing": "mixed"},
        {"model.pwca_regulariser": "kv_noise"},
        {"model.pwca_regulariser": "label_noise", "model.pwca_noise": 0.5},
    ],
    ids=lambda asked: "-".join(map(str, asked.values())),
)
def test_a_stopped_run_ends_with_the_same_bits(places, asked):
    whole, broken = (Job(DCAL, beside(places, name), PWCA_ALONE | asked) for name in ("whole", "broken"))
    expected = run_cell(ALONE, whole)
    with pytest.raises(RunInterrupt):
        run_cell(ALONE, Job(DCAL, broken.places, broken.overrides, stop_after={0: 0}))
    result = run_cell(ALONE, broken)
    assert result["cost"]["attempts"] == 2
    assert result["final_weights_sha256"] == expected["final_weights_sha256"]
    assert set(result["metrics"]) == {"top1", "top5"}


def test_a_class_of_one_picture_has_no_partner_of_its_own_which_is_said_before_training(own_pictures):
    split = own_pictures.data / "CUB_200_2011" / "train_test_split.txt"
    lines = split.read_text().splitlines()
    of_training = [number for number, line in enumerate(lines) if line.endswith(" 1")]
    for number in of_training[1:20]:  # all but one of the first class
        lines[number] = lines[number][:-1] + "0"
    split.write_text("\n".join(lines) + "\n")
    job = Job(DCAL, own_pictures, {**PWCA_ALONE, "model.pwca_pairing": "same"})
    with pytest.raises(DataError, match="1 of 2 training classes have one picture alone"):
        run_cell(ALONE, job)
    assert not folder(job).checkpoint.exists()
