"""Run locks without hard links or file locks, and locks that are torn, foreign, or of before there were tokens."""

import errno
import fcntl
import json
import os
import time

import pytest

from benchmark.records import lock, lock_files

NO_LINKS = ("EPERM", "ENOTSUP", "EOPNOTSUPP", "ENOSYS", "EMLINK", "EXDEV", "EINVAL")


@pytest.mark.parametrize("name", NO_LINKS)
def test_a_file_system_without_hard_links(tmp_path, monkeypatch, name):
    def refuse(*_):
        raise OSError(getattr(errno, name), os.strerror(getattr(errno, name)))

    monkeypatch.setattr(os, "link", refuse)
    held = lock.acquire(tmp_path)
    with pytest.raises(lock.LockHeld):
        lock.acquire(tmp_path)
    held.verify()
    held.release()
    assert not list(tmp_path.iterdir())


def test_a_link_whose_answer_was_lost_was_made(tmp_path, monkeypatch):
    real = os.link

    def answer_lost(*arguments):
        real(*arguments)
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))

    monkeypatch.setattr(os, "link", answer_lost)
    held = lock.acquire(tmp_path)
    assert (held.number, lock.holder(tmp_path).pid) == (1, os.getpid())
    held.release()


@pytest.mark.parametrize("content", ["", '{"machine": '])
def test_a_torn_lock_counts_while_it_may_be_being_written(tmp_path, content):
    path = tmp_path / "claim.1"
    path.write_text(content)
    with pytest.raises(lock.LockHeld, match="is not complete yet"):
        lock.acquire(tmp_path)
    long_ago = time.time() - 2 * lock_files.TORN_SECONDS
    os.utime(path, (long_ago, long_ago))
    assert lock.holder(tmp_path) is None
    assert lock.acquire(tmp_path).number == 2


@pytest.mark.parametrize("content", ["{}", "[]", '{"machine": 1, "host": null, "pid": [], "since": 0}'])
def test_what_no_process_of_the_suite_wrote_holds_nothing(tmp_path, content):
    (tmp_path / "claim.1").write_text(content)
    assert lock.holder(tmp_path) is None
    assert lock.acquire(tmp_path).number == 2


def test_what_is_no_file_holds_nothing_and_hangs_nobody(tmp_path):
    (tmp_path / "claim.1").mkdir()
    os.mkfifo(tmp_path / "claim.2")
    (tmp_path / "claim.³").write_text("")
    assert lock.holder(tmp_path) is None
    held = lock.acquire(tmp_path)
    assert held.number == 3
    held.verify()


def test_without_locks_the_heartbeat_tells(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    with monkeypatch.context() as no_locks:
        no_locks.setattr(fcntl, "flock", refuse)
        lock.acquire(tmp_path)
    # Locks work again, and the file has none: that says nothing.
    assert lock.holder(tmp_path).pid == os.getpid()
    os.utime(tmp_path / "claim.1", (1, 1))
    assert lock.holder(tmp_path) is None


def test_a_lock_of_before_there_were_tokens_is_read(tmp_path):
    content = {"machine": lock_files.machine_id(), "host": "here", "pid": 7, "since": 1.0, "owner": "job 5"}
    with open(tmp_path / "claim.4", "w") as stream:
        stream.write(json.dumps(content))
        stream.flush()
        fcntl.flock(stream, fcntl.LOCK_EX)
        assert str(lock.holder(tmp_path)) == "process 7 on here, job 5"
    assert lock.holder(tmp_path) is None
    assert lock.last_owner(tmp_path) == "job 5"
    assert lock.acquire(tmp_path).number == 5
