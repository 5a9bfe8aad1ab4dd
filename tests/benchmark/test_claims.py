"""At most one living process works in a run folder."""

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time

import pytest

from benchmark import claim
from benchmark.errors import RunError

HOLD = """
import sys, time
from pathlib import Path
from benchmark import claim
held = claim.acquire(Path(sys.argv[1]))
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
    with pytest.raises(claim.Busy, match=str(holding.pid)):
        claim.acquire(tmp_path)
    assert claim.holder(tmp_path).pid == holding.pid


def test_a_released_run_can_be_claimed_again(tmp_path):
    held = claim.acquire(tmp_path)
    with pytest.raises(claim.Busy):
        claim.acquire(tmp_path)
    held.release()
    held.release()
    assert claim.holder(tmp_path) is None
    claim.acquire(tmp_path).release()
    assert not list(tmp_path.iterdir())


FORK_AND_DIE = """
import os, signal, sys
from pathlib import Path
from benchmark import claim
held = claim.acquire(Path(sys.argv[1]))
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
        assert claim.was_started(tmp_path)
        assert claim.holder(tmp_path) is None


def test_a_fork_of_a_living_holder_takes_nothing_from_it(tmp_path):
    held = claim.acquire(tmp_path)
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
    assert claim.holder(tmp_path).pid == os.getpid()
    held.release()


def test_a_killed_holder_is_dead_at_once(tmp_path, holding):
    holding.send_signal(signal.SIGKILL)
    holding.wait()
    assert claim.was_started(tmp_path)
    assert claim.holder(tmp_path) is None
    claim.acquire(tmp_path).release()


def test_a_reused_process_id_does_not_keep_a_dead_claim_alive(tmp_path, holding):
    holding.send_signal(signal.SIGKILL)
    holding.wait()
    path = tmp_path / "claim.1"
    content = json.loads(path.read_text())
    path.write_text(json.dumps({**content, "pid": os.getpid()}))  # a living process, another one
    assert claim.holder(tmp_path) is None


def _race(folder, start, won):
    start.wait()
    try:
        claim.acquire(folder)
    except claim.Busy:
        return
    won.put(os.getpid())
    time.sleep(2)


def test_of_many_processes_at_one_moment_one_wins(tmp_path, holding):
    holding.send_signal(signal.SIGKILL)  # leaves a dead claim, so that all of them want to take over
    holding.wait()
    fork = multiprocessing.get_context("fork")
    start, won = fork.Event(), fork.Queue()
    racers = [fork.Process(target=_race, args=(tmp_path, start, won)) for _ in range(12)]
    for racer in racers:
        racer.start()
    start.set()
    for racer in racers:
        racer.join()
    winners = []
    while not won.empty():
        winners.append(won.get())
    assert len(winners) == 1


def _claim_of_another_machine(folder, age):
    path = folder / "claim.1"
    path.write_text(json.dumps({"machine": "elsewhere 123", "host": "elsewhere", "pid": 1, "since": 0.0}))
    beat = folder / "heartbeat.json"
    beat.write_text("{}")
    for file in (path, beat):
        os.utime(file, (time.time() - age, time.time() - age))


def test_another_machines_holder_lives_by_its_heartbeat(tmp_path):
    _claim_of_another_machine(tmp_path, age=claim.SILENT_SECONDS / 2)
    assert claim.holder(tmp_path).host == "elsewhere"
    with pytest.raises(claim.Busy, match="elsewhere"):
        claim.acquire(tmp_path)
    _claim_of_another_machine(tmp_path, age=claim.SILENT_SECONDS * 2)
    assert claim.holder(tmp_path) is None


def test_who_was_taken_over_learns_it_before_writing(tmp_path):
    held = claim.acquire(tmp_path)
    held.verify()
    (tmp_path / "claim.2").write_text("{}")
    with pytest.raises(RunError, match="taken over"):
        held.verify()


def test_a_torn_claim_has_no_holder(tmp_path):
    (tmp_path / "claim.1").write_text('{"machine": ')
    assert claim.holder(tmp_path) is None
    assert claim.acquire(tmp_path).number == 2
