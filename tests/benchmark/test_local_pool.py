"""The local launcher: slots, failures, other launchers, interruption. Runs are stand-in processes here."""

import io
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace

import pytest

from benchmark.commands import command_line, pool
from benchmark.commands.launch import report
from benchmark.commands.live_view import LiveView
from benchmark.config.grid import select
from benchmark.errors import RunError
from benchmark.records import lock
from benchmark.records.run_folder import RunFolder
from benchmark.records.status import RunView

CELLS = select(["cub/*/*"], "table1")


@pytest.fixture
def views(tmp_path):
    made = []
    for cell in CELLS[:5]:
        folder = RunFolder(tmp_path / cell.id)
        folder.make()
        made.append(RunView(cell, 0, "missing", "", None, folder, config=object()))
    return made


def launch(views, script, slots=None, look=lambda view: view):
    out = io.StringIO()
    command = lambda view: [sys.executable, "-c", script, str(view.folder.path)]  # noqa: E731
    summary = pool.launch(views, command, slots or pool.Slots(2, 1, ()), look=look, show=LiveView(out))
    return summary, out.getvalue()


MARK = (
    "import sys, time, pathlib; p = pathlib.Path(sys.argv[1]); (p / 'begin').write_text(repr(time.time()));"
)
DONE = MARK + "time.sleep(0.4); (p / 'end').write_text(repr(time.time()))"


def spans(views):
    return [
        (float((v.folder.path / "begin").read_text()), float((v.folder.path / "end").read_text()))
        for v in views
    ]


@pytest.mark.parametrize("jobs", [1, 2])
def test_everything_runs_and_never_more_than_the_slots_at_once(views, jobs):
    summary, _ = launch(views, DONE, pool.Slots(jobs, 1, ()))
    assert summary.finished == 5
    assert not summary.failed
    moments = spans(views)
    most = max(sum(begin <= moment < end for begin, end in moments) for moment, _ in moments)
    assert most == jobs


def test_a_failed_run_is_named_with_its_reason_and_the_others_go_on(views):
    bad = views[1].folder.path
    script = (
        "import sys, pathlib, json; p = pathlib.Path(sys.argv[1])\n"
        f"if str(p) == {str(bad)!r}:\n"
        "    (p / 'outcome.json').write_text(json.dumps({'state': 'failed', 'message': 'torn.jpg is torn'}))\n"
        "    sys.exit(2)\n"
    )
    summary, shown = launch(views, script)
    assert summary.finished == 4
    assert summary.failed == {views[1].id: "torn.jpg is torn"}
    assert f"FAILED {views[1].id}" in shown


def test_a_run_that_dies_without_a_word_shows_its_last_words(views):
    summary, _ = launch(views[:2], "import os; print('the end', flush=True); os.kill(os.getpid(), 9)")
    assert len(summary.failed) == 2
    assert all("killed by SIGKILL; last words: the end" in reason for reason in summary.failed.values())


def test_only_what_is_missing_failed_or_preempted_starts(views):
    states = ["done", "stale", "no-data", "failed", "preempted"]
    given = [replace(view, state=state) for view, state in zip(views, states, strict=True)]
    summary, _ = launch(given, DONE)
    started = [view.state for view in given if (view.folder.path / "begin").exists()]
    assert started == ["failed", "preempted"]
    assert summary.finished == 2
    assert list(summary.stale) == [given[1].id]


def test_what_was_handed_to_a_cluster_is_left_to_it_and_told(views, capsys):
    given = [replace(view, state="queued", reason="submitted as job 9_0") for view in views[:2]]
    summary, _ = launch([*given, views[2]], DONE)
    assert summary.finished == 1
    assert summary.queued == {view.id: "submitted as job 9_0" for view in given}
    assert not (given[0].folder.path / "begin").exists()
    assert report(summary) == 1
    assert "make cancel takes them back" in capsys.readouterr().err
    assert report(replace(summary, queued={})) == 0


def test_a_run_of_another_launcher_is_waited_for(views):
    held = lock.acquire(views[0].folder.path)
    threading.Timer(1.5, held.release).start()
    script = (
        "import sys, pathlib\n"
        "from benchmark.records import lock\n"
        "try:\n"
        "    lock.acquire(pathlib.Path(sys.argv[1]))\n"
        f"except lock.LockHeld:\n    sys.exit({command_line.BUSY})\n"
        "(pathlib.Path(sys.argv[1]) / 'ran').touch()\n"
    )
    summary, shown = launch(views[:2], script)
    assert summary.finished == 2
    assert "worked on by another process; waiting" in shown
    assert (views[0].folder.path / "ran").exists()


@pytest.mark.parametrize("seen_at_start", [True, False])
def test_what_another_launcher_has_finished_is_not_started(views, seen_at_start):
    """Whether it was at work from the start, or was faster to lock the run."""
    held = lock.acquire(views[0].folder.path)
    threading.Timer(1.5, held.release).start()
    script = MARK + f"sys.exit({command_line.BUSY})"
    given = [replace(views[0], state="running" if seen_at_start else "missing")]
    summary, shown = launch(given, script, look=lambda view: replace(view, state="done"))
    assert (summary.finished, summary.failed) == (1, {})
    assert (views[0].folder.path / "begin").exists() is not seen_at_start
    assert f"done  {views[0].id} by another process (1/1)" in shown


