"""A run by several processes: what one process computes, to rounding; stops, resumes, failures, shares."""

import json
import shutil
import signal

import numpy as np
import pytest
import torch
from rank_processes import (
    ALONE,
    Job,
    Ranks,
    Step,
    beside,
    config_of,
    evaluate,
    folder,
    gradients,
    run_cell,
    weights,
)

from benchmark.config.compute_setup import Shares, Tuning, World
from benchmark.config.grid import select
from benchmark.config.places import MINI_WEIGHTS, Places
from benchmark.config.resolve import load_profile, resolve
from benchmark.data import locate
from benchmark.data.loader import TrainLoader
from benchmark.data.pair_sampler import PartnerBatches
from benchmark.data.samplers import ShuffledBatches
from benchmark.errors import DataError, RunError, SettingsError
from benchmark.records import lock
from benchmark.records.heartbeat import RunInterrupt
from benchmark.training import checkpoint

BASELINE, DCAL, MARKET = "cub/deit_tiny/baseline", "cub/deit_tiny/dcal", "market/deit_tiny/baseline"
# Nothing is dropped at random. SGD, because Adam turns the rounding of a gradient that is zero into whole steps.
SGD = {"train.optimizer": "sgd", "model.drop_path": 0.0, "evaluate.every": 1}
EXACT = {**SGD, "data.class_limit": 3, "train.epochs": 2, "train.lr": 0.5}
REID = {**SGD, "train.epochs": 1, "train.warmup_epochs": 0, "train.batch_size": 16, "train.bias_lr": 2.0}
QUICK = {"data.class_limit": 3, "train.epochs": 2, "evaluate.every": 1}


@pytest.fixture(scope="module")
def ranks():
    started = Ranks(4)
    yield started
    started.end()


@pytest.fixture
def mortal_ranks():
    started = Ranks(2, mortal=True)
    yield started
    started.end()


@pytest.fixture(scope="module")
def uneven(tmp_path_factory, mini_pictures):
    """The mini CUB with 51 training pictures in its first three classes: the last batch of 16 has three."""
    root = tmp_path_factory.mktemp("uneven")
    shutil.copytree(mini_pictures / "CUB_200_2011", root / "CUB_200_2011")
    split = root / "CUB_200_2011" / "train_test_split.txt"
    lines = split.read_text().splitlines()
    of_training = [number for number, line in enumerate(lines) if line.endswith(" 1")]
    for number in of_training[:9]:
        lines[number] = lines[number][:-1] + "0"
    split.write_text("\n".join(lines) + "\n")
    return Places(root / "runs", root, MINI_WEIGHTS, generated=False)


def assert_same_run(one, other, **tolerance):
    ours, theirs = weights(one), weights(other)
    assert ours.keys() == theirs.keys()
    for name, tensor in ours.items():
        torch.testing.assert_close(
            tensor, theirs[name], msg=lambda text, name=name: f"{name}: {text}", **tolerance
        )
    histories = [
        [json.loads(line) for line in folder(job).history.read_text().splitlines()] for job in (one, other)
    ]
    for line, expected in zip(*histories, strict=True):
        assert line["loss"] == pytest.approx(expected["loss"], rel=1e-4)
        assert line["lr"] == expected["lr"]


@pytest.fixture(scope="module")
def one_process(uneven):
    job = Job(BASELINE, beside(uneven, "one"), EXACT)
    return job, run_cell(ALONE, job)


@pytest.fixture(scope="module")
def two_processes(uneven, ranks, one_process):
    job = Job(BASELINE, beside(uneven, "two"), EXACT)
    return job, ranks.do(run_cell, 2, job)


def test_two_ranks_train_what_one_does(one_process, two_processes):
    (alone, expected), (job, (result, nothing)) = one_process, two_processes
    assert nothing is None
    assert result["metrics"] == expected["metrics"]
    assert (result["device"]["world_size"], expected["device"]["world_size"]) == (2, 1)
    assert result["cost"]["steps"] == expected["cost"]["steps"] == 2 * 4
    assert_same_run(job, alone, rtol=1e-5, atol=1e-5)
    assert not list(folder(job).path.glob(".rendezvous*"))


def test_four_ranks_of_which_one_has_no_picture_of_the_last_batch(uneven, ranks, one_process):
    job = Job(BASELINE, beside(uneven, "four"), EXACT)
    result, *nothing = ranks.do(run_cell, 4, job)
    assert nothing == [None] * 3
    assert result["metrics"] == one_process[1]["metrics"]
    assert_same_run(job, one_process[0], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("cell", "overrides", "parts"),
    [(MARKET, REID, [1]), ("market/deit_tiny/dcal", {**REID, "model.pwca_pairing": "loader"}, [1, 2])],
    ids=["baseline", "dcal"],  # with partners from the loader nothing in DCAL is drawn by a rank
)
def test_re_identification_with_the_necks_statistics_and_triplets_over_all_ranks(
    places, ranks, cell, overrides, parts
):
    alone = Job(cell, beside(places, "one"), overrides)
    run_cell(ALONE, alone)
    for number in parts:
        job = Job(cell, beside(places, f"two {number}"), overrides, tuning=Tuning(accumulate=number))
        result, _ = ranks.do(run_cell, 2, job)
        assert result["device"]["world_size"] == 2
        assert "sa_head.neck.running_var" in weights(job)
        assert_same_run(job, alone, rtol=1e-5, atol=1e-5)


