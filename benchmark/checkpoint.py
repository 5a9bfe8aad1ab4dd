"""Checkpoints: whole or not there, the previous one kept, never a pickle."""

from __future__ import annotations

import logging
import os
import pickle
import zipfile
from pathlib import Path

import torch

from benchmark.atomic import explained, write_file
from benchmark.records import RunFolder
from dcal import tensors

FORMAT = 1
weights_sha256 = tensors.sha256
logger = logging.getLogger("benchmark")


def save(folder: RunFolder, state: dict) -> None:
    """Write a checkpoint; the one before stays as the previous one. Raises RunError if it cannot be written."""
    if folder.checkpoint.exists():
        # A hard link, so that at every moment one of the two names holds a whole checkpoint.
        with explained(folder.previous_checkpoint):
            folder.previous_checkpoint.unlink(missing_ok=True)
            os.link(folder.checkpoint, folder.previous_checkpoint)
    write_file(folder.checkpoint, lambda stream: torch.save({"format": FORMAT, **state}, stream))


def newest(folder: RunFolder, config_hash: str) -> dict | None:
    """The newest complete checkpoint of these settings, on the CPU, or None.

    A damaged one is passed over with a warning for the previous one.
    """
    for path in (folder.checkpoint, folder.previous_checkpoint):
        if not path.exists():
            continue
        problem = _damage(path)
        if problem is None:
            try:
                state = torch.load(path, map_location="cpu", weights_only=True)
            except (OSError, RuntimeError, EOFError, ValueError, KeyError, pickle.UnpicklingError) as error:
                problem = str(error).splitlines()[0] if str(error) else type(error).__name__
        if problem is None:
            if not isinstance(state, dict) or state.get("format") != FORMAT:
                problem = "it is of another format"
            elif state.get("hash") != config_hash:
                problem = "it is of other settings"
            else:
                return state
        logger.warning("%s is passed over: %s", path.name, problem)
    return None


def slim(folder: RunFolder, state: dict) -> None:
    """Keep of a finished run what is needed to evaluate it again: weights, bookkeeping, and what its evaluation drew
    from; no optimizer.
    """
    kept = {key: value for key, value in state.items() if key not in ("optimizer", "scaler", "rng")}
    write_file(folder.checkpoint, lambda stream: torch.save({"format": FORMAT, **kept}, stream))
    folder.previous_checkpoint.unlink(missing_ok=True)


def _damage(path: Path) -> str | None:
    """What is wrong with a file as an archive: torch itself does not compare the members' checksums."""
    try:
        with zipfile.ZipFile(path) as archive:
            bad = archive.testzip()
            return f"checksum of {bad} does not match" if bad else None
    except (OSError, zipfile.BadZipFile, EOFError) as error:
        return f"{path.stat().st_size:,} bytes that are no complete checkpoint ({error})"
