"""A run's history in Weights & Biases, by default offline, in ``wandb/`` of the run folder (no torch)."""

from __future__ import annotations

import os
import shutil
import uuid
from pathlib import Path

from benchmark.atomic import write_file
from benchmark.records import RunFolder
from benchmark.trackers import facts


class Wandb:
    """One W&B run for all attempts. described: the run, as ``facts.settings`` has it.

    W&B cannot go on with an offline run: of two folders of one run, the one sent last replaces the other. So an offline
    attempt writes all epochs anew, and what earlier offline attempts wrote is removed. Online it goes on after the last
    epoch that W&B has.
    """

    def __init__(self, folder: RunFolder, described: dict[str, facts.Plain]) -> None:
        mode = os.environ.get("WANDB_MODE") or "offline"
        if mode != "online":
            os.environ["WANDB_ERROR_REPORTING"] = "false"  # read by wandb's import; errors would be sent, too
        import wandb

        place = folder.path / "wandb"
        place.mkdir(exist_ok=True)
        run = str(described["run"])
        self._run = wandb.init(
            dir=folder.path,
            mode=mode,
            project=os.environ.get("WANDB_PROJECT") or "dcal",
            id=_id(place, str(described["hash"])),
            resume="allow",
            name=run,
            group=f"{described['profile']}/{run.rpartition('/')[0]}",  # the cell's seeds
            config=_nested(described),
            allow_val_change=True,  # of the commit, between attempts
            settings=wandb.Settings(
                init_timeout=60, console="off", x_disable_stats=True, disable_git=True, disable_code=True
            ),
        )
        if self._run.offline:
            _remove_earlier(place, Path(self._run.dir).parent, self._run.id)

    def epoch(self, entry: dict) -> None:
        """Its numbers, with the epoch as step."""
        if entry["epoch"] >= self._run.starting_step:
            self._run.log(facts.numbers(entry), step=entry["epoch"], commit=True)

    def result(self, metrics: dict[str, float]) -> None:
        """The finished run's metrics, in the summary."""
        self._run.summary.update({f"result/{name}": value for name, value in metrics.items()})

    def close(self) -> None:
        """Wait until W&B has written, or sent, what it got."""
        self._run.finish()


def _nested(named: dict[str, facts.Plain]) -> dict[str, object]:
    """``train.lr`` as W&B wants it: it takes a dot in a name for a section in some places, and not in others."""
    tree: dict[str, object] = {}
    for name, value in named.items():
        *sections, last = name.split(".")
        place = tree
        for section in sections:
            place = place.setdefault(section, {})
        place[last] = value
    return tree


def _id(place: Path, identity: str) -> str:
    """The same for all attempts at a run, and of no other: another folder of runs may have the same cell and hash."""
    kept = place / "id.txt"
    if not kept.exists():
        text = f"{identity[:12]}-{uuid.uuid4().hex[:8]}\n"
        write_file(kept, lambda stream: stream.write(text.encode()))
    return kept.read_text().strip()


def _remove_earlier(place: Path, current: Path, run: str) -> None:
    for earlier in place.glob(f"offline-run-*-{run}"):
        if earlier.resolve() != current.resolve():
            shutil.rmtree(earlier)
