"""What training wrote down epoch by epoch, read from history.jsonl whatever its state (no torch)."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass

from benchmark.config.paper import REPORTED_METRICS
from benchmark.config.parse import amount
from benchmark.reading import damage_text, read_bytes
from benchmark.records.run_folder import read_json
from benchmark.records.status import RunView
from tables.formats import one_line

BRANCHES = ("sa", "glca", "pwca")
# Per task: the recorded name of the metric whose curve is drawn, which is the published one.
HISTORY_BYTES = 2**26  # a line an epoch has some hundred
_LONGEST = 80  # characters of a foreign name in a note
_LARGEST = 1e30  # of a drawn value: far beyond what training gives, within what axes can be divided into
_LAST_EPOCH = 1_000_000

Curve = Mapping[int, float]  # epoch, from 1 → value; only epochs that have a finite one


@dataclass(frozen=True)
class History:
    """One run's curves; a branch that the run does not have, or that its file does not name, is absent.

    loss, w: by branch. metric: in percent, by branch, where ``both`` is the run's prediction. lr: the learning rate.
    notes: what is missing or was left out, in words.
    """

    method: str
    seed: int
    loss: Mapping[str, Curve]
    w: Mapping[str, Curve]
    metric: Mapping[str, Curve]
    lr: Curve
    notes: tuple[str, ...]

    @property
    def empty(self) -> bool:
        """Whether there is nothing to draw."""
        return not (self.lr or any(map(len, (self.loss, self.w, self.metric))))


def read_history(run: RunView) -> History:
    """The curves of a run in any state; empty, with the reason in ``notes``, where there are none.

    Lines that are torn or no epoch's, and values that are no finite numbers or absurdly large, are left out and counted
    in ``notes``.
    """
    if foreign := _foreign(run):
        return History(run.cell.method, run.seed, {}, {}, {}, {}, (foreign,))
    entries, notes = _entries(run)
    curves = _Curves(REPORTED_METRICS[run.cell.task][0])
    for epoch in sorted(entries):
        curves.add(epoch, entries[epoch])
    notes += curves.notes()
    return History(
        run.cell.method, run.seed, curves.kept("loss"), curves.kept("w"), curves.kept("metric"),
        curves.kept("lr").get("", {}), tuple(f"{run.id}: {note}" for note in notes),
    )  # fmt: skip


def _foreign(run: RunView) -> str:
    """Why a folder's history is of something else than the run asked for, or ""."""
    if run.state == "stale":
        return f"{run.id}: its history is of a stale run and not drawn"
    started = (read_json(run.folder.config) or {}).get("hash")
    if started is not None and started != run.config.hash and run.folder.history.exists():
        return f"{run.id}: its history is of other settings and not drawn"
    return ""


def _entries(run: RunView) -> tuple[dict[int, dict], list[str]]:
    """The entries by epoch, and what was wrong with the file."""
    try:
        text = read_bytes(run.folder.history, HISTORY_BYTES).decode("utf-8", errors="replace")
    except FileNotFoundError:
        wanted = run.state in ("done", "running", "preempted", "failed", "damaged")
        return {}, ["it has no history.jsonl"] if wanted else []
    except OSError as error:
        return {}, [f"history.jsonl cannot be read ({damage_text(run.folder.history, error)})"]
    entries, bad, twice = {}, 0, 0
    for line in text.splitlines():
        try:
            entry = json.loads(line)
        except (ValueError, RecursionError):
            entry = None
        epoch = entry.get("epoch") if isinstance(entry, dict) else None
        if type(epoch) is not int or not 1 <= epoch <= _LAST_EPOCH:
            bad += 1
            continue
        twice += epoch in entries
        entries[epoch] = entry
    notes = []
    if bad:
        notes.append(f"{amount(bad, 'line')} of its history left out: torn, or no epoch's")
    if twice:
        notes.append(f"{amount(twice, 'epoch')} recorded twice, the later line is drawn")
    return entries, notes


class _Curves:
    """Collects the values of one run. metric: the recorded name of the one to draw."""

    def __init__(self, metric: str) -> None:
        self._metric_names = {metric: "both", f"sa_{metric}": "sa", f"glca_{metric}": "glca"}
        self._found: dict[tuple[str, str], dict[int, float]] = {}
        self._not_finite = self._no_numbers = 0
        self._unknown: dict[str, None] = {}

    def add(self, epoch: int, entry: Mapping[str, object]) -> None:
        for kind in ("loss", "w"):
            for name, value in self._block(entry, kind).items():
                if name in BRANCHES:
                    self._put(kind, name, epoch, value)
                else:
                    self._unknown[one_line(name, _LONGEST)] = None
        for name, value in self._block(entry, "metrics").items():
            if name in self._metric_names:
                self._put("metric", self._metric_names[name], epoch, value)
        if "lr" in entry:
            self._put("lr", "", epoch, entry["lr"])

    def kept(self, kind: str) -> dict[str, Curve]:
        """Curves by branch."""
        return {branch: curve for (of, branch), curve in self._found.items() if of == kind}

    def notes(self) -> list[str]:
        found = []
        if self._not_finite:
            found.append(
                f"{amount(self._not_finite, 'value')} left out: not finite, or larger than {_LARGEST:g}"
            )
        if self._no_numbers:
            found.append(f"{amount(self._no_numbers, 'value')} left out: no numbers")
        if self._unknown:
            found.append(f"branches that are not known are left out: {', '.join(list(self._unknown)[:5])}")
        return found

    def _block(self, entry: Mapping[str, object], name: str) -> Mapping[str, object]:
        block = entry.get(name, {})
        if isinstance(block, dict):
            return block
        self._no_numbers += 1
        return {}

    def _put(self, kind: str, branch: str, epoch: int, value: object) -> None:
        try:
            number = None if isinstance(value, (bool, str)) else float(value)
        except TypeError:
            number = None
        except OverflowError:  # an integer of hundreds of digits
            number = math.inf
        if number is None:
            self._no_numbers += 1
        elif not abs(number) <= _LARGEST:  # NaN is not, either
            self._not_finite += 1
        else:
            self._found.setdefault((kind, branch), {})[epoch] = number
