"""Real processes that want the same run folders at the same moments: one gets each, never two, never none."""

import errno
import json
import multiprocessing
import os
import random
import shutil
import tempfile
import time
from pathlib import Path

import pytest

from benchmark.records import lock

FORK = multiprocessing.get_context("fork")
STAGGER_SECONDS = 0.0005
AT_ONCE = 20  # folders that are raced for between two meetings
LIMIT_SECONDS = 300  # of a wait for the others, on a machine however busy
KINDS = ("empty", "of a killed process", "silent for long", "given back meanwhile")


@pytest.fixture
def folders(tmp_path):
    """In memory where there is such a place: flushing to a disk would take most of the time."""
    memory = Path("/dev/shm")
    usable = memory.is_dir() and os.access(memory, os.W_OK)
    root = Path(tempfile.mkdtemp(dir=memory if usable else tmp_path))
    yield root
    shutil.rmtree(root)


def _prepare(folder, kind):
    """The folder as the processes come upon it; returns the lock that is given back while they race."""
    folder.mkdir()
    if kind == "of a killed process":
        lock.acquire(folder).close()
    if kind == "silent for long":
        content = {"machine": "elsewhere", "host": "elsewhere", "pid": 1, "since": 0.0}
        (folder / "claim.3").write_text(json.dumps(content))
        os.utime(folder / "claim.3", (1, 1))
    return lock.acquire(folder, "before the race") if kind == "given back meanwhile" else None


def _contend(number, root, races, meet, won):
    """One long-lived process: it tries once for each folder, and holds what it got until all have tried."""
    try:
        _races(number, root, races, meet, won)
    except BaseException:
        meet.abort()  # the others would wait for it
        raise


def _races(number, root, races, meet, won):
    draw = random.Random(number)
    for first in range(0, races, AT_ONCE):
        batch = [(race, root / str(race), KINDS[race % len(KINDS)]) for race in range(first, first + AT_ONCE)]
        given_back = {race: _prepare(folder, kind) for race, folder, kind in batch if number == 0}
        meet.wait(LIMIT_SECONDS)
        held = []
        for race, folder, kind in batch:
            time.sleep(draw.uniform(0, STAGGER_SECONDS))
            if given_back.get(race):
                given_back[race].release()
            elif kind != "given back meanwhile" or number:
                if mine := _try(folder, kind):
                    held.append(mine)
                    won[race * meet.parties + number] = True
        meet.wait(LIMIT_SECONDS)
        for mine in held:
            mine.verify()
            mine.release()


def _try(folder, kind):
    while True:
        try:
            return lock.acquire(folder)
        except lock.LockHeld as busy:
            # Process 0 gives the folder back in a moment; whoever else holds it has won.
            if kind != "given back meanwhile" or busy.holder.owner != "before the race":
                return None


@pytest.mark.parametrize(("contenders", "races"), [(2, 1400), (4, 600)])
def test_one_of_them_gets_each_folder(folders, contenders, races):
    meet, won = FORK.Barrier(contenders), FORK.Array("b", races * contenders)
    _run(_contend, [(number, folders, races, meet, won) for number in range(contenders)])
    winners = [sum(won[race * contenders : (race + 1) * contenders]) for race in range(races)]
    assert sum(count > 1 for count in winners) == 0, "held twice"
    assert sum(count < 1 for count in winners) == 0, "held by nobody"
    assert not [name for race in range(races) for name in os.listdir(folders / str(race))]


def _take_turns(number, folder, turns, inside, entered):
    while True:
        try:
            held = lock.acquire(folder)
        except lock.LockHeld:
            if entered.value >= turns:
                return
            continue
        with inside.get_lock():
            inside.value += 1
            assert inside.value == 1, "two processes hold the folder"
        held.verify()
        with inside.get_lock():
            inside.value -= 1
        entered.value += 1
        held.release()
        if entered.value >= turns:
            return


@pytest.mark.parametrize("links", [True, False], ids=["hard links", "no hard links"])
def test_who_comes_while_another_gives_back_never_holds_beside_a_third(folders, monkeypatch, links):
    """All in one folder, whose numbers come again and again."""
    if not links:
        monkeypatch.setattr(os, "link", _refuse)
    inside, entered = FORK.Value("i", 0), FORK.Value("i", 0)
    _run(_take_turns, [(number, folders, 400, inside, entered) for number in range(3)])
    assert entered.value >= 400
    assert not os.listdir(folders)


def _refuse(*_):
    raise OSError(errno.EPERM, os.strerror(errno.EPERM))


def _run(target, arguments):
    processes = [FORK.Process(target=target, args=given) for given in arguments]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * len(processes)
