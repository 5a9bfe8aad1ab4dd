"""A process that has lost its run to another one writes nothing more into its folder, whatever it was about to do."""

import os

import pytest
from small_runs import CELL, SETTINGS, copied, folder, run_once, state

from benchmark import __main__, atomic
from benchmark.commands import command_line
from benchmark.evaluation.classification import ClassificationResult
from benchmark.records import heartbeat, lock, lock_files, logs, run_folder, submission
from benchmark.records.heartbeat import Heartbeat, StopRequest
from benchmark.records.run_folder import RunFolder
from benchmark.training import checkpoint, run

# What a result.json needs to be set aside as damaged, and another process to find it done.
TAKERS_FILES = ("result.json", "predictions.npz", "outcome.json", "history.jsonl", "log.txt", "checkpoint.pt")


class Taker:
    """Another machine's process, for which this one has been silent for long. It writes a record of its own."""

    def __init__(self, run: RunFolder, monkeypatch) -> None:
        self.run, self.lock, self._patch = run, None, monkeypatch
        # Beats only at start and end; a beat later than the takeover is what is tested.
        monkeypatch.setattr(heartbeat, "BEAT_SECONDS", 1e9)

    def take_over(self):
        for path in (*self.run.path.glob("claim.*"), self.run.heartbeat):
            if path.exists():
                os.utime(path, (1, 1))
        with self._patch.context() as elsewhere:
            elsewhere.setattr(lock_files, "machine_id", lambda: "elsewhere")
            self.lock = lock.acquire(self.run.path)
        for name in TAKERS_FILES:
            (self.run.path / name).write_bytes(f"the taker's {name}".encode())
        self.before = self._content()

    def assert_undisturbed(self):
        assert self._content() == self.before
        assert not list(self.run.path.glob(".*.tmp"))
        self.lock.verify()

    def _content(self):
        """Besides what this process has not given a name yet."""
        return {path.name: path.read_bytes() for path in self.run.path.iterdir() if path.suffix != ".tmp"}


def _when(monkeypatch, module, name, act):
    """Let something happen before the first call of ``module.name``."""
    call, done = getattr(module, name), []

    def late(*arguments, **named):
        if not done:
            done.append(True)
            act()
        return call(*arguments, **named)

    monkeypatch.setattr(module, name, late)


MOMENTS = {
    "the history is written": (checkpoint, "write_history"),
    "the slim checkpoint is being written": (checkpoint.torch, "save"),
    "the result is written": (run_folder, "result_problem"),
}


@pytest.mark.parametrize("moment", MOMENTS)
def test_nothing_is_written_after_the_takeover(nearly_done, tmp_path, monkeypatch, moment):
    places = copied(nearly_done, tmp_path / "runs")
    taker = Taker(folder(places), monkeypatch)
    _when(monkeypatch, *MOMENTS[moment], taker.take_over)
    with pytest.raises(lock.LockHeld, match=r"was taken over by process .* stops without writing"):
        run_once(places)
    taker.assert_undisturbed()


def test_an_error_after_the_takeover_is_no_outcome_of_the_run(nearly_done, tmp_path, monkeypatch, capsys):
    """The process ends as busy, so that its launcher waits for the other one, as for any that was there first."""
    places = copied(nearly_done, tmp_path / "runs")
    taker = Taker(folder(places), monkeypatch)

    def torn(_):
        taker.take_over()
        raise RuntimeError("whatever")

    monkeypatch.setattr(ClassificationResult, "arrays", torn)
    arguments = ["run", CELL.id, "--runs", str(places.runs), "--data", str(places.data), "--threads", "1"]
    settings = " ".join(f"{name}={value}" for name, value in SETTINGS.items())
    assert __main__.main([*arguments, "--set", settings, "--quiet"]) == command_line.BUSY
    assert "taken over by process" in capsys.readouterr().err
    taker.assert_undisturbed()
    assert state(places)[0] == "running"


def test_a_damaged_result_that_is_the_takers_is_not_set_aside(nearly_done, tmp_path, monkeypatch):
    places = copied(nearly_done, tmp_path / "runs")
    folder(places).result.write_text("{")
    taker = Taker(folder(places), monkeypatch)
    _when(monkeypatch, run, "read_result", taker.take_over)
    with pytest.raises(lock.LockHeld, match="taken over"):
        run_once(places)
    taker.assert_undisturbed()


def test_a_heartbeat_after_the_takeover_is_not_written_and_asks_the_run_to_stop(tmp_path, monkeypatch):
    run = RunFolder(tmp_path, verify=lock.acquire(tmp_path).verify)
    taker, request = Taker(run, monkeypatch), StopRequest()
    beating = Heartbeat(run, request)
    beating._beat()
    taker.take_over()
    beating._beat()
    taker.assert_undisturbed()
    assert "taken over" in request.reason


def test_a_log_line_after_the_takeover_is_not_written(tmp_path, monkeypatch):
    run = RunFolder(tmp_path, verify=lock.acquire(tmp_path).verify)
    taker = Taker(run, monkeypatch)
    with logs.log_to_folder(run, quiet=True):
        logs.logging.getLogger("benchmark").warning("before")
        assert "before" in run.log.read_text()
        taker.take_over()
        logs.logging.getLogger("benchmark").warning("after")
        taker.assert_undisturbed()


def test_a_verification_comes_between_the_whole_new_file_and_the_old_ones_end(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    seen = []

    def lost():
        seen.extend(file.read_bytes() for file in tmp_path.glob(".file.*.tmp"))
        raise lock.LockHeld("taken over")

    with pytest.raises(lock.LockHeld):
        atomic.write_file(path, lambda stream: stream.write(b"new"), verify=lost)
    assert seen == [b"new"]
    assert [file.read_bytes() for file in tmp_path.iterdir()] == [b"old"]


@pytest.mark.parametrize(
    ("holder", "has_result", "free"),
    [("", False, True), ("job 1", False, True), ("job 2", False, False), ("", True, False)],
)
def test_who_holds_nothing_writes_no_outcome_over_anothers_work(tmp_path, holder, has_result, free):
    """Ranks that rank 0 has left, and jobs that failed before they held the run."""
    run = RunFolder(tmp_path)
    if has_result:
        run.result.write_text("{}")
    held = lock.acquire(tmp_path, holder) if holder else None
    assert submission.may_write_outcome(run, "job 1") is free
    if held:
        held.release()
