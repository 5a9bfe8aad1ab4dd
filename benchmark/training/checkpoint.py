"""Checkpoints: whole or not there, the previous one kept, never a pickle."""

from __future__ import annotations

import functools
import logging
import os
import time
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from benchmark.atomic import explained, write_file
from benchmark.errors import RunError
from benchmark.reading import explanation, is_refusal
from benchmark.records.logs import write_history
from benchmark.records.run_folder import RunFolder, set_aside
from benchmark.training.trackers import Trackers
from dcal import tensors
from dcal.model import DCAL
from dcal.weights.integrity import IS_FOLDER
from dcal.weights.read import reason

FORMAT = 1
# What training needs to go on, and a finished run does not.
TRAINING_STATE = ("optimizer", "scaler", "rng", "rng_of_other_ranks")
weights_sha256 = tensors.sha256
logger = logging.getLogger("benchmark")


def save(folder: RunFolder, state: Mapping[str, object]) -> None:
    """Write a checkpoint; the one before stays as the previous one. At every moment one of them is whole.

    Raises RunError if it cannot be written, and what ``folder.verify`` raises.
    """

    def keep_previous() -> None:
        folder.verify()
        _keep_previous(folder)

    folder.verify()
    if folder.checkpoint.exists():
        with explained(folder.previous_checkpoint):  # room for the new one
            folder.previous_checkpoint.unlink(missing_ok=True)
    content = {"format": FORMAT, **state}
    write_file(folder.checkpoint, lambda stream: torch.save(content, stream), verify=keep_previous)


class Checkpointer:
    """Writes the checkpoints and the history of a run while it trains.

    folder: of the run; None where another rank writes, or nobody: then nothing is written and no checkpoint is due.
    seconds: least time between two checkpoints.
    trackers: what shows the history elsewhere, or None.
    """

    def __init__(self, folder: RunFolder | None, seconds: float, trackers: Trackers | None = None) -> None:
        self._folder, self._seconds, self._trackers = folder, seconds, trackers
        self._saved_at = time.monotonic()

    def is_due(self) -> bool:
        """Whether the last checkpoint is old enough for the next one."""
        return self._folder is not None and time.monotonic() - self._saved_at >= self._seconds

    def save(self, state: Mapping[str, object]) -> None:
        """Write a checkpoint, as ``save``."""
        if self._folder is not None:
            save(self._folder, state)
        self._saved_at = time.monotonic()

    def write_history(self, history: Sequence[dict]) -> None:
        """Write one line an epoch."""
        if self._folder is not None:
            write_history(self._folder, history)
        if self._trackers is not None:
            self._trackers.show(history)


def save_slim(folder: RunFolder, state: Mapping[str, object]) -> None:
    """Write what is needed to evaluate a finished run again: weights, bookkeeping, and what its evaluation drew from.

    The last state of training stays as the previous checkpoint until the result is written.
    """
    save(folder, {key: value for key, value in state.items() if key not in TRAINING_STATE})


def newest(folder: RunFolder, config_hash: str) -> dict | None:
    """The newest complete checkpoint of these settings, on the CPU, or None.

    A damaged one is passed over with a warning for the previous one.
    """
    state, problems = read(folder, config_hash)
    if problems:
        logger.warning("%s", described(problems))
    return state


def resume(folder: RunFolder, config_hash: str) -> dict | None:
    """The newest complete checkpoint for a process that goes on from it and writes the next one.

    Where that is the previous one it gets the newest one's name, so that it is not dropped for a damaged one; what is
    of no use is set aside.
    """
    state, problems = read(folder, config_hash)
    if not problems:
        return state
    logger.warning("%s", described(problems))
    folder.verify()
    if state is None:
        for path in problems:
            logger.warning("%s is set aside as %s", path.name, set_aside(path, "unusable").name)
        logger.warning("no checkpoint can be used: the run starts from the beginning")
    else:
        with explained(folder.checkpoint):
            os.replace(folder.previous_checkpoint, folder.checkpoint)
    return state


def read(folder: RunFolder, config_hash: str) -> tuple[dict | None, dict[Path, str]]:
    """The newest usable checkpoint or None, and what is wrong with those before it, by file."""
    problems: dict[Path, str] = {}
    for path in (folder.checkpoint, folder.previous_checkpoint):
        if not os.path.lexists(path):
            continue
        state, problem = _read(path, config_hash)
        if state is not None:
            return state, problems
        problems[path] = problem
    return None, problems


