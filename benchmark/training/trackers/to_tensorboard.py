"""A run's history as a TensorBoard event file, in ``tensorboard/`` of the run folder."""

from __future__ import annotations

from tensorboard.plugins.hparams.summary_v2 import hparams_pb
from torch.utils.tensorboard import SummaryWriter

from benchmark.records.run_folder import RunFolder
from benchmark.training.trackers import facts


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
