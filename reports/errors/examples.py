"""Examples of errors: thumbnails of confused classes, and the hardest queries of re-identification.

Thumbnails need the dataset with which the run was made.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmark.atomic import explained, write_file
from benchmark.config.places import Places
from benchmark.data import locate
from benchmark.data.fgvc import FGVCDataset
from benchmark.errors import DataError, RunError, SettingsError
from benchmark.records.status import RunView
from reports.errors.confusion import Confusion
from tables.records import fingerprint, is_done

SIDE = 200  # longer side of a thumbnail, in pixels
QUALITY = 85  # JPEG quality of thumbnails
PAIR_RULE = (
    "Left: of the test pictures of a class that {run} predicted as the other class, the one with the lowest "
    "probability of the true class, the first of equal ones. Right: the first training picture, in the dataset's list, "
    "of the predicted class. Confusions that this run did not make are left out."
)


@dataclass(frozen=True)
class Example:
    """A confusion as two pictures.

    test, train: names of the thumbnails in the folder.
    test_file, train_file: names of the pictures in the dataset's lists.
    probability: probability of the true class, 0 to 1.
    """

    confusion: Confusion
    test: str
    test_file: str
    probability: float
    train: str
    train_file: str


@dataclass(frozen=True)
class Examples:
    """Examples of a run.

    rule: how they were selected.
    reason: why there are none, or "".
    notes: pictures that could not be shown.
    """

    pairs: tuple[Example, ...]
    rule: str
    reason: str = ""
    notes: tuple[str, ...] = ()


def write_examples(
    pairs: Sequence[Confusion], run: RunView, places: Places, folder: Path, *, count: int = 6
) -> Examples:
    """Write thumbnails for the first ``count`` confused pairs that ``run`` confused into ``folder``.

    run: a finished run, one of those over which the pairs were counted.
    places: folders of its data (``Merged.places[run.id]``).

    If the dataset is missing or is not the recorded one, nothing is written and ``reason`` says so. Raises RunError
    if a thumbnail cannot be written.
    """
    rule = PAIR_RULE.format(run=run.id)
    try:
        arrays = {name: run.predictions[name] for name in ("labels", "both_predicted", "both_probability")}
        dataset = _dataset(run, places, arrays["labels"])
    except KeyError as error:
        return Examples((), rule, f"the record of {run.id} holds no {error.args[0]}")
    except (DataError, RunError) as error:
        return Examples((), rule, str(error))
    with explained(folder):
        folder.mkdir(parents=True, exist_ok=True)
    examples, notes = [], []
    for pair in pairs:
        if len(examples) == count:
            break
        if (index := _worst_index(arrays, pair)) is None:
            continue
        files = dataset.test.files[index], dataset.train.files[dataset.train.labels.index(pair.predicted)]
        try:
            thumbnails = [_thumbnail(dataset.root / file) for file in files]
        except DataError as error:
            notes.append(str(error))
            continue
        names = [f"test-{pair.true}-{pair.predicted}.jpg", f"train-{pair.predicted}.jpg"]
        for name, thumbnail in zip(names, thumbnails, strict=True):
            write_file(folder / name, lambda stream, content=thumbnail: stream.write(content))
        probability = float(arrays["both_probability"][index])
        examples.append(Example(pair, names[0], files[0], probability, names[1], files[1]))
    reason = "" if examples or notes else f"{run.id} made none of these mistakes"
    return Examples(tuple(examples), rule, reason, tuple(notes))


def _dataset(run: RunView, places: Places, labels: np.ndarray) -> FGVCDataset:
    """Load the recorded dataset. Raises DataError if it is missing or another one."""
    dataset = locate.load_fgvc(run.cell.dataset, places.data, run.config.settings.data.class_limit)
    if locate.fingerprint(dataset.root, dataset.key) != fingerprint(run):
        raise DataError(
            f"{dataset.root} holds other data than {run.id} was made from, so its pictures cannot be shown; "
            "set DATA to the folder the run was made with"
        )
    if list(dataset.test.labels) != labels.tolist():
        raise DataError(f"the test images of {dataset.root} are not those that {run.id} predicted")
    return dataset


def _worst_index(arrays: dict[str, np.ndarray], pair: Confusion) -> int | None:
    """Return the index of a confusion's test picture by PAIR_RULE; None if the run did not confuse the pair."""
    confused = (arrays["labels"] == pair.true) & (arrays["both_predicted"] == pair.predicted)
    indices = np.flatnonzero(confused)
    return int(indices[np.argmin(arrays["both_probability"][indices])]) if len(indices) else None


