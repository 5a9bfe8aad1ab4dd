"""At most one living process works in a run folder."""

import errno
import json
import os
import signal
import subprocess
import sys
import time

import pytest

from benchmark.errors import RunError
from benchmark.records import lock, lock_files

HOLD = """
import sys, time
from pathlib import Path
from benchmark.records import lock
held = lock.acquire(Path(sys.argv[1]))
print("held", flush=True)
time.sleep(60)
"""


@pytest.fixture
def holding(tmp_path):
    """Another process that holds tmp_path."""
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.wait()


def test_a_held_run_is_refused_and_the_holder_named(tmp_path, holding):
    with pytest.raises(lock.LockHeld, match=str(holding.pid)):
        lock.acquire(tmp_path)
    assert lock.holder(tmp_path).pid == holding.pid


def test_a_released_run_can_be_locked_again(tmp_path):
    held = lock.acquire(tmp_path)
    with pytest.raises(lock.LockHeld):
        lock.acquire(tmp_path)
    held.release()
    held.release()
    assert lock.holder(tmp_path) is None
    lock.acquire(tmp_path).release()
    assert not list(tmp_path.iterdir())


FORK_AND_DIE = """
import os, signal, sys
from pathlib import Path
from benchmark.records import lock
held = lock.acquire(Path(sys.argv[1]))
if os.fork() == 0:
    print("forked", flush=True)
    sys.stdin.read()
    os._exit(0)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_processes_that_a_killed_holder_leaves_behind_do_not_hold_for_it(tmp_path):
    """A run's decoding processes, which notice its end seconds later."""
    command = [sys.executable, "-c", FORK_AND_DIE, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout.readline() == "forked\n"
        assert holder.wait() == -signal.SIGKILL
        assert lock.was_started(tmp_path)
        assert lock.holder(tmp_path) is None


def test_a_fork_of_a_living_holder_takes_nothing_from_it(tmp_path):
    held = lock.acquire(tmp_path)
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
    assert lock.holder(tmp_path).pid == os.getpid()
    held.release()


def test_a_killed_holder_is_dead_at_once(tmp_path, holding):
    holding.send_signal(signal.SIGKILL)
    holding.wait()
    assert lock.was_started(tmp_path)
    assert lock.holder(tmp_path) is None
    lock.acquire(tmp_path).release()


def test_a_reused_process_id_does_not_keep_a_dead_lock_alive(tmp_path, holding):
    holding.send_signal(signal.SIGKILL)
    holding.wait()
    path = tmp_path / "claim.1"
    content = json.loads(path.read_text())
    path.write_text(json.dumps({**content, "pid": os.getpid()}))  # a living process, another one
    assert lock.holder(tmp_path) is None


def _lock_of_another_machine(folder, age):
    path = folder / "claim.1"
    path.write_text(json.dumps({"machine": "elsewhere 123", "host": "elsewhere", "pid": 1, "since": 0.0}))
    beat = folder / "heartbeat.json"
    beat.write_text("{}")
    for file in (path, beat):
        os.utime(file, (time.time() - age, time.time() - age))


def test_another_machines_holder_lives_by_its_heartbeat(tmp_path):
    _lock_of_another_machine(tmp_path, age=lock_files.SILENT_SECONDS / 2)
    assert lock.holder(tmp_path).host == "elsewhere"
    with pytest.raises(lock.LockHeld, match="elsewhere"):
        lock.acquire(tmp_path)
    _lock_of_another_machine(tmp_path, age=lock_files.SILENT_SECONDS * 2)
    assert lock.holder(tmp_path) is None


@pytest.fixture
def suspended(tmp_path, monkeypatch):
    """A lock of this process that another machine has taken over and given back, and a third one's of its number."""
    held = lock.acquire(tmp_path)
    os.utime(tmp_path / "claim.1", (1, 1))
    with monkeypatch.context() as elsewhere:
        elsewhere.setattr(lock_files, "machine_id", lambda: "elsewhere")
        taken = lock.acquire(tmp_path)
        assert taken.number == 2
        with pytest.raises(lock.LockHeld, match="taken over by process"):
            held.verify()
        taken.release()
        third = lock.acquire(tmp_path)
    assert third.number == held.number
    yield held, third
    third.release()


def test_who_was_taken_over_learns_it_though_its_number_came_again(suspended):
    held, third = suspended
    with pytest.raises(RunError, match=r"taken over by process .* stops without writing"):
        held.verify()
    third.verify()


def test_who_was_taken_over_leaves_a_strangers_lock_of_its_number(suspended):
    held, third = suspended
    held.release()
    third.verify()


def test_a_lock_that_cannot_be_read_is_not_called_taken_over(tmp_path, monkeypatch):
    held = lock.acquire(tmp_path)

    def refuse(*_):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(RunError, match=r"cannot read .*claim\.1 \(Input/output error\)"):
        held.verify()


def between(monkeypatch, act):
    """Let something happen after a process has looked at a folder and before it makes its own claim."""
    create, done = lock._create_lock, []

    def late(*arguments):
        if not done:
            done.append(True)
            act()
        return create(*arguments)

    monkeypatch.setattr(lock, "_create_lock", late)


def test_a_lock_made_after_the_look_is_respected(tmp_path, monkeypatch):
    others = []
    between(monkeypatch, lambda: others.append(lock.acquire(tmp_path)))
    with pytest.raises(lock.LockHeld, match=str(os.getpid())):
        lock.acquire(tmp_path)
    others[0].verify()


def test_a_lock_made_after_the_look_is_respected_also_under_a_number_of_before(tmp_path, monkeypatch):
    """What was judged dead was taken over and given back meanwhile, so that the numbers began again."""
    _lock_of_another_machine(tmp_path, age=lock_files.WATCHED_AGE * 2)
    others = []

    def take_over_and_lock_again():
        lock.acquire(tmp_path).release()
        others.append(lock.acquire(tmp_path))

    between(monkeypatch, take_over_and_lock_again)
    with pytest.raises(lock.LockHeld):
        lock.acquire(tmp_path)
    others[0].verify()
    assert [path.name for path in tmp_path.glob("claim.*")] == ["claim.1"]


def test_a_machine_whose_clock_is_ahead_does_not_take_a_living_run(tmp_path, monkeypatch):
    _lock_of_another_machine(tmp_path, age=5)
    ahead = time.time() + 10 * lock_files.SILENT_SECONDS
    monkeypatch.setattr(time, "time", lambda: ahead)
    assert lock.holder(tmp_path).host == "elsewhere"
    with pytest.raises(lock.LockHeld):
        lock.acquire(tmp_path)


def test_a_silent_run_whose_heart_beats_is_not_taken(tmp_path, monkeypatch):
    """Where each machine stamps the files that it writes, and the clocks differ."""
    monkeypatch.setattr(lock_files, "WATCH_SECONDS", 0.5)
    _lock_of_another_machine(tmp_path, age=2 * lock_files.SILENT_SECONDS)
    beat = tmp_path / "heartbeat.json"
    early = beat.stat().st_mtime
    with monkeypatch.context() as beats:
        beats.setattr(time, "sleep", lambda _: os.utime(beat, (early + 10, early + 10)))
        with pytest.raises(lock.LockHeld, match="elsewhere"):
            lock.acquire(tmp_path)
    assert lock.acquire(tmp_path).number == 2  # no beat in the time that it is watched


def test_where_nothing_may_be_written_this_machines_clock_serves_with_one_warning(
    tmp_path, monkeypatch, caplog
):
    def refuse(*_):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(lock_files, "_file_stamp", refuse)
    monkeypatch.setattr(lock_files, "_clock_offsets", {})
    monkeypatch.setattr(lock_files, "_warned", False)
    _lock_of_another_machine(tmp_path, age=5)
    assert lock.holder(tmp_path).host == "elsewhere"
    _lock_of_another_machine(tmp_path, age=2 * lock_files.SILENT_SECONDS)
    assert lock.holder(tmp_path) is None
    assert caplog.text.count("clock cannot be read") == 1
