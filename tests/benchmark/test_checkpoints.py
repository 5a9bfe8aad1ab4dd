"""A checkpoint is whole or passed over for the one before."""

import logging
import os

import pytest
import torch

from benchmark import checkpoint
from benchmark.records import RunFolder


@pytest.fixture
def folder(tmp_path):
    return RunFolder(tmp_path)


def state(epoch, **more):
    return {"hash": "h", "epoch": epoch, "model": {"w": torch.full((1000,), float(epoch))}, **more}


def test_the_newest_is_used_and_the_previous_kept(folder):
    for epoch in (1, 2, 3):
        checkpoint.save(folder, state(epoch))
    assert checkpoint.newest(folder, "h")["epoch"] == 3
    folder.checkpoint.unlink()
    assert checkpoint.newest(folder, "h")["epoch"] == 2


@pytest.mark.parametrize("keep", [0.0, 0.3, 0.9, 0.999])
def test_a_truncated_one_is_passed_over(folder, caplog, keep):
    checkpoint.save(folder, state(1))
    checkpoint.save(folder, state(2))
    size = folder.checkpoint.stat().st_size
    os.truncate(folder.checkpoint, int(size * keep))
    with caplog.at_level(logging.WARNING, logger="benchmark"):
        assert checkpoint.newest(folder, "h")["epoch"] == 1
    assert "checkpoint.pt is passed over" in caplog.text


def test_a_flipped_bit_is_noticed(folder):
    checkpoint.save(folder, state(1))
    checkpoint.save(folder, state(2))
    content = bytearray(folder.checkpoint.read_bytes())
    at = content.find(torch.full((8,), 2.0).numpy().tobytes())
    assert at > 0
    content[at + 2] ^= 0x40
    folder.checkpoint.write_bytes(content)
    assert checkpoint.newest(folder, "h")["epoch"] == 1


def test_both_damaged_means_from_the_start(folder):
    checkpoint.save(folder, state(1))
    checkpoint.save(folder, state(2))
    os.truncate(folder.checkpoint, 10)
    os.truncate(folder.previous_checkpoint, 10)
    assert checkpoint.newest(folder, "h") is None


def test_one_of_other_settings_is_not_used(folder):
    checkpoint.save(folder, state(1))
    assert checkpoint.newest(folder, "other") is None


def test_pickled_objects_are_never_loaded(folder, tmp_path):
    class Evil:
        def __reduce__(self):
            return (os.mkdir, (str(tmp_path / "executed"),))

    torch.save({"format": 1, "hash": "h", "evil": Evil()}, folder.checkpoint)
    assert checkpoint.newest(folder, "h") is None
    assert not (tmp_path / "executed").exists()


def test_slimming_keeps_the_weights_and_drops_the_optimizer(folder):
    checkpoint.save(folder, state(1, optimizer={"m": torch.zeros(10)}))
    checkpoint.slim(folder, state(2, optimizer={"m": torch.zeros(10)}, rng={}, scaler={}))
    kept = checkpoint.newest(folder, "h")
    assert kept["model"]["w"][0] == 2
    assert "optimizer" not in kept
    assert not folder.previous_checkpoint.exists()


def test_the_weights_digest_tells_names_values_types_and_shapes_apart():
    base = {"a": torch.zeros(4), "b": torch.ones(2)}
    others = [
        {"a": torch.zeros(4), "c": torch.ones(2)},
        {"a": torch.zeros(4), "b": torch.tensor([1.0, 1.0000001])},
        {"a": torch.zeros(2, 2), "b": torch.ones(2)},
        {"a": torch.zeros(4, dtype=torch.float64), "b": torch.ones(2)},
    ]
    digests = {checkpoint.weights_sha256(one) for one in (base, *others)}
    assert len(digests) == 5
    assert checkpoint.weights_sha256({"b": torch.ones(2), "a": torch.zeros(4)}) == checkpoint.weights_sha256(
        base
    )
