"""State of every run, read from the disk.

done       a valid result.json for the requested settings and data
stale      results or checkpoints of other settings or data; never reused, never overwritten
running    a living process holds the run
preempted  stopped by a signal after saving; continues from there
failed     ended with an error, or its process died without a message
damaged    files that the suite cannot have written, or that this user may not read; the reason names them
queued     submitted to a cluster, the job has not started; only the cluster knows whether it still waits (slurm/)
unknown    submitted to a cluster that does not answer (set by slurm/ only)
no-data, no-weights, missing   not started: data are missing, weights are missing, everything is there
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cache, cached_property
from pathlib import Path

from benchmark.config.applicability import require_meaning
from benchmark.config.datasets import DATASETS
from benchmark.config.grid import Cell, select
from benchmark.config.parse import abridged
from benchmark.config.places import Places
from benchmark.config.resolve import Config, load_profile, resolve
from benchmark.data import locate
from benchmark.errors import DataError, RunError, SettingsError
from benchmark.reading import explained, explanation, is_there, require_folder, require_listable
from benchmark.records import damage, lock
from benchmark.records.lock_files import UNKNOWN_HOLDER
from benchmark.records.predictions import Predictions
from benchmark.records.progress import read_progress
from benchmark.records.run_folder import RunFolder, last_lines, locate_run, read_json, read_result
from benchmark.records.submission import Submission, read_submission
from benchmark.records.terminal_text import single_line
from benchmark.records.weights_check import weights_problem
from dcal.weights import manifest as weight_files

# Ordered by how much they tell about a run: of the views of several folders the first in this order is used.
STATES = (
    "done",
    "running",
    "queued",
    "unknown",
    "preempted",
    "failed",
    "stale",
    "damaged",
    "missing",
    "no-data",
    "no-weights",
)
# States in which a launcher starts the run. A failed run continues from its last checkpoint. For a damaged one, the
# damaged files are renamed first, or an error tells why that is impossible.
STATES_TO_RUN = ("missing", "failed", "preempted", "damaged")


@dataclass(frozen=True)
class RunView:
    """State of one run. result: of a done run, else None."""

    cell: Cell
    seed: int
    state: str
    reason: str
    result: dict | None
    folder: RunFolder
    config: Config

    @property
    def id(self) -> str:
        return f"{self.cell.id}/seed{self.seed}"

    @cached_property
    def predictions(self) -> Predictions | None:
        """Predictions of a done run for each test picture or query, read when first used; None unless it is done."""
        if self.result is None:
            return None
        return Predictions(self.folder.predictions, self.result["predictions_sha256"])


def state_counts(states: Iterable[str]) -> str:
    """Number of runs in each state as text, in the order of ``STATES``: ``12 done, 4 running``."""
    counts = Counter(states)
    return ", ".join(f"{counts[state]} {state}" for state in STATES if counts[state])


def collect(
    *,
    table: str | None = None,
    profile: str,
    runs_dir: Path,
    seeds: Iterable[int] = (0,),
    patterns: Iterable[str] = (),
    overrides: Mapping[str, object] | None = None,
    data_dir: Path | None = None,
    weights_dir: Path | None = None,
    refused: dict[str, str] | None = None,
) -> list[RunView]:
    """Read the state of every run of the selected cells, in grid order.

    refused: if given, cells for which the overrides make no sense are left out, and added here with the reason, by id.

    Raises SettingsError as ``grid.select`` and ``config.resolve``; with ``refused``, only if no cell is left; RunError
    if the runs may not be read.
    """
    places = Places.of(profile, runs_dir, data_dir, weights_dir)
    profile_settings = load_profile(profile)
    with explained(places.runs):  # one error instead of one per run
        require_folder(places.runs)
        require_listable(places.runs / profile_settings.name)
    fingerprint = cache(lambda dataset: data_fingerprint(dataset, places))
    cells = select(patterns, table)
    if refused is None:  # a SET for several tables may be meant for only one of them
        require_meaning(overrides or {}, cells)
    views = []
    for cell in cells:
        try:
            configs = [resolve(cell, seed, profile_settings, overrides or {}) for seed in seeds]
        except SettingsError as error:
            if refused is None or (cell is cells[-1] and not views):
                raise
            refused[cell.id] = str(error)
            continue
        views += [view_run(config, places, *fingerprint(cell.dataset)) for config in configs]
    return views


def view_run(config: Config, places: Places, fingerprint: str | None, data_problem: str = "") -> RunView:
    """Read the state of one run.

    fingerprint: of the data at hand, None if there are none.
    data_problem: why existing data cannot be used, or "".
    """
    folder = locate_run(config, places.runs)
    try:
        state, reason, result = _run_state(config, folder, places, fingerprint)
    except RunError as error:
        state, reason, result = "damaged", str(error), None
    except OSError as error:
        state, reason, result = "damaged", explanation(folder.path, error), None
    if state == "missing" and data_problem:
        state, reason = "no-data", data_problem
    return RunView(config.cell, config.seed, state, single_line(reason), result, folder, config)


def refresh(earlier: RunView, places: Places) -> RunView:
    """Read the state of a run again."""
    fingerprint = data_fingerprint(earlier.cell.dataset, places)
    return view_run(earlier.config, places, *fingerprint)


def _run_state(
    config: Config, folder: RunFolder, places: Places, fingerprint: str | None
) -> tuple[str, str, dict | None]:
    if problem := damage.folder_problem(folder):
        return "damaged", problem, None
    files = (folder.config, folder.result, folder.submission)
    if not any(is_there(path) for path in files) and not lock.was_started(folder.path):
        return *_not_started(config, places), None
    result, damaged_result = read_result(folder)
    if result is not None:
        stale = stale_reason(config, folder, result, fingerprint)
        return ("stale", stale, None) if stale else ("done", "", result)
    bad_locks = damage.damaged_locks(folder)
    # A damaged lock file is not one that is still being written.
    if (holder := lock.holder(folder.path)) and not (bad_locks and holder == UNKNOWN_HOLDER):
        return "running", f"{_progress_text(folder)} ({holder})", None
    if stale := stale_reason(config, folder, None, fingerprint):
        return "stale", f"unfinished; {stale}", None
    if damaged_result:
        return "damaged", f"{damaged_result}; the next launch sets it aside and does the run again", None
    if damages := bad_locks or damage.damaged_files(folder):
        return "damaged", f"{'; '.join(map(str, damages))}; {damage.NEXT_LAUNCH}", None
    outcome = read_json(folder.outcome)
    if (submission := read_submission(folder)) and not has_job_started(submission, folder, outcome):
        if submission.hash != config.hash:
            return (
                "stale",
                f"{submission.owner} was submitted with other settings; make cancel takes it back",
                None,
            )
        return "queued", f"submitted as job {submission.job} on {submission.time[:16]}", None
    if outcome:
        return outcome["state"], outcome["message"], None
    if not lock.was_started(folder.path):
        return *_not_started(config, places), None
    log_end = last_lines(folder.log, 1)
    return (
        "failed",
        f"the process died without a word; {_progress_text(folder)}; log: {' '.join(log_end)}",
        None,
    )


def has_job_started(submission: Submission, folder: RunFolder, outcome: dict | None) -> bool:
    """Whether the job of a submission has started: the outcome or the newest lock has its owner."""
    return submission.owner in ((outcome or {}).get("owner"), lock.last_owner(folder.path))


def _not_started(config: Config, places: Places) -> tuple[str, str]:
    row = DATASETS[config.cell.dataset]
    try:
        if not places.generates(row.key) and locate.locate(row.key, places.data) is None:
            return "no-data", f"no {row.folders[0]} in {places.data or 'DATA, which is not set'}"
    except OSError as error:
        return "no-data", explanation(places.data, error)
    except DataError as error:  # several folders may be the dataset
        return "no-data", str(error)
    if problem := weights_problem(config, places, download=not weight_files.hub_is_offline()):
        return "no-weights", problem
    return "missing", "not run"


def with_weights(view: RunView, places: Places) -> RunView:
    """Change the state of a run that a launcher would start to ``no-weights``, if it cannot load its weights."""
    if view.state not in STATES_TO_RUN:
        return view
    problem = weights_problem(view.config, places, download=not weight_files.hub_is_offline())
    return replace(view, state="no-weights", reason=problem) if problem else view


def stale_reason(config: Config, folder: RunFolder, result: dict | None, fingerprint: str | None) -> str:
    """Why the record in a run folder does not belong to the requested settings and data, or "".

    A folder with neither result nor checkpoint is never stale: nothing in it could be lost.
    """
    if result is not None:
        return _mismatch(config, folder, result["config_hash"], result["data"]["fingerprint"], fingerprint)
    record = read_json(folder.config)
    if record and folder.has_checkpoint:
        return _mismatch(config, folder, record.get("hash"), record.get("data_fingerprint"), fingerprint)
    return ""


def _mismatch(
    config: Config, folder: RunFolder, record_hash: object, record_data: object, fingerprint: str | None
) -> str:
    """Why a record does not belong to the requested settings and data, or ""."""
    if record_hash != config.hash:
        return f"made with other settings ({_identity_difference(config, folder) or 'not recorded which'})"
    if fingerprint is not None and record_data != fingerprint:
        return "made from other data than the folder holds now"
    return ""


def _identity_difference(config: Config, folder: RunFolder) -> str:
    record = read_json(folder.config) or {}
    recorded, current = _flat_identity(record.get("identity", {})), _flat_identity(config.identity)
    changes = [
        f"{name}: {recorded.get(name, 'none')} then, {current.get(name, 'none')} now"
        for name in sorted(recorded.keys() | current.keys())
        if recorded.get(name) != current.get(name)
    ]
    return abridged(changes, 4, "; ")


def _flat_identity(identity: object) -> dict[str, object]:
    if not isinstance(identity, dict):
        return {}
    settings = identity.get("settings")
    others = {name: str(value) for name, value in identity.items() if name != "settings"}
    return others | (settings if isinstance(settings, dict) else {})


def _progress_text(folder: RunFolder) -> str:
    return str(
        read_progress(folder) or ("no readable heartbeat" if folder.heartbeat.exists() else "starting")
    )


def data_fingerprint(dataset: str, places: Places) -> tuple[str | None, str]:
    """Fingerprint of a dataset and "", or None and what is wrong with it, so that other datasets are still read."""
    try:
        root = locate.locate(dataset, places.data)
        return (locate.fingerprint(root, dataset) if root else None), ""
    except DataError as error:
        return None, str(error)
    except OSError as error:
        return None, explanation(places.data, error)
