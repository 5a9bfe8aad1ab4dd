"""A run's history as TensorBoard's event files, in ``tensorboard/`` of the run folder (no torch)."""

from __future__ import annotations

import os
import socket
import time
from pathlib import Path

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.plugins.hparams.summary_v2 import hparams_pb
from tensorboard.summary.writer.record_writer import RecordWriter

from benchmark.records import RunFolder
from benchmark.trackers import facts


class TensorBoard:
    """Scalars by epoch, and the settings for the HPARAMS page. An attempt writes a file of its own.

    described: the run, as ``facts.settings`` has it. epochs: how many finished ones the attempt goes on from; what
        earlier attempts wrote of them stays, and what they wrote of later ones is withdrawn.
    """

    def __init__(self, folder: RunFolder, described: dict[str, facts.Plain], epochs: int) -> None:
        place = folder.path / "tensorboard"
        place.mkdir(exist_ok=True)
        self._kept = _written(place, epochs)
        self._last = epochs
        # TensorBoard reads a folder's files in the order of their names.
        name = f"events.out.tfevents.{time.time():017.6f}.{socket.gethostname()}.{os.getpid()}"
        self._file = open(place / name, "xb")
        self._records = RecordWriter(self._file)
        self._write(file_version="brain.Event:2")
        # A reader that meets this forgets what it has of this step and later ones.
        self._write(session_log=SessionLog(status=SessionLog.START), step=self._kept + 1)
        self._write(summary=hparams_pb(described))
        self._file.flush()

    def epoch(self, entry: dict) -> None:
        """Its numbers, with the epoch as step."""
        if entry["epoch"] > self._kept:
            self._scalars(facts.numbers(entry), entry["epoch"])
        self._last = entry["epoch"]

    def result(self, metrics: dict[str, float]) -> None:
        """The finished run's metrics, at its last epoch."""
        self._scalars({f"result/{name}": value for name, value in metrics.items()}, self._last)

    def close(self) -> None:
        """Close the event file."""
        self._file.close()

    def _scalars(self, named: dict[str, float], step: int) -> None:
        values = [Summary.Value(tag=name, simple_value=value) for name, value in named.items()]
        self._write(summary=Summary(value=values), step=step)
        self._file.flush()

    def _write(self, **fields: object) -> None:
        self._records.write(Event(wall_time=time.time(), **fields).SerializeToString())


def _written(place: Path, epochs: int) -> int:
    """How many of the first epochs a folder's event files have, all from the first one on."""
    found = EventAccumulator(str(place), size_guidance={"scalars": 0}).Reload()
    steps = {event.step for event in found.Scalars("lr")} if "lr" in found.Tags()["scalars"] else set()
    return next(count for count in range(epochs + 1) if count == epochs or count + 1 not in steps)
