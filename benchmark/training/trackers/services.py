"""A run's history in Weights & Biases, by default offline, in ``wandb/`` of the run folder (no torch)."""

from __future__ import annotations

import importlib
import os
import shutil
import uuid

from tensorboard.plugins.hparams.summary_v2 import hparams_pb
from torch.utils.tensorboard import SummaryWriter

from benchmark.atomic import write_file
from benchmark.records.run_folder import RunFolder
from benchmark.training.trackers import facts

INIT_SECONDS, FINISH_SECONDS = 60.0, 8.0  # the second less than threads.CLOSE_SECONDS


class Wandb:
    """One W&B run for all attempts. described: the run, as ``facts.settings`` has it.

    W&B cannot go on with an offline run: of two folders of one run, the one sent last replaces the other. So an offline
    attempt writes all epochs anew, and what earlier offline attempts wrote is removed. Online it goes on after the last
    epoch that W&B has.
    """

    def __init__(self, folder: RunFolder, described: dict[str, facts.Plain]) -> None:
        self._folder, self._described = folder, described
        self._mode = os.environ.get("WANDB_MODE") or "offline"
        if self._mode != "online":
            os.environ["WANDB_ERROR_REPORTING"] = "false"  # read by wandb's import; errors would be sent, too
        os.environ["WANDB_SILENT"] = "true"  # without it W&B asks a terminal for a key, and waits
        self._wandb = importlib.import_module("wandb")

    def open(self) -> None:
        """Begin the run, or go on with it."""
        place, described = self._folder.path / "wandb", self._described
        place.mkdir(exist_ok=True)
        cell = str(described["run"]).rpartition("/")[0]
        self._run = self._wandb.init(
            dir=self._folder.path,
            mode=self._mode,
            project=os.environ.get("WANDB_PROJECT") or "dcal",
            id=_id(self._folder, str(described["hash"])),
            resume="allow",
            name=str(described["run"]),
            group=f"{described['profile']}/{cell}",  # the cell's seeds
            config=_nested(described),
            allow_val_change=True,  # of the commit, between attempts
            settings=self._wandb.Settings(
                init_timeout=INIT_SECONDS,
                finish_timeout=FINISH_SECONDS,
                finish_timeout_raises=True,
                stop_fn=lambda: None,  # W&B's own would interrupt the run
                console="off",
                x_disable_stats=True,
                disable_git=True,
                disable_code=True,
            ),
        )
        if self._run.offline:
            for earlier in place.glob(f"offline-run-*-{self._run.id}"):
                if not earlier.samefile(os.path.dirname(self._run.dir)):
                    shutil.rmtree(earlier)

    def epoch(self, entry: dict) -> None:
        """Log an epoch's numbers, with the epoch as step."""
        if entry["epoch"] >= self._run.starting_step:
            self._run.log(facts.numbers(entry), step=entry["epoch"], commit=True)

    def close(self, metrics: dict[str, float]) -> None:
        """Put the finished run's metrics into the summary, and wait until W&B has written, or sent, what it got."""
        if metrics:
            self._run.summary.update({f"result/{name}": value for name, value in metrics.items()})
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


def _id(folder: RunFolder, identity: str) -> str:
    """The same for all attempts at a run, and of no other: another folder of runs may have the same cell and hash."""
    id_file = folder.path / "wandb" / "id.txt"
    if not id_file.exists():
        text = f"{identity[:12]}-{uuid.uuid4().hex[:8]}\n"
        write_file(id_file, lambda stream: stream.write(text.encode()))
    return id_file.read_text().strip()


# --- A run's history as a TensorBoard event file, in ``tensorboard/`` of the run folder ---


class TensorBoard:
    """Scalars by epoch, and the settings for the HPARAMS page. described: the run, as ``facts.settings`` has it.

    An attempt writes all epochs anew, in place of the file of the attempt before.
    """

    def __init__(self, folder: RunFolder, described: dict[str, facts.Plain]) -> None:
        self._place, self._described = folder.path / "tensorboard", described
        self._last = 0

    def open(self) -> None:
        """Begin the event file."""
        for earlier in self._place.glob("events.out.tfevents.*"):
            earlier.unlink()
        # purge_step: a TensorBoard that has read the earlier file forgets it.
        self._writer = SummaryWriter(str(self._place), purge_step=1)
        self._writer.file_writer.add_summary(hparams_pb(self._described))
        self._writer.flush()

    def epoch(self, entry: dict) -> None:
        """Write an epoch's numbers, with the epoch as step."""
        self._last = entry["epoch"]
        self._write(facts.numbers(entry))

    def close(self, metrics: dict[str, float]) -> None:
        """Write the finished run's metrics at its last epoch, and close the file."""
        self._write({f"result/{name}": value for name, value in metrics.items()})
        self._writer.close()

    def _write(self, named: dict[str, float]) -> None:
        for name, value in named.items():
            self._writer.add_scalar(name, value, self._last)
        self._writer.flush()
