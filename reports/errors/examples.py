"""Examples of confused classes: a test picture taken for another class, beside a training picture of that class.

Reads the dataset again, which must be the one the run was made from (no torch).
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

SIDE = 200  # pixels of a thumbnail's longer side
QUALITY = 85  # of the JPEG
PAIR_RULE = (
    "Of the test pictures of a class that {run} took for the other one, the one whose true class got the lowest "
    "probability, the first of equal ones; beside it the first training picture, in the dataset's list, of the class "
    "it was taken for. Confusions that this run did not make are left out."
)


@dataclass(frozen=True)
class Example:
    """A confusion in pictures. test, train: names of thumbnails in the folder; test_file, train_file: the pictures in
    the dataset, as its lists name them. probability: of the true class, 0 to 1.
    """

    confusion: Confusion
    test: str
    test_file: str
    probability: float
    train: str
    train_file: str


@dataclass(frozen=True)
class Examples:
    """reason: why there are none, or "". notes: pictures that could not be shown. rule: how they were chosen."""

    pictures: tuple[Example, ...]
    rule: str
    reason: str = ""
    notes: tuple[str, ...] = ()


def examples(
    pairs: Sequence[Confusion], run: RunView, places: Places, folder: Path, *, count: int = 6
) -> Examples:
    """Write thumbnails for the first ``count`` of the confused pairs that ``run`` has mistakes of into ``folder``.

    run: a done one, among those the pairs were counted over; places: where its data are (``Merged.places[run.id]``).
    Nothing is written where the dataset is not there, or is not the one of the record: ``reason`` says so. Raises
    RunError where a thumbnail cannot be written.
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
    found, notes = [], []
    for pair in pairs:
        if len(found) == count:
            break
        if (place := _worst(arrays, pair)) is None:
            continue
        files = dataset.test.files[place], dataset.train.files[dataset.train.labels.index(pair.predicted)]
        try:
            thumbnails = [_thumbnail(dataset.root / file) for file in files]
        except DataError as error:
            notes.append(str(error))
            continue
        names = [f"test-{pair.true}-{pair.predicted}.jpg", f"train-{pair.predicted}.jpg"]
        for name, thumbnail in zip(names, thumbnails, strict=True):
            write_file(folder / name, lambda stream, content=thumbnail: stream.write(content))
        probability = float(arrays["both_probability"][place])
        found.append(Example(pair, names[0], files[0], probability, names[1], files[1]))
    reason = "" if found or notes else f"{run.id} made none of these mistakes"
    return Examples(tuple(found), rule, reason, tuple(notes))


def _dataset(run: RunView, places: Places, labels: np.ndarray) -> FGVCDataset:
    """The dataset the record was made from. Raises DataError where it is not there, or is another one."""
    dataset = locate.load_fgvc(run.cell.dataset, places.data, run.config.settings.data.class_limit)
    if locate.fingerprint(dataset.root, dataset.key) != fingerprint(run):
        raise DataError(
            f"{dataset.root} holds other data than {run.id} was made from, so its pictures cannot be shown; "
            "set DATA to the folder the run was made with"
        )
    if list(dataset.test.labels) != labels.tolist():
        raise DataError(f"the test images of {dataset.root} are not those that {run.id} predicted")
    return dataset


def _worst(arrays: dict[str, np.ndarray], pair: Confusion) -> int | None:
    """Place in the test list of the confusion's example, by RULE."""
    confused = (arrays["labels"] == pair.true) & (arrays["both_predicted"] == pair.predicted)
    places = np.flatnonzero(confused)
    return int(places[np.argmin(arrays["both_probability"][places])]) if len(places) else None


def _thumbnail(path: Path) -> bytes:
    """A JPEG of the whole picture. Raises DataError for one that cannot be read."""
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


# --- Where a run errs (re-identification): its hardest queries, and what it found instead ---

QUERY_RULE = (
    "The queries with the lowest average precision of {run}, lowest first, equal ones in the dataset's order; queries "
    "that have nothing to find are left out."
)


@dataclass(frozen=True)
class HardQuery:
    """A query. place: in the dataset's list, from 0. ap: average precision in percent; other_ap: that of the run
    compared with, None without one. first_hit: rank of the first right picture, from 1.

    wrong: places in the gallery of the pictures ranked before it, nearest first, as many as the record holds; None
    where it holds no ranked lists.
    """

    place: int
    identity: int
    camera: int
    ap: float
    other_ap: float | None
    first_hit: int
    wrong: tuple[int, ...] | None


@dataclass(frozen=True)
class HardQueries:
    """notes: what is missing, in words."""

    queries: tuple[HardQuery, ...]
    rule: str
    notes: tuple[str, ...]


def hardest(run: RunView, other: RunView | None = None, *, count: int = 10) -> HardQueries | None:
    """The ``count`` hardest queries of a run, None unless it is done; other: a run to compare with, e.g. the baseline.

    Raises SettingsError for a run of classification, RunError where the run's own predictions cannot be read.
    """
    if run.cell.task != "reid":
        raise SettingsError(f"{run.id} is fine-grained classification: expected a run of re-identification")
    if not is_done(run):
        return None
    found, notes = run.predictions, []
    ap, first = found["both_ap"], found["both_first_hit"]
    compared = _compared(run, other, notes)
    nearest = found["both_nearest"] if "both_nearest" in found else None
    if nearest is None:
        notes.append(f"the record of {run.id} holds no ranked lists")
    answerable = np.flatnonzero(first > 0)
    order = answerable[np.argsort(ap[answerable], kind="stable")][:count]
    queries = tuple(
        HardQuery(
            place,
            int(found["identities"][place]),
            int(found["cameras"][place]),
            100.0 * float(ap[place]),
            None if compared is None else 100.0 * float(compared[place]),
            int(first[place]),
            None if nearest is None else _before(nearest[place], int(first[place])),
        )
        for place in order.tolist()
    )
    return HardQueries(queries, QUERY_RULE.format(run=run.id), tuple(notes))


def _before(nearest: np.ndarray, first_hit: int) -> tuple[int, ...]:
    """The gallery places ranked before the first right one; −1 fills lists that are shorter."""
    return tuple(place for place in nearest[: first_hit - 1].tolist() if place >= 0)


def _compared(run: RunView, other: RunView | None, notes: list[str]) -> np.ndarray | None:
    """The other run's average precisions, where they are of the same queries."""
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
