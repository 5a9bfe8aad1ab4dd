"""A trained model evaluated once more, by the code that its run was evaluated with."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import accumulate

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from benchmark.config.compute_setup import Shares
from benchmark.data.corruptions import Corruption
from benchmark.data.decoding import loader_session
from benchmark.data.loader import Batch, TestLoader
from benchmark.data.shared_memory import batch_bytes, fitting_workers
from benchmark.errors import RunError
from benchmark.inference import compare
from benchmark.inference.trained import Trained
from benchmark.records import provenance
from benchmark.records.run_folder import RunFolder
from benchmark.training import checkpoint, device
from benchmark.training.device import Compute
from benchmark.training.tasks import TASKS, Dataset, Evaluation, evaluate_model
from dcal.model import DCAL


@dataclass(frozen=True)
class Machine:
    """What the evaluation may use. None: as the run was evaluated with. workers: decoding processes."""

    device: str | None = None
    threads: int | None = None
    workers: int = 0


def compute_for(trained: Trained, machine: Machine) -> Compute:
    """The device with the precision that the run had on it; on another device, the one its settings name.

    Raises RunError where the run had a GPU and there is none, unless another device is asked for.
    """
    recorded = trained.result["device"]
    where = machine.device or recorded["type"]
    if where == "cuda" and not machine.device and not device.count_gpus():
        raise RunError(
            f"{trained.source} was evaluated on {recorded['name']}, and no GPU is visible here: --device cpu evaluates "
            "it on the CPU, where numbers are equal to rounding"
        )
    chosen = device.choose(where, trained.config.profile, where)
    precision = (
        recorded["precision"] if chosen == recorded["type"] else trained.config.settings.train.precision
    )
    return device.prepare(chosen, precision, machine.threads or recorded["threads"])


def other_way(trained: Trained, compute: Compute) -> str:
    """How this process computes otherwise than the run did, as far as bits can depend on it; "" where it does not."""
    recorded = _way(trained.result["device"], trained.result.get("provenance", {}).get("versions", {}))
    return compare.other_way(recorded, _way(compute.record(), _versions()))


@cache
def _versions() -> Mapping[str, str]:
    return provenance.collect()["versions"]


def _way(record: Mapping[str, object], versions: Mapping[str, str]) -> dict[str, object]:
    machine = {name: record[name] for name in ("name", "precision", "threads")}
    return machine | {name: version for name, version in versions.items() if name != "python"}


def evaluate(
    trained: Trained,
    dataset: Dataset,
    compute: Compute,
    *,
    workers: int = 0,
    corruption: Corruption | None = None,
) -> Evaluation:
    """What the test split of ``dataset`` says about the model, each picture made worse by ``corruption`` before.

    A random selection draws what it drew in the run's last evaluation, however often this is called.
    Raises DataError for an unreadable picture.
    """
    settings, task = trained.config.settings, TASKS[trained.config.cell.task]
    model = trained.model.to(compute.device)
    workers = fitting_workers(workers, batch_bytes(trained.config))
    loader = TestLoader(dataset, settings.data, settings.train.batch_size, workers=workers)
    with loader_session(loader) as tests:
        batches = tqdm(
            tests, total=tests.rounds, desc=corruption.text if corruption else trained.config.run_id,
            leave=False, file=sys.stderr, disable=not sys.stderr.isatty(),
        )  # fmt: skip
        shown = _corrupted(batches, corruption) if corruption else batches
        drawn = drawn_as_recorded(shown, model, _selections(trained), tests.rounds)
        return evaluate_model(task, model, dataset, drawn, trained.prepare(compute.device), compute)


def draws_unknown(trained: Trained) -> bool:
    """Whether the predictions depend on random numbers, and it is not known which the run's evaluation drew: local
    queries are drawn at random, the read-out sees them, and a record was made before that was kept, or is a saved
    file's of a run by several ranks.
    """
    glca = trained.config.glca
    if glca is None or glca.select != "random" or (glca.readout == "cls" and glca.keys == "global"):
        return False
    return not _selections(trained)


def _selections(trained: Trained) -> Sequence[Tensor]:
    """Where each rank's random selection stood before the run's last evaluation; () without one, or if unknown."""
    glca = trained.model.glca
    if glca is None or glca.settings.select != "random":
        return ()
    if not trained.source.is_dir():
        return (glca.generator.get_state(),) if trained.result["device"]["world_size"] == 1 else ()
    state = checkpoint.newest(RunFolder(trained.source), trained.config.hash)
    return tuple(checkpoint.selections(state or {}))


def drawn_as_recorded(
    batches: Iterable[Batch], model: DCAL, states: Sequence[Tensor], rounds: int
) -> Iterator[Batch]:
    """The batches; before the first one of each rank's share, random selection goes on from that rank's state."""
    before = model.glca.generator.get_state() if states else None
    firsts = dict(zip(_firsts(rounds, len(states)), states, strict=True))
    for number, batch in enumerate(batches):
        if number in firsts:
            model.glca.generator.set_state(firsts[number])
        yield batch
    if states:
        model.glca.generator.set_state(before)


def _firsts(rounds: int, ranks: int) -> list[int]:
    """Number of the first batch of each rank's share."""
    if not ranks:
        return []
    return [0, *accumulate(Shares(ranks=ranks).counts(rounds)[:-1])]


def _corrupted(batches: Iterable[Batch], corruption: Corruption) -> Iterator[Batch]:
    for batch in batches:
        worse = [
            corruption(picture.numpy(), index)
            for picture, index in zip(batch.images, batch.index.tolist(), strict=True)
        ]
        yield replace(batch, images=torch.from_numpy(np.stack(worse)))