def described(problems: Mapping[Path, str]) -> str:
    """Every checkpoint that cannot be used, and why."""
    return "; ".join(f"{path.name} is passed over: {problem}" for path, problem in problems.items())


def selections(state: Mapping[str, object]) -> Sequence[Tensor | None]:
    """Where each rank's random selection stood before the run's last evaluation; () where that is not known.

    The last state of training was saved at that very moment.
    """
    if "selections" in state or "rng" not in state:
        return state.get("selections", ())
    return [rng.get("selection") for rng in (state["rng"], *state.get("rng_of_other_ranks", ()))]


def _keep_previous(folder: RunFolder) -> None:
    if not folder.checkpoint.exists():
        return  # the first one
    with explained(folder.previous_checkpoint):
        try:
            os.link(folder.checkpoint, folder.previous_checkpoint)
        except OSError as error:
            _say_renamed(error.strerror)
            os.replace(folder.checkpoint, folder.previous_checkpoint)


@functools.cache
def _say_renamed(cause: str) -> None:
    logger.info("no hard links here (%s): the previous checkpoint is renamed", cause)


def contents(path: Path) -> tuple[object, str]:
    """What a file holds and "", or None and what is damaged, whatever zipfile and torch raise of it.

    Raises RunError where the system refuses to read it or has no memory for it.
    """
    try:
        # torch itself does not compare the members' checksums, and reads what is marked as a folder as zeros.
        with zipfile.ZipFile(path) as archive:
            if bad := archive.testzip():
                return None, f"the checksum of {bad} does not match"
            if folders := [info.filename for info in archive.infolist() if info.external_attr & IS_FOLDER]:
                return None, f"{folders[0]} is marked as a folder"
        return torch.load(path, map_location="cpu", weights_only=True), ""
    except MemoryError:
        raise
    except OSError as error:
        if error.errno and is_refusal(error):  # it says nothing of the file
            raise RunError(explanation(path, error)) from error
        return None, reason(error)
    except Exception as error:
        if "allocate memory" in str(error) or "not enough memory" in str(error):  # torch's own words
            raise RunError(
                f"not enough memory to read {path}: fewer runs at once (JOBS=1), or more memory; the same command "
                "goes on"
            ) from error
        return None, reason(error)


def _read(path: Path, config_hash: str) -> tuple[dict | None, str]:
    if not path.is_file():
        return None, "it is no file"
    state, damage = contents(path)
    if damage:
        return None, f"{path.stat().st_size:,} bytes that are no complete checkpoint ({damage})"
    if not isinstance(state, dict) or state.get("format") != FORMAT:
        return None, "it is of another format"
    if state.get("hash") != config_hash:
        return None, "it is of other settings"
    return state, ""


# --- What a rank draws from: torch's generators, and GLCA's own ---


class Randomness:
    """Every random stream that a training step draws from: PWCA's partners, stochastic depth, random local queries."""

    def __init__(self, model: DCAL, device: torch.device) -> None:
        self._cuda = device.type == "cuda"
        self._selection = model.glca.generator if model.glca else None

    def state(self) -> dict[str, Tensor]:
        """Where all of them stand, as checkpoints hold it."""
        rng = {"torch": torch.get_rng_state()}
        if self._cuda:
            rng["cuda"] = torch.cuda.get_rng_state()
        if self._selection:
            rng["selection"] = self._selection.get_state()
        return rng

    def restore(self, rng: Mapping[str, Tensor]) -> None:
        """Draw again from there on; a state saved on a CPU says nothing of a GPU's stream."""
        torch.set_rng_state(rng["torch"])
        if "cuda" in rng and self._cuda:
            torch.cuda.set_rng_state(rng["cuda"])
        if self._selection:
            self._selection.set_state(rng["selection"])

    def select_from(self, selections: Sequence[Tensor | None], rank: int) -> None:
        """Draw local queries from there on, if a state is known for this rank."""
        if self._selection and rank < len(selections):
            self._selection.set_state(selections[rank])

    def begin(self, *place: int) -> None:
        """Streams of their own for these numbers, e.g. seed and rank."""
        seed = int(np.random.SeedSequence(place).generate_state(1, np.uint64)[0])
        torch.manual_seed(seed)
        if self._selection:
            self._selection.manual_seed(seed)
