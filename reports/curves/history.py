"""Read the training history of a run from history.jsonl, in any state of the run."""

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
HISTORY_BYTES = 2**26  # largest file that is read; one epoch is a line of some hundred bytes
_LONGEST = 80  # characters of a foreign name in a note
_LARGEST = (
    1e30  # value that is drawn: far above what training gives, still within the range of matplotlib's axes
)
_LAST_EPOCH = 1_000_000

Curve = Mapping[int, float]  # epoch, from 1 → finite value


@dataclass(frozen=True)
class History:
    """Curves of one run; branches that the run or its file does not have are absent.

    loss: training loss by branch.
    w: uncertainty weight by branch.
    metric: test metric in percent by branch; ``both`` is the run's prediction.
    lr: learning rate.
    notes: what is missing or was left out.
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
    """Read the curves of a run in any state; without a history the result is empty and ``notes`` says why.

    Lines that are torn or have no epoch, and values that are not finite numbers of plausible size, are left out and
    counted in ``notes``.
    """
    if mismatch := _mismatch(run):
        return History(run.cell.method, run.seed, {}, {}, {}, {}, (mismatch,))
    entries, notes = _read_entries(run)
    curves = _CurveCollector(REPORTED_METRICS[run.cell.task][0])
    for epoch in sorted(entries):
        curves.add(epoch, entries[epoch])
    notes += curves.notes()
    return History(
        run.cell.method, run.seed, curves.branches("loss"), curves.branches("w"), curves.branches("metric"),
        curves.branches("lr").get("", {}), tuple(f"{run.id}: {note}" for note in notes),
    )  # fmt: skip


def _mismatch(run: RunView) -> str:
    """Return why a folder's history does not belong to this run, or ""."""
    if run.state == "stale":
        return f"{run.id}: its history is of a stale run and not drawn"
    started = (read_json(run.folder.config) or {}).get("hash")
    if started is not None and started != run.config.hash and run.folder.history.exists():
        return f"{run.id}: its history is of other settings and not drawn"
    return ""


def _read_entries(run: RunView) -> tuple[dict[int, dict], list[str]]:
    """Read the entries by epoch, and notes about damage of the file."""
    try:
        text = read_bytes(run.folder.history, HISTORY_BYTES).decode("utf-8", errors="replace")
    except FileNotFoundError:
        is_expected = run.state in ("done", "running", "preempted", "failed", "damaged")
        return {}, ["it has no history.jsonl"] if is_expected else []
    except OSError as error:
        return {}, [f"history.jsonl cannot be read ({damage_text(run.folder.history, error)})"]
    entries, invalid, repeated = {}, 0, 0
    for line in text.splitlines():
        try:
            entry = json.loads(line)
        except (ValueError, RecursionError):
            entry = None
        epoch = entry.get("epoch") if isinstance(entry, dict) else None
        if type(epoch) is not int or not 1 <= epoch <= _LAST_EPOCH:
            invalid += 1
            continue
        repeated += epoch in entries
        entries[epoch] = entry
    notes = []
    if invalid:
        notes.append(f"{amount(invalid, 'line')} of its history left out: torn, or no epoch's")
    if repeated:
        notes.append(f"{amount(repeated, 'epoch')} recorded twice, the later line is drawn")
    return entries, notes


class _CurveCollector:
    """Collect the values of one run into curves. metric: recorded name of the metric to draw."""

    def __init__(self, metric: str) -> None:
        self._metric_names = {metric: "both", f"sa_{metric}": "sa", f"glca_{metric}": "glca"}
        self._curves: dict[tuple[str, str], dict[int, float]] = {}
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

    def branches(self, kind: str) -> dict[str, Curve]:
        """Return the curves of a kind (``loss``, ``w``, ``metric`` or ``lr``) by branch."""
        return {branch: curve for (name, branch), curve in self._curves.items() if name == kind}

    def notes(self) -> list[str]:
        notes = []
        if self._not_finite:
            notes.append(
                f"{amount(self._not_finite, 'value')} left out: not finite, or larger than {_LARGEST:g}"
            )
        if self._no_numbers:
            notes.append(f"{amount(self._no_numbers, 'value')} left out: no numbers")
        if self._unknown:
            notes.append(f"branches that are not known are left out: {', '.join(list(self._unknown)[:5])}")
        return notes

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
        elif not abs(number) <= _LARGEST:  # written with `not`, so that NaN counts as well
            self._not_finite += 1
        else:
            self._curves.setdefault((kind, branch), {})[epoch] = number
