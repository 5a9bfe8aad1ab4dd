"""Lines within an epoch: what they say, and that nothing else waits for the device."""

import logging

import pytest
import torch

from benchmark.training import step_log
from benchmark.training.step_log import StepLog, TrainingProgress


class OnDevice:
    """Losses that count how often they are read back, as reading waits for a GPU."""

    reads = 0

    def __init__(self, *values):
        self.values = values

    def __mul__(self, factor):
        return OnDevice(*(value * factor for value in self.values))

    def __radd__(self, zero):
        return OnDevice(*(zero + value for value in self.values))

    def __add__(self, other):
        return OnDevice(*(a + b for a, b in zip(self.values, other.values, strict=True)))

    def __truediv__(self, divisor):
        return self * (1 / divisor)

    def tolist(self):
        OnDevice.reads += 1
        return list(self.values)


def follow(log, losses, *, epochs=2, images=4):
    """Epochs of ``len(losses)`` steps."""
    taken = 0
    for epoch in range(epochs):
        for step, loss in log.epoch(
            enumerate(losses, 1), TrainingProgress(epoch=epoch), steps=len(losses), epochs=epochs
        ):
            taken += 1
            log.add(loss, images)
            log.tell(taken, f"epoch {epoch + 1}, step {step}", 0.125)


@pytest.fixture
def lines(caplog):
    caplog.set_level(logging.INFO, "benchmark")
    return lambda: [record.getMessage().rpartition("; ")[0] for record in caplog.records]


@pytest.fixture(autouse=True)
def nothing_read():
    OnDevice.reads = 0


def test_a_line_every_few_steps_of_the_run_with_the_means_since_the_last(lines):
    losses = [OnDevice(float(value), 10.0 * value) for value in (1, 2, 6, 3, 5)]
    follow(StepLog(["sa", "glca"], every=3, bar=False), losses)
    assert lines() == [
        "epoch 1, step 3; loss sa 3.0000 glca 30.0000; lr 0.125",
        "epoch 2, step 1; loss sa 3.0000 glca 30.0000; lr 0.125",
        "epoch 2, step 4; loss sa 3.6667 glca 36.6667; lr 0.125",
    ]


def test_pictures_count_alike_whatever_the_batch(lines):
    log = StepLog(["sa"], every=2, bar=False)
    for _ in log.epoch(range(1), TrainingProgress(), steps=1, epochs=1):
        log.add(torch.tensor([1.0], dtype=torch.float64), 16)
        log.add(torch.tensor([3.0], dtype=torch.float64), 4)
        log.tell(2, "here", 0.125)
    assert lines() == ["here; loss sa 1.4000; lr 0.125"]


@pytest.mark.parametrize(("every", "reads"), [(1, 10), (3, 3), (4, 2), (0, 0)])
def test_the_device_is_waited_for_at_logged_steps_alone(every, reads):
    follow(StepLog(["sa"], every=every, bar=False), [OnDevice(1.0)] * 5)
    assert OnDevice.reads == reads


@pytest.mark.parametrize(("seconds", "reads"), [(0, 5), (1e9, 0)])
def test_for_the_bar_alone_it_is_waited_for_once_in_so_many_seconds(monkeypatch, lines, seconds, reads):
    monkeypatch.setattr(step_log, "BAR_SECONDS", seconds)
    follow(StepLog(["sa"], every=0, bar=True), [OnDevice(1.5)] * 5, epochs=1)
    assert (OnDevice.reads, lines()) == (reads, [])


@pytest.mark.parametrize("every", [0, 2])
def test_the_bar_shows_the_loss(monkeypatch, capsys, every):
    monkeypatch.setattr(step_log, "BAR_SECONDS", 0)
    follow(StepLog(["sa", "glca"], every=every, bar=True), [OnDevice(1.5, 2.25)] * 4, epochs=1)
    shown = capsys.readouterr().err
    assert "epoch 1/1" in shown
    assert "sa 1.5000 glca 2.2500" in shown


def minute_later(monkeypatch):
    """Let a minute pass between any two looks at the clock."""
    clock = iter(range(0, 10**9, 61))
    monkeypatch.setattr(step_log.time, "monotonic", lambda: float(next(clock)))


def test_without_a_bar_a_line_a_minute_shows_that_the_run_goes_on(monkeypatch, caplog):
    caplog.set_level(logging.INFO, "benchmark")
    minute_later(monkeypatch)
    log = StepLog(["sa"], every=0, bar=False)
    for _ in log.epoch(range(1), TrainingProgress(epoch=2), steps=4, epochs=9):
        log.add(torch.tensor([1.25], dtype=torch.float64), 16)
        log.tell(9, "epoch 3/9, step 1/4", 0.125, 7200.0)
    (line,) = [record.getMessage() for record in caplog.records]
    assert line.startswith("epoch 3/9, step 1/4; loss sa 1.2500; lr 0.125; ")
    assert line.endswith(" images/s, 2 h 00 min left")


def test_an_evaluation_says_a_line_a_minute_too(monkeypatch, caplog):
    caplog.set_level(logging.INFO, "benchmark")
    minute_later(monkeypatch)
    assert list(StepLog(["sa"], every=0, bar=False).evaluation(3)) == [0, 1, 2]
    assert [record.getMessage() for record in caplog.records] == [
        f"evaluation: {number} of 3 batches" for number in range(3)
    ]


def test_the_bar_shows_the_time_that_the_run_has_left(monkeypatch, capsys):
    monkeypatch.setattr(step_log, "BAR_SECONDS", 0)
    log = StepLog(["sa"], every=0, bar=True)
    for left in log.epoch([None, 720.0], TrainingProgress(), steps=2, epochs=3):
        log.add(torch.tensor([1.0], dtype=torch.float64), 16)
        log.tell(1, "", 0.125, left)
    shown = capsys.readouterr().err
    assert "epoch 1/3, time left unknown" in shown
    assert "epoch 1/3, 12 min left" in shown


def test_the_time_left_follows_the_pace_of_the_run_so_far():
    book = TrainingProgress(train_seconds=90.0, epoch_seconds=20.0, evaluate_seconds=10.0)
    assert book.remaining_seconds(30, 120) == pytest.approx(360)
    assert book.remaining_seconds(0, 120) is None
    book.evaluate_seconds = float("nan")  # a book from before evaluations were timed
    assert book.remaining_seconds(30, 120) == pytest.approx(330)