def test_what_a_third_launcher_has_taken_meanwhile_is_waited_for_again(views):
    looks = iter(["running", "done"])
    given = [replace(views[0], state="running")]
    summary, _ = launch(given, DONE, look=lambda view: replace(view, state=next(looks)))
    assert summary.finished == 1
    assert not list(looks)


def test_each_slot_has_a_gpu_of_its_own(views):
    script = MARK + "import os; time.sleep(0.3); (p / 'gpu').write_text(os.environ['CUDA_VISIBLE_DEVICES'])"
    launch(views[:2], script, pool.Slots(2, 1, ("3", "5")))
    assert {(view.folder.path / "gpu").read_text() for view in views[:2]} == {"3", "5"}


def test_an_interrupt_reaches_the_runs_once_and_starts_no_more(views):
    script = (
        MARK + "import signal\n"
        "def save(*_):\n    (p / 'saved').touch(); sys.exit(130)\n"
        "signal.signal(signal.SIGTERM, save)\n"
        "(p / 'ready').touch()\n"
        "time.sleep(30)\n"
    )

    def interrupt():
        while sum((view.folder.path / "ready").exists() for view in views) < 2:
            time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt).start()
    began = time.monotonic()
    summary, shown = launch(views, script)
    assert summary.interrupted
    assert time.monotonic() - began < 20
    assert sum((view.folder.path / "saved").exists() for view in views) == 2
    assert sum((view.folder.path / "begin").exists() for view in views) == 2
    assert "FAILED" not in shown


WAIT = MARK + "time.sleep(60)"


def test_a_signal_that_comes_while_a_run_starts_reaches_it(views, monkeypatch):
    """A start takes seconds where the fork server has to import torch first."""
    real = pool.start_process

    def interrupted_start(*arguments, **options):
        process = real(*arguments, **options)
        os.kill(os.getpid(), signal.SIGTERM)
        return process

    monkeypatch.setattr(pool, "start_process", interrupted_start)
    summary, _ = launch(views, WAIT)
    assert summary.interrupted
    assert len(summary.failed) == 1  # the one that had started; its stand-in ends without a result
    assert not any((view.folder.path / "end").exists() for view in views)


def test_after_an_error_of_the_launcher_its_runs_are_told_to_end(views, monkeypatch):
    """Processes of a fork server would hold the launcher's end up until they are done."""
    started = []
    real = pool.start_process
    monkeypatch.setattr(
        pool, "start_process", lambda *of, **options: started.append(real(*of, **options)) or started[-1]
    )
    monkeypatch.setattr(LiveView, "refresh", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        launch(views, WAIT)
    assert [process.wait(30) for process in started] == [-signal.SIGTERM] * 2


def test_a_launcher_that_is_killed_takes_its_runs_along(tmp_path):
    """The run notices that its parent is gone; here the parent is a shell that is killed."""
    child = (
        "import sys, pathlib, os, time\n"
        "from benchmark.records.heartbeat import Heartbeat, StopRequest\n"
        "from benchmark.records.run_folder import RunFolder\n"
        "stop = StopRequest(); folder = RunFolder(pathlib.Path(sys.argv[1]))\n"
        "with Heartbeat(folder, stop, dict, int(sys.argv[2])):\n"
        "    (folder.path / 'up').touch()\n"
        "    while not stop.reason: time.sleep(0.05)\n"
        "(folder.path / 'reason').write_text(stop.reason)\n"
    )
    parent = (
        "import subprocess, sys, os, time\n"
        f"subprocess.Popen([sys.executable, '-c', {child!r}, {str(tmp_path)!r}, str(os.getpid())])\n"
        "time.sleep(60)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", parent])
    deadline = time.monotonic() + 30
    while not (tmp_path / "up").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    process.kill()
    process.wait()
    while not (tmp_path / "reason").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert (tmp_path / "reason").read_text() == "stopped because its launcher is gone"


@pytest.mark.parametrize("jobs", [0, -1])
def test_no_slot_is_refused(jobs):
    with pytest.raises(RunError, match="at least one"):
        pool.plan_slots("cpu", 5, jobs)


def test_slots_fit_the_machine(monkeypatch):
    monkeypatch.setattr(pool.os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    monkeypatch.setattr(pool, "_memory_bytes", lambda: 64 * 2**30)
    assert pool.plan_slots("cpu", 30, None) == pool.Slots(8, 1, ())
    assert pool.plan_slots("cpu", 2, None) == pool.Slots(2, 4, ())
    assert pool.plan_slots("cpu", 30, 3) == pool.Slots(3, 2, ())
    monkeypatch.setattr(pool, "_memory_bytes", lambda: 13 * 2**30)
    assert pool.plan_slots("cpu", 30, None).jobs == 2
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1,2")
    assert pool.plan_slots("cuda", 30, None) == pool.Slots(3, 2, ("0", "1", "2"))


def test_on_a_terminal_the_live_block_is_redrawn_in_place(views):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    out = Terminal()
    show = LiveView(out)
    show.start(views)
    views[0].folder.heartbeat.write_text('{"time": 0.0, "epoch": 1, "epochs": 4, "step": 5, "steps": 10}')
    show.refresh(views[:1], 4, [])
    show.ended(views[0], "", 3.0)
    show.stop()
    text = out.getvalue()
    assert "epoch 2/4" in text
    assert "\x1b[2F\x1b[J" in text
    assert "1/5" in text
