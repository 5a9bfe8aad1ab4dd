"""A checkpoint is whole or passed over for the one before."""

import errno
import logging
import os
from dataclasses import replace

import pytest
import torch
from campaigns import damaged_checkpoints

from benchmark.records.lock import LockHeld
from benchmark.records.run_folder import RunFolder
from benchmark.training import checkpoint


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


def test_a_member_that_is_marked_as_a_folder_is_not_read_as_zeros(folder):
    """One bit of the zip directory, which no checksum covers."""
    checkpoint.save(folder, state(1))
    checkpoint.save(folder, state(2))
    content = bytearray(folder.checkpoint.read_bytes())
    entry = content.rfind(b"/data/0", 0, content.rfind(b"/data/0"))  # the local header's name
    entry = content.find(b"PK\x01\x02", entry)
    while b"/data/0" not in content[entry : entry + 80]:
        entry = content.find(b"PK\x01\x02", entry + 4)
    content[entry + 38] |= 0x10
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


def test_a_slim_one_has_the_weights_and_the_state_of_training_stays_beside_it(folder):
    checkpoint.save(folder, state(1, optimizer={"m": torch.zeros(10)}))
    checkpoint.save_slim(folder, state(2, optimizer={"m": torch.zeros(10)}, rng={}, scaler={}))
    kept = checkpoint.newest(folder, "h")
    assert kept["model"]["w"][0] == 2
    assert not {"optimizer", "scaler", "rng"} & kept.keys()
    folder.checkpoint.unlink()
    assert "optimizer" in checkpoint.newest(folder, "h")


def _no_links(monkeypatch, name="EPERM"):
    def refuse(*_):
        raise OSError(getattr(errno, name), os.strerror(getattr(errno, name)))

    monkeypatch.setattr(os, "link", refuse)


@pytest.mark.parametrize("name", ["EPERM", "ENOTSUP", "EOPNOTSUPP", "ENOSYS", "EMLINK"])
def test_without_hard_links_the_previous_one_is_kept_too(folder, monkeypatch, name):
    _no_links(monkeypatch, name)
    for epoch in (1, 2, 3):
        checkpoint.save(folder, state(epoch))
    assert checkpoint.newest(folder, "h")["epoch"] == 3
    folder.checkpoint.unlink()
    assert checkpoint.newest(folder, "h")["epoch"] == 2
    assert folder.has_checkpoint
    checkpoint.save(folder, state(4))
    assert sorted(path.name for path in folder.path.iterdir()) == ["checkpoint.previous.pt", "checkpoint.pt"]


@pytest.mark.parametrize("links", [True, False], ids=["hard links", "no hard links"])
def test_at_every_moment_one_is_whole(folder, monkeypatch, links):
    """Looked at before and after every call that changes a name."""
    if not links:
        _no_links(monkeypatch)
    checkpoint.save(folder, state(1))
    checkpoint.save(folder, state(2))
    looks = []

    def looked_at(call):
        def wrapped(*arguments, **named):
            looks.append(checkpoint.newest(folder, "h")["epoch"])
            try:
                return call(*arguments, **named)
            finally:
                looks.append(checkpoint.newest(folder, "h")["epoch"])

        return wrapped

    for name in ("link", "replace", "unlink"):
        monkeypatch.setattr(os, name, looked_at(getattr(os, name)))
    checkpoint.save(folder, state(3))
    assert set(looks) >= {2, 3}
    assert looks == sorted(looks)


def test_one_that_is_gone_on_from_is_not_dropped_for_a_damaged_one(folder):
    checkpoint.save(folder, state(1))
    checkpoint.save(folder, state(2))
    os.truncate(folder.checkpoint, 100)
    assert checkpoint.resume(folder, "h")["epoch"] == 1

    with pytest.raises(KeyboardInterrupt):
        checkpoint.save(folder, {"hash": "h", "killed": _Unwritable()})
    assert checkpoint.newest(folder, "h")["epoch"] == 1


class _Unwritable:
    def __reduce__(self):
        raise KeyboardInterrupt


def test_what_cannot_be_used_is_named_with_both_reasons_and_set_aside(folder, caplog):
    checkpoint.save(folder, state(1))
    checkpoint.save(folder, state(2))
    os.truncate(folder.checkpoint, 10)
    torch.save({"format": 1, "hash": "other"}, folder.previous_checkpoint)
    with caplog.at_level(logging.WARNING, logger="benchmark"):
        assert checkpoint.resume(folder, "h") is None
    both = "checkpoint.pt is passed over: 10 bytes that are no complete checkpoint (File is not a zip file)"
    assert f"{both}; checkpoint.previous.pt is passed over: it is of other settings" in caplog.text
    assert "starts from the beginning" in caplog.text
    names = sorted(path.name.partition(".unusable-")[0] for path in folder.path.iterdir())
    assert names == ["checkpoint.previous.pt", "checkpoint.pt"]


@pytest.mark.parametrize("place", ["folder", "fifo", "dangling link"])
def test_what_is_no_file_is_passed_over(folder, place):
    checkpoint.save(folder, state(1))
    checkpoint.save(folder, state(2))
    folder.checkpoint.unlink()
    if place == "folder":
        folder.checkpoint.mkdir()
    elif place == "fifo":
        os.mkfifo(folder.checkpoint)
    else:
        folder.checkpoint.symlink_to("nowhere")
    assert checkpoint.newest(folder, "h")["epoch"] == 1


def test_who_has_lost_the_run_changes_no_checkpoint(folder):
    checkpoint.save(folder, state(1))
    checkpoint.save(folder, state(2))

    def lost():
        raise LockHeld("taken over")

    with pytest.raises(LockHeld):
        checkpoint.save(replace(folder, verify=lost), state(9))
    assert checkpoint.newest(folder, "h")["epoch"] == 2
    folder.checkpoint.unlink()
    assert checkpoint.newest(folder, "h")["epoch"] == 1


def test_damage_at_any_sampled_place_is_passed_over(tmp_path):
    """The whole campaign: ``python -m tests.campaigns.damaged_checkpoints``."""
    counts = damaged_checkpoints.campaign(tmp_path, directory_step=38, elsewhere=40, truncations=10)
    assert counts["wrong"] == counts["raised"] == 0
    assert counts["previous"] > counts["same"] > 0


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
