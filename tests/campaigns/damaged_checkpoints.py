"""Damage a checkpoint in hundreds of ways; each time the state that is read must be the right one or the previous one.

    python -m tests.campaigns.damaged_checkpoints

One bad byte at every position of the zip directory and of its end, there also every single bit, at 600 positions
elsewhere, and 200 truncations. Ends with 1 if a wrong state was read or an exception came out.
"""

from __future__ import annotations

import logging
import os
import random
import shutil
import sys
import tempfile
import zipfile
from collections import Counter
from pathlib import Path

import torch

from benchmark.records.run_folder import RunFolder
from benchmark.training import checkpoint

SEED = 0


def _state(epoch: int) -> dict:
    tensors = {f"layers.{n}.weight": torch.full((40, 5), float(epoch + n)) for n in range(6)}
    return {"hash": "h", "epoch": epoch, "model": tensors, "optimizer": {"step": epoch}}


def _is_state(state: dict, epoch: int) -> bool:
    expected = _state(epoch)
    return (
        {key: state.get(key) for key in ("hash", "epoch", "optimizer")}
        == {key: expected[key] for key in ("hash", "epoch", "optimizer")}
        and state["model"].keys() == expected["model"].keys()
        and all(torch.equal(state["model"][name], tensor) for name, tensor in expected["model"].items())
    )


def _read(folder: RunFolder) -> str:
    try:
        state = checkpoint.newest(folder, "h")
        if _is_state(state, 2):
            return "same"
        return "previous" if _is_state(state, 1) else "wrong"
    except Exception as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return "raised"


def campaign(
    root: Path, directory_step: int = 1, elsewhere: int = 600, truncations: int = 200
) -> Counter[str]:
    """How often which state was read: ``same``, ``previous``, ``wrong``, ``raised``."""
    logger, draw = logging.getLogger("benchmark"), random.Random(SEED)
    folder = RunFolder(root / "damaged")
    folder.make()
    checkpoint.save(folder, _state(1))
    checkpoint.save(folder, _state(2))
    whole = folder.checkpoint.read_bytes()
    with zipfile.ZipFile(folder.checkpoint) as archive:
        begin = archive.start_dir
    flips = [(at, 1 << bit) for at in range(begin, len(whole), directory_step) for bit in range(8)]
    flips += [(at, draw.randrange(1, 256)) for at in range(begin, len(whole), directory_step)]
    flips += [(at, draw.randrange(1, 256)) for at in draw.sample(range(begin), min(elsewhere, begin))]
    lengths = draw.sample(range(len(whole)), truncations)
    counts: Counter[str] = Counter(same=0, previous=0, wrong=0, raised=0)
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        for at, flipped in flips:
            damaged = bytearray(whole)
            damaged[at] ^= flipped
            folder.checkpoint.write_bytes(damaged)
            counts[_read(folder)] += 1
        for length in lengths:
            folder.checkpoint.write_bytes(whole)
            os.truncate(folder.checkpoint, length)
            counts[_read(folder)] += 1
    finally:
        logger.setLevel(level)
    return counts


def main() -> int:
    """Run all of it and print the counts."""
    root = Path(tempfile.mkdtemp(prefix="damaged checkpoints "))
    try:
        counts = campaign(root)
    finally:
        shutil.rmtree(root)
    print(f"{sum(counts.values())} damaged checkpoints: {dict(counts)}")
    return 1 if counts["wrong"] or counts["raised"] else 0


if __name__ == "__main__":
    sys.exit(main())