def test_a_finished_run_is_over_for_all_ranks(two_processes, ranks):
    job, (first, _) = two_processes
    written = folder(job).checkpoint.stat().st_mtime_ns
    assert ranks.do(run_cell, 2, job) == [first, None]
    assert folder(job).checkpoint.stat().st_mtime_ns == written


def test_a_run_that_another_process_holds_is_refused_by_rank_0_alone(places, ranks):
    job = Job(BASELINE, places, QUICK)
    folder(job).make()
    held = lock.acquire(folder(job).path)
    busy, nothing = ranks.do(run_cell, 2, job)
    held.release()
    assert isinstance(busy, lock.LockHeld)
    assert nothing is None


@pytest.mark.parametrize(
    ("size", "step"),
    [
        (2, Step("linear", (4, 4))),
        (3, Step("linear", (3, 2, 2))),
        (3, Step("linear", (1, 1, 0))),
        (3, Step("bnneck", (3, 3, 2))),
        (2, Step("linear", (4, 3), partners=(2, 0, 3, 1, 5, 6, 4))),
        (3, Step("bnneck", (3, 2, 2), partners=(1, 2, 0, 4, 3, 6, 5))),
        (3, Step("linear", (2, 2, 0), partners=(1, 0, 3, 2))),
        (1, Step("linear", (7,), partners=(2, 0, 3, 1, 5, 6, 4), parts=2)),
        (1, Step("bnneck", (7,), partners=(2, 0, 1, 4, 3, 6, 5), parts=3)),
        (2, Step("bnneck", (4, 4), parts=4)),
        (2, Step("bnneck", (5, 4), partners=(1, 2, 0, 4, 3, 6, 5, 8, 7), parts=2)),
        (3, Step("linear", (2, 2, 0), partners=(1, 0, 3, 2), parts=2)),
        (2, Step("linear", (5, 4), hardest=True)),
        (2, Step("bnneck", (5, 4), hardest=True, parts=2)),
        (3, Step("linear", (2, 2, 0), hardest=True)),
        (2, Step("linear", (4, 3), wrong=(0, 2, 0, 1, 1, 0, 2))),
        (2, Step("bnneck", (5, 4), wrong=(0, 1, 0, 0, 2, 0, 1, 0, 0), parts=2)),
        (3, Step("linear", (2, 2, 0), wrong=(1, 0, 0, 2))),
    ],
    ids=str,
)
def test_gradients_are_those_of_the_whole_batch(tmp_path, ranks, size, step):
    (expected,) = ranks.do(gradients, 1, tmp_path, step.at_once())
    for found in ranks.do(gradients, size, tmp_path, step):
        assert found.keys() == expected.keys()
        assert any(value.abs().max() > 1e-3 for name, value in found.items() if name.startswith("gradient"))
        for name, value in found.items():
            torch.testing.assert_close(
                value, expected[name], rtol=1e-9, atol=1e-12, msg=lambda text, name=name: f"{name}: {text}"
            )


def test_a_stop_asked_of_one_rank_stops_all_and_the_resumed_run_has_the_same_bits(places, ranks):
    whole = Job(DCAL, beside(places, "whole"), {**QUICK, "train.batch_size": 18})
    broken = Job(DCAL, beside(places, "broken"), whole.overrides, stop_after={2: 7})
    expected, *_ = ranks.do(run_cell, 3, whole)
    stopped = ranks.do(run_cell, 3, broken)
    assert all(isinstance(error, RunInterrupt) for error in stopped)
    assert {str(error) for error in stopped} == {"a test in epoch 2, step 2; saved"}
    assert all(error.signals == [signal.SIGUSR2] for error in stopped)  # rank 0's launcher asks for it
    assert json.loads(folder(broken).outcome.read_text())["state"] == "preempted"
    saved = checkpoint.newest(folder(broken), config_of(broken).hash)
    streams = [saved["rng"], *saved["rng_of_other_ranks"]]
    assert len({stream["torch"].numpy().tobytes() for stream in streams}) == 3  # each rank draws its own
    resumed, *_ = ranks.do(run_cell, 3, Job(DCAL, broken.places, broken.overrides))
    assert resumed["cost"]["attempts"] == 2
    assert resumed["final_weights_sha256"] == expected["final_weights_sha256"]
    assert resumed["metrics"] == expected["metrics"]


