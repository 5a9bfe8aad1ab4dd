"""The state of every run, read from the disk (no torch).

done       a valid result.json of the settings and data asked for
stale      results or checkpoints of other settings or other data; never reused, never overwritten
running    a living process holds the run
preempted  stopped by a signal after saving; goes on from there
failed     ended with an error, or died without a word
damaged    files that say nothing the suite could have written, or that this user may not read; the reason names them
queued     handed to a cluster, whose job has not begun; whether it still waits only the cluster knows (slurm/)
unknown    handed to a cluster that does not answer (only slurm/ finds that)
no-data, no-weights, missing   not started, with and without what it needs
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
from benchmark.records.run_folder import RunFolder, folder_of, last_log_lines, read_json, read_result
from benchmark.records.submission import Submission, read_submission
from benchmark.records.terminal_text import single_line
from benchmark.records.weights_check import lacking_weights
from dcal.weights import manifest as weight_files

# The more a state tells of a run, the earlier it stands: of several folders' views of a run the first one counts.
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
# States in which a launcher starts the run; a failed run starts again from its last checkpoint, a damaged one sets the
# damaged files aside before, or says why it cannot.
TO_RUN = ("missing", "failed", "preempted", "damaged")


@dataclass(frozen=True)
class RunView:
    """One run and what is known of it. result is None unless it is done."""

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
        """What a done run found for each test picture or query; None unless it is done. Read when it is looked at."""
        if self.result is None:
            return None
        return Predictions(self.folder.predictions, self.result["predictions_sha256"])


def state_counts(states: Iterable[str]) -> str:
    """``12 done, 4 running``: how many of some runs are in which state, in the order of ``STATES``."""
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
    """Every run of the selected cells with its state, in grid order.

    refused: where given, cells that the overrides make no sense for are left out, and why goes there by cell id.

    Raises SettingsError as ``grid.select`` and ``config.resolve``; with ``refused``, only if no cell is left; RunError
    where the runs may not be read.
    """
    places = Places.of(profile, runs_dir, data_dir, weights_dir)
    loaded = load_profile(profile)
    with explained(places.runs):  # one error instead of a row a run
        require_folder(places.runs)
        require_listable(places.runs / loaded.name)
    fingerprint = cache(lambda dataset: data_fingerprint(dataset, places))
    cells = select(patterns, table)
    if refused is None:  # one SET for all tables may be meant for one of them
        require_meaning(overrides or {}, cells)
    views = []
    for cell in cells:
        try:
            configs = [resolve(cell, seed, loaded, overrides or {}) for seed in seeds]
        except SettingsError as error:
            if refused is None or (cell is cells[-1] and not views):
                raise
            refused[cell.id] = str(error)
            continue
        views += [view(config, places, *fingerprint(cell.dataset)) for config in configs]
    return views


def view(config: Config, places: Places, fingerprint: str | None, lacking: str = "") -> RunView:
    """The state of one run.

    fingerprint: of the data at hand, None if there are none to compare with. lacking: why data that are there cannot
    be used.
    """
    folder = folder_of(config, places.runs)
    try:
        state, reason, result = _state(config, folder, places, fingerprint)
    except RunError as error:
        state, reason, result = "damaged", str(error), None
    except OSError as error:
        state, reason, result = "damaged", explanation(folder.path, error), None
    if state == "missing" and lacking:
        state, reason = "no-data", lacking
    return RunView(config.cell, config.seed, state, single_line(reason), result, folder, config)


def look_again(before: RunView, places: Places) -> RunView:
    """The same run with the state that it has now."""
    fingerprint = data_fingerprint(before.cell.dataset, places)
    return view(before.config, places, *fingerprint)


def _state(
    config: Config, folder: RunFolder, places: Places, fingerprint: str | None
) -> tuple[str, str, dict | None]:
    if problem := damage.folder_problem(folder):
        return "damaged", problem, None
    files = (folder.config, folder.result, folder.submission)
    if not any(is_there(path) for path in files) and not lock.was_started(folder.path):
        return *_not_started(config, places), None
    result, damaged_result = read_result(folder)
    if result is not None:
        why = stale_reason(config, folder, result, fingerprint)
        return ("stale", why, None) if why else ("done", "", result)
    damaged_claims = damage.damaged_locks(folder)
    # A damaged claim is not one that is being written just now.
    if (living := lock.holder(folder.path)) and not (damaged_claims and living == UNKNOWN_HOLDER):
        return "running", f"{_progress(folder)} ({living})", None
    if why := stale_reason(config, folder, None, fingerprint):
        return "stale", f"unfinished; {why}", None
    if damaged_result:
        return "damaged", f"{damaged_result}; the next launch sets it aside and does the run again", None
    if damaged := damaged_claims or damage.damaged_files(folder):
        return "damaged", f"{'; '.join(map(str, damaged))}; {damage.NEXT_LAUNCH}", None
    outcome = read_json(folder.outcome)
    if (handed := read_submission(folder)) and not began(handed, folder, outcome):
        if handed.hash != config.hash:
            return (
                "stale",
                f"{handed.owner} was submitted with other settings; make cancel takes it back",
                None,
            )
        return "queued", f"submitted as job {handed.job} on {handed.time[:16]}", None
    if outcome:
        return outcome["state"], outcome["message"], None
    if not lock.was_started(folder.path):
        return *_not_started(config, places), None
    last = last_log_lines(folder, 1)
    return "failed", f"the process died without a word; {_progress(folder)}; log: {' '.join(last)}", None


def began(handed: Submission, folder: RunFolder, outcome: dict | None) -> bool:
    """Whether the job that a run was handed to left a sign of its own; older signs are of former attempts."""
    return handed.owner in ((outcome or {}).get("owner"), lock.last_owner(folder.path))


def _not_started(config: Config, places: Places) -> tuple[str, str]:
    row = DATASETS[config.cell.dataset]
    try:
        if not places.generates(row.key) and locate.locate(row.key, places.data) is None:
            return "no-data", f"no {row.folders[0]} in {places.data or 'DATA, which is not set'}"
    except OSError as error:
        return "no-data", explanation(places.data, error)
    except DataError as error:  # several folders that could be meant
        return "no-data", str(error)
    if lacking := lacking_weights(config, places, download=not weight_files.hub_is_offline()):
        return "no-weights", lacking
    return "missing", "not run"


def with_weights(view: RunView, places: Places) -> RunView:
    """A run that would start again and could not load its weights becomes ``no-weights``, as one not started yet."""
    if view.state not in TO_RUN:
        return view
    lacking = lacking_weights(view.config, places, download=not weight_files.hub_is_offline())
    return replace(view, state="no-weights", reason=lacking) if lacking else view


def stale_reason(config: Config, folder: RunFolder, result: dict | None, fingerprint: str | None) -> str:
    """Why a run folder's record is of something else than what is asked for, or "".

    Without a result, a checkpoint is what could be lost: a folder that has neither may be used for anything.
    """
    if result is not None:
        return _mismatch(config, folder, result["config_hash"], result["data"]["fingerprint"], fingerprint)
    started = read_json(folder.config)
    if started and folder.has_checkpoint:
        return _mismatch(config, folder, started.get("hash"), started.get("data_fingerprint"), fingerprint)
    return ""


def _mismatch(
    config: Config, folder: RunFolder, found_hash: object, found_data: object, fingerprint: str | None
) -> str:
    """Why a record is not of what is asked for, or ""."""
    if found_hash != config.hash:
        return f"made with other settings ({_difference(config, folder) or 'not recorded which'})"
    if fingerprint is not None and found_data != fingerprint:
        return "made from other data than the folder holds now"
    return ""


def _difference(config: Config, folder: RunFolder) -> str:
    started = read_json(folder.config) or {}
    was, now = _flat(started.get("identity", {})), _flat(config.identity)
    changed = [
        f"{name}: {was.get(name, 'none')} then, {now.get(name, 'none')} now"
        for name in sorted(was.keys() | now.keys())
        if was.get(name) != now.get(name)
    ]
    return abridged(changed, 4, "; ")


def _flat(identity: object) -> dict[str, object]:
    if not isinstance(identity, dict):
        return {}
    settings = identity.get("settings")
    rest = {name: str(value) for name, value in identity.items() if name != "settings"}
    return rest | (settings if isinstance(settings, dict) else {})


def _progress(folder: RunFolder) -> str:
    return str(
        read_progress(folder) or ("no readable heartbeat" if folder.heartbeat.exists() else "starting")
    )


def data_fingerprint(dataset: str, places: Places) -> tuple[str | None, str]:
    """The fingerprint and "", or None and what is wrong with the data: one broken dataset must not stop the others."""
    try:
        root = locate.locate(dataset, places.data)
        return (locate.fingerprint(root, dataset) if root else None), ""
    except DataError as error:
        return None, str(error)
    except OSError as error:
        return None, explanation(places.data, error)
