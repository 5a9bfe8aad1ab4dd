"""Evaluation of a trained model with the evaluation code of training runs."""

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
from benchmark.data.loader import ImageBatch, TestLoader
from benchmark.data.shared_memory import batch_bytes, fitting_workers
from benchmark.errors import RunError
from benchmark.inference import compare
from benchmark.inference.trained import TrainedModel
from benchmark.records import provenance
from benchmark.records.run_folder import RunFolder
from benchmark.training import checkpoint, device
from benchmark.training.device import Compute
from benchmark.training.tasks import TASKS, Dataset, Evaluation, evaluate_model
from dcal.model import DCAL


@dataclass(frozen=True)
class EvaluationOptions:
    """Resources of an evaluation. device, threads: None means as in the run. workers: number of decoding processes."""

    device: str | None = None
    threads: int | None = None
    workers: int = 0


def compute_for(trained: TrainedModel, options: EvaluationOptions) -> Compute:
    """Prepare the device with the precision that the run used on it; on another device, that of the run's settings.

    Raises RunError if the run used a GPU, there is none here, and no other device is requested.
    """
    recorded = trained.result["device"]
    device_type = options.device or recorded["type"]
    if device_type == "cuda" and not options.device and not device.count_gpus():
        raise RunError(
            f"{trained.source} was evaluated on {recorded['name']}, and no GPU is visible here: --device cpu evaluates "
            "it on the CPU, where numbers are equal to rounding"
        )
    chosen_type = device.choose(device_type, trained.config.profile, device_type)
    precision = (
        recorded["precision"] if chosen_type == recorded["type"] else trained.config.settings.train.precision
    )
    return device.prepare(chosen_type, precision, options.threads or recorded["threads"])


def computing_difference(trained: TrainedModel, compute: Compute) -> str:
    """Differences of device, precision, threads and versions between this process and the run, as text; "" if none."""
    recorded = _computing_facts(
        trained.result["device"], trained.result.get("provenance", {}).get("versions", {})
    )
    return compare.computing_difference(recorded, _computing_facts(compute.record(), _versions()))


@cache
def _versions() -> Mapping[str, str]:
    return provenance.collect()["versions"]


def _computing_facts(record: Mapping[str, object], versions: Mapping[str, str]) -> dict[str, object]:
    """The values of a record on which single bits of the outputs can depend."""
    machine = {name: record[name] for name in ("name", "precision", "threads")}
    return machine | {name: version for name, version in versions.items() if name != "python"}


def evaluate(
    trained: TrainedModel,
    dataset: Dataset,
    compute: Compute,
    *,
    workers: int = 0,
    corruption: Corruption | None = None,
) -> Evaluation:
    """Evaluate a model on the test split of a dataset, with ``corruption`` applied to each picture first.

    Random selection of queries repeats the draws of the run's last evaluation in every call.
    Raises DataError for an unreadable picture.
    """
    settings, task = trained.config.settings, TASKS[trained.config.cell.task]
    model = trained.model.to(compute.device)
    workers = fitting_workers(workers, batch_bytes(trained.config))
    loader = TestLoader(dataset, settings.data, settings.train.batch_size, workers=workers)
    with loader_session(loader):
        batches = tqdm(
            loader, total=loader.rounds, desc=corruption.text if corruption else trained.config.run_id,
            leave=False, file=sys.stderr, disable=not sys.stderr.isatty(),
        )  # fmt: skip
        images = _corrupt(batches, corruption) if corruption else batches
        images = restore_selection(images, model, _selections(trained), loader.rounds)
        return evaluate_model(task, model, dataset, images, trained.prepare(compute.device), compute)


def draws_unknown(trained: TrainedModel) -> bool:
    """Whether the predictions depend on random draws of local queries that the record does not store.

    Older records do not store them, nor do saved files of runs by several ranks.
    """
    glca = trained.config.glca
    if glca is None or glca.select != "random" or (glca.readout == "cls" and glca.keys == "global"):
        return False
    return not _selections(trained)


def _selections(trained: TrainedModel) -> Sequence[Tensor]:
    """State of each rank's random selection before the run's last evaluation; () without one, or if unknown."""
    glca = trained.model.glca
    if glca is None or glca.settings.select != "random":
        return ()
    if not trained.source.is_dir():
        return (glca.generator.get_state(),) if trained.result["device"]["world_size"] == 1 else ()
    state = checkpoint.newest(RunFolder(trained.source), trained.config.hash)
    return tuple(checkpoint.selections(state or {}))


def restore_selection(
    batches: Iterable[ImageBatch], model: DCAL, states: Sequence[Tensor], rounds: int
) -> Iterator[ImageBatch]:
    """Yield the batches. Before the first batch of each rank's share, set random selection to that rank's state.

    states: as of ``_selections``. rounds: number of batches.
    """
    if not states:
        yield from batches
        return
    generator = model.glca.generator
    original = generator.get_state()
    first_batches = [0, *accumulate(Shares(ranks=len(states)).counts(rounds)[:-1])]  # of each rank's share
    state_at = dict(zip(first_batches, states, strict=True))
    for number, batch in enumerate(batches):
        if number in state_at:
            generator.set_state(state_at[number])
        yield batch
    generator.set_state(original)


def _corrupt(batches: Iterable[ImageBatch], corruption: Corruption) -> Iterator[ImageBatch]:
    for batch in batches:
        corrupted = [
            corruption(picture.numpy(), index)
            for picture, index in zip(batch.images, batch.index.tolist(), strict=True)
        ]
        yield replace(batch, images=torch.from_numpy(np.stack(corrupted)))