def _thumbnail(path: Path) -> bytes:
    """Create a JPEG of the uncropped picture. Raises DataError for a picture that cannot be read."""
    import cv2

    from benchmark.data.images import read_image

    image = read_image(path)
    height, width = image.shape[:2]
    scale = min(1.0, SIDE / max(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    written, content = cv2.imencode(".jpg", small[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    if not written:
        raise DataError(f"{path}: its thumbnail of {size[0]} × {size[1]} pixels cannot be written as JPEG")
    return content.tobytes()


# --- Hardest queries of re-identification, and the gallery pictures ranked too high ---

QUERY_RULE = (
    "The queries with the lowest average precision of {run}, lowest first, equal ones in the dataset's order; queries "
    "without a true match in the gallery are left out."
)


@dataclass(frozen=True)
class HardQuery:
    """A query with its result.

    index: index in the dataset's list of queries.
    ap: average precision in percent.
    other_ap: average precision of the run compared with; None without one.
    first_hit: rank of the first true match, from 1.
    wrong: gallery indices of the pictures ranked before it, nearest first, as many as the record holds; None if the
        record holds no ranked lists.
    """

    index: int
    identity: int
    camera: int
    ap: float
    other_ap: float | None
    first_hit: int
    wrong: tuple[int, ...] | None


@dataclass(frozen=True)
class HardQueries:
    """The hardest queries of a run. rule: how they were selected; notes: what is missing."""

    queries: tuple[HardQuery, ...]
    rule: str
    notes: tuple[str, ...]


def hardest_queries(run: RunView, other: RunView | None = None, *, count: int = 10) -> HardQueries | None:
    """Select the ``count`` hardest queries of a run; None unless it is done.

    other: a run to compare with, e.g. the baseline.
    Raises SettingsError for a run of classification, RunError if the run's predictions cannot be read.
    """
    if run.cell.task != "reid":
        raise SettingsError(f"{run.id} is fine-grained classification: expected a run of re-identification")
    if not is_done(run):
        return None
    arrays, notes = run.predictions, []
    ap, first_hit = arrays["both_ap"], arrays["both_first_hit"]
    other_ap = _other_ap(run, other, notes)
    nearest = arrays["both_nearest"] if "both_nearest" in arrays else None
    if nearest is None:
        notes.append(f"the record of {run.id} holds no ranked lists")
    answerable = np.flatnonzero(first_hit > 0)
    order = answerable[np.argsort(ap[answerable], kind="stable")][:count]
    queries = tuple(
        HardQuery(
            index,
            int(arrays["identities"][index]),
            int(arrays["cameras"][index]),
            100.0 * float(ap[index]),
            None if other_ap is None else 100.0 * float(other_ap[index]),
            int(first_hit[index]),
            # −1 fills lists that are shorter
            None
            if nearest is None
            else tuple(item for item in nearest[index][: first_hit[index] - 1].tolist() if item >= 0),
        )
        for index in order.tolist()
    )
    return HardQueries(queries, QUERY_RULE.format(run=run.id), tuple(notes))


def _other_ap(run: RunView, other: RunView | None, notes: list[str]) -> np.ndarray | None:
    """Return the other run's average precisions if it has the same queries."""
    if other is None or not is_done(other):
        return None
    try:
        same = fingerprint(run) == fingerprint(other) and np.array_equal(
            run.predictions["identities"], other.predictions["identities"]
        )
        if same:
            return other.predictions["both_ap"]
        notes.append(f"{other.id} has other queries and is not compared with")
    except (RunError, KeyError) as error:
        notes.append(f"{other.id} is not compared with: {error}")
    return None
