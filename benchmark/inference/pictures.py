"""Which pictures a trained model is evaluated on: those of its run, or a user's own folder of the same task."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from benchmark import reading
from benchmark.config.datasets import DATASETS, is_own
from benchmark.config.resolve import load_profile
from benchmark.data import locate
from benchmark.data.fgvc import FGVCDataset
from benchmark.data.mini.sets import write
from benchmark.data.own import class_folders, market_layout
from benchmark.data.splits import Split, first
from benchmark.errors import DataError
from benchmark.inference.trained import Trained
from benchmark.training.tasks import Dataset

SHOWN = 5  # class names of each side in an error


@dataclass(frozen=True)
class Pictures:
    """own: whether they are the run's, so that its record says what is to be found. text: what they are."""

    dataset: Dataset
    own: bool
    text: str


def find(trained: Trained, data: Path | None, runs: Path) -> Pictures:
    """The pictures that a trained model is evaluated on.

    The run's dataset where ``data`` holds it, whole or not; else that folder itself, read as class folders or in
    Market-1501's layout. Of a mini run the generated pictures, if no folder is named: those beside the run's folder,
    else below ``runs``, written if they are not there.
    Raises DataError where none of these is there, and for class names that the model does not know.
    """
    config, recorded, key = trained.config, trained.result["data"], trained.config.cell.dataset
    if data is None and load_profile(config.profile).pictures == "generated" and not is_own(key):
        data = _generated(trained, runs)
    if data is not None:
        _require_folder(data, f"the folder that holds {DATASETS[key].folders[0]}, or one of your own")
    root = locate.locate(key, data)
    if root is None and data is not None:
        return _users_own(trained, data)
    dataset = locate.load_for(key, data, config.settings.data)
    fingerprint = locate.fingerprint(dataset.root, key)
    if fingerprint == recorded["fingerprint"]:
        return Pictures(dataset, True, str(recorded["text"]))
    if isinstance(dataset, FGVCDataset):
        dataset = _in_the_models_classes(dataset, trained.classes)
    return Pictures(dataset, False, _text(dataset))


def _require_folder(path: Path, expected: str) -> None:
    with reading.explained(path, DataError):
        if path.is_dir():
            return
        found = "is a file" if path.exists() else "is not there"
    raise DataError(f"{path} {found}, expected {expected}")


def _generated(trained: Trained, runs: Path) -> Path:
    root = runs / trained.config.profile / "data"
    above = trained.source.parents
    if trained.source.is_dir() and len(above) > 3 and (above[3] / "data").is_dir():
        root = above[3] / "data"
    write(root, (trained.config.cell.dataset,))
    return root


def _users_own(trained: Trained, root: Path) -> Pictures:
    if trained.config.cell.task == "reid":
        dataset = market_layout.read_as_test(root)
    else:
        dataset = class_folders.read_as_test(root, trained.classes)
    # What was left out of a user's folders is said with what is there.
    return Pictures(dataset, False, "; ".join((_text(dataset), *dataset.notes)))


def _in_the_models_classes(dataset: FGVCDataset, classes: Sequence[str]) -> FGVCDataset:
    """The test split with labels as the model counts them. Raises DataError for a class that it does not know."""
    label = {name: index for index, name in enumerate(classes)}
    if unknown := sorted({dataset.classes[old] for old in dataset.test.labels} - label.keys()):
        raise DataError(
            f"{dataset.root}: {len(unknown):,} of its classes are none of the model's, "
            f"{', '.join(first(unknown, SHOWN))}; the model tells {len(label):,} apart, "
            f"{', '.join(first(list(label), SHOWN))}. Use data of these classes, under the same names"
        )
    labels = tuple(label[dataset.classes[old]] for old in dataset.test.labels)
    return replace(dataset, classes=tuple(classes), test=Split(dataset.test.files, labels))


def _text(dataset: Dataset) -> str:
    if isinstance(dataset, FGVCDataset):
        shown, known = len(set(dataset.test.labels)), len(dataset.classes)
        return (
            f"{len(dataset.test):,} pictures of {shown:,} of the model's {known:,} classes, at {dataset.root}"
        )
    return (
        f"{len(dataset.query):,} queries of {dataset.query.identities:,} identities, {len(dataset.gallery):,} gallery "
        f"pictures, at {dataset.root}"
    )