@pytest.mark.parametrize(("before", "after"), [(1, 2), (2, 1), (2, 4)])
def test_going_on_with_another_number_of_ranks(places, ranks, before, after):
    job = Job(DCAL, places, QUICK)
    stopped = ranks.do(run_cell, before, Job(DCAL, places, QUICK, stop_after={before - 1: 2}))
    assert all(isinstance(error, RunInterrupt) for error in stopped)
    result, *_ = ranks.do(run_cell, after, job)
    assert result["device"]["world_size"] == after
    assert f"saved with {before} ranks, going on with {after}" in folder(job).log.read_text()
    assert "going on from epoch 1, step 3" in folder(job).log.read_text()


def test_saving_by_rank_0s_clock_keeps_the_ranks_in_step(places, ranks):
    job = Job(BASELINE, places, {**QUICK, "train.epochs": 1}, checkpoint_seconds=0)
    result, nothing = ranks.do(run_cell, 2, job)
    assert result["cost"]["steps"] == 4
    assert nothing is None


def test_an_error_of_one_rank_ends_all_with_its_reason(uneven, tmp_path, mortal_ranks):
    shutil.copytree(uneven.data / "CUB_200_2011", tmp_path / "CUB_200_2011")
    places = Places(tmp_path / "runs", tmp_path, MINI_WEIGHTS, generated=False)
    dataset = locate.load_fgvc("cub", tmp_path, 3)
    second_batch = list(ShuffledBatches(51, 16, 0).epoch(0))[1]
    torn = dataset.root / dataset.train.files[second_batch[-1]]  # in the last rank's share
    torn.write_bytes(torn.read_bytes()[:300])
    job = Job(BASELINE, places, EXACT)
    first, second = mortal_ranks.do(run_cell, 2, job)
    assert isinstance(second, DataError)
    assert torn.name in str(second)
    assert isinstance(first, RunError)
    outcome = json.loads(folder(job).outcome.read_text())
    assert outcome["state"] == "failed"
    assert outcome["message"] == str(first) == f"rank 1: {second}"


def test_other_data_on_another_machine_are_refused(uneven, mini_pictures, ranks):
    job = Job(BASELINE, beside(uneven, "differing"), EXACT)
    elsewhere = Places(job.places.runs, mini_pictures, MINI_WEIGHTS, generated=False)
    first, second = ranks.do(_with_own_places, 2, [job, Job(BASELINE, elsewhere, EXACT)])
    assert isinstance(first, RunError)
    assert "other data or settings" in str(first)
    assert isinstance(second, RunError)


def _with_own_places(world, jobs):
    return run_cell(world, jobs[world.rank])


@pytest.mark.parametrize("key", ["cub", "market"])
def test_evaluation_by_any_number_of_ranks_is_that_of_one(tmp_path, mini_pictures, ranks, key):
    settings = resolve(select([f"{key}/deit_tiny/dcal"])[0], 0, load_profile("mini"), {}).settings.data
    for size, batch_size in ((2, 16), (3, 13), (3, 1000)):  # the last: fewer batches than ranks
        ((expected, pictures),) = ranks.do(evaluate, 1, tmp_path, mini_pictures, settings, key, batch_size)
        found = ranks.do(evaluate, size, tmp_path, mini_pictures, settings, key, batch_size)
        assert pictures % (size * batch_size)  # the ranks' parts differ in size
        for arrays, seen in found:
            assert arrays.keys() == expected.keys()
            for name, values in arrays.items():
                np.testing.assert_array_equal(values, expected[name], name)
            assert seen < pictures or batch_size == 1000


@pytest.mark.parametrize("paired", [False, True])
def test_the_ranks_batches_are_together_those_of_one(uneven, paired):
    dataset = locate.load_fgvc("cub", uneven.data, 3)
    settings = config_of(Job(DCAL, uneven, {})).settings.data

    def batches(rank, count):
        sampler = ShuffledBatches(len(dataset.train), 16, 0)
        partners = PartnerBatches(len(dataset.train), sampler, 0) if paired else None
        shares = Shares(rank, count, 2)
        return list(
            TrainLoader(dataset, settings, sampler, 0, partners=partners, workers=0, shares=shares).epoch(1)
        )

    whole = batches(0, 1)
    assert [batch.counts for batch in whole] == [(16,), (16,), (16,), (3,)]
    for parts, batch in zip(zip(*(batches(rank, 4) for rank in range(4)), strict=True), whole, strict=True):
        counts = parts[0].counts
        assert counts == ((4, 4, 4, 4) if len(batch.index) == 16 else (3, 0, 0, 0))
        for name in ("images", "labels", "index", *(["partner_images"] if paired else [])):
            joined = [getattr(part, name)[:count] for part, count in zip(parts, counts, strict=True)]
            assert torch.equal(torch.cat(joined), getattr(batch, name))
        assert all(len(part.index) >= 2 for part in parts)


def test_a_run_is_refused_before_anything_is_touched(places):
    with pytest.raises(SettingsError, match="by 3 processes"):
        run_cell(World(0, 3, 0, 3, "x"), Job(BASELINE, places, QUICK))
    assert not places.runs.exists()
