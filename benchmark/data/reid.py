"""Re-identification datasets: training identities, queries and a gallery (no torch)."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from benchmark.config.datasets import DATASETS, is_own
from benchmark.data.splits import Split, outside_problems, refuse
from benchmark.errors import DataError
from benchmark.reading import explained

PICTURES = (".jpg", ".jpeg", ".png")
SUFFIX = r"\.(?i:jpg|jpeg|png)"  # the same, for patterns


@dataclass(frozen=True)
class ReIDSplit(Split):
    """A split with the camera of each picture, parallel to ``files`` and ``labels``.

    labels: of the training split 0-based positions in the dataset's ``identities``; of query and gallery the official
        identity numbers.
    cameras: official camera numbers.
    """

    cameras: tuple[int, ...]

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.cameras) != len(self.files):
            raise ValueError(f"{len(self.files)} files but {len(self.cameras)} cameras")

    @property
    def identities(self) -> int:
        """Number of identities."""
        return len(set(self.labels))


@dataclass(frozen=True)
class ReIDDataset:
    """A dataset as read from its official files.

    version: of the official dataset if it has several, e.g. ``V2``; else "".
    identities: official numbers of the training identities, as text; ``identities[i]`` is label i.
    val: number of pictures of the official validation list (MSMT17).
    val_merged: whether they are part of ``train``.
    skipped: files whose names do not parse, left out by a setting.
    notes: what the reader could not check, for ``make check-data``.
    """

    key: str
    root: Path
    version: str
    identities: tuple[str, ...]
    train: ReIDSplit
    query: ReIDSplit
    gallery: ReIDSplit
    val: int = 0
    val_merged: bool = False
    skipped: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def classes(self) -> tuple[str, ...]:
        """Classes of the classifier in training."""
        return self.identities

    @property
    def test(self) -> ReIDSplit:
        """All pictures whose features are needed: the queries, then the gallery."""
        q, g = self.query, self.gallery
        return ReIDSplit(q.files + g.files, q.labels + g.labels, q.cameras + g.cameras)

    @property
    def edition(self) -> str:
        """Version and training lists, ``V1, train + val``, for the only dataset with several (MSMT17); else ""."""
        lists = "train + val" if self.val_merged else "train only"
        return f"{self.version}, {lists}" if self.version else ""

    @property
    def counts(self) -> dict[str, int]:
        """Counts under the names of the registry's official ones; ``val`` only if there is a validation list."""
        return {
            "train_ids": len(self.identities),
            "train": len(self.train) - (self.val if self.val_merged else 0),
            **({"val": self.val} if self.val else {}),
            "query": len(self.query),
            "query_ids": self.query.identities,
            "gallery": len(self.gallery),
            "gallery_ids": self.gallery.identities,
            "cameras": len({*self.train.cameras, *self.query.cameras, *self.gallery.cameras}),
        }

    @property
    def pictures(self) -> tuple[str, ...]:
        """All files, in list order."""
        return (*self.train.files, *self.query.files, *self.gallery.files)


class ReIDPicture(NamedTuple):
    """A picture of a dataset.

    file: path relative to the root.
    identity: as written in the name.
    camera: as a number.
    """

    file: str
    identity: str
    camera: int

    @property
    def number(self) -> int:
        """The official identity number."""
        return int(self.identity)


@dataclass(frozen=True)
class NamingScheme:
    """Naming scheme of a dataset's files, which contains the labels.

    pattern: of a whole name, with the groups ``identity`` and ``camera``.
    example: such a name.
    advice: what to do about an incomplete or wrong copy.
    one_numbering: whether train and test identities have one numbering, so that none may be in both.
    folder: name of a user's own dataset.
    """

    key: str
    pattern: re.Pattern[str]
    example: str
    advice: str
    one_numbering: bool = True
    folder: str = ""

    @property
    def title(self) -> str:
        """Official name of the dataset; for a user's own dataset, the name of its folder."""
        return self.folder or DATASETS[self.key].title

    def picture(self, folder: str, name: str) -> ReIDPicture | None:
        """Parse the name of ``folder/name``; None if it does not parse."""
        match = self.pattern.fullmatch(name)
        return match and ReIDPicture(f"{folder}/{name}", match["identity"], int(match["camera"]))

    def pictures(self, folder: str, names: Sequence[str], unparsable: list[str]) -> list[ReIDPicture]:
        """Parse names in order; files whose names do not parse are added to ``unparsable``."""
        parsed = [(name, self.picture(folder, name)) for name in names]
        unparsable += [f"{folder}/{name}" for name, picture in parsed if picture is None]
        return [picture for _, picture in parsed if picture is not None]


def assemble(
    scheme: NamingScheme,
    root: Path,
    train: Sequence[ReIDPicture] | None,
    query: Sequence[ReIDPicture],
    gallery: Sequence[ReIDPicture],
    *,
    problems: Sequence[str] = (),
    unparsable: Sequence[str] = (),
    skip_unparsable: bool = False,
    version: str = "",
    val: int = 0,
    val_merged: bool = False,
    notes: Sequence[str] = (),
) -> ReIDDataset:
    """Build and check a dataset. The order of the pictures is kept.

    Training labels are positions in the ascending official identity numbers.

    train: None if nothing is trained.
    problems: found by the reader.
    unparsable: files whose names do not parse. They are refused, or with ``skip_unparsable`` left out and listed in the
        dataset.

    Raises Contradictions for all of these, an empty split, a training set of one identity, a file that is listed twice
    or has an impossible name, a camera out of the official range, an identity in train and test if they have one
    numbering, and queries of which none can be answered.
    """
    splits = {} if train is None else {"train": train}
    splits |= {"query": query, "gallery": gallery}
    train = train or ()
    advice, problems = scheme.advice, list(problems)
    if unparsable and not skip_unparsable:
        # Without training, only the settings of the model's run apply.
        hint = '; SET="data.skip_unparsable=true" leaves them out' if "train" in splits else ""
        advice += f" Names that do not parse: {len(unparsable):,}{hint}."
        problems += [
            f"{file!r}: the name says neither identity nor camera, expected one like {scheme.example}"
            for file in unparsable
        ]
    problems += [f"the {name} split has no pictures" for name, pictures in splits.items() if not pictures]
    problems += _duplicate_files(splits)
    problems += outside_problems(picture.file for pictures in splits.values() for picture in pictures)
    if not is_own(scheme.key):
        problems += _cameras_out_of_range(splits, DATASETS[scheme.key].official["cameras"])
    train_numbers = {picture.number for picture in train}
    if len(train_numbers) == 1:
        problems.append(f"the train split has only identity {train[0].identity}, expected 2 and more")
    if scheme.one_numbering:
        problems += _shared_identities(train, [*query, *gallery])
    label_map = {number: index for index, number in enumerate(sorted(train_numbers))}
    names = {picture.number: picture.identity for picture in reversed(train)}
    dataset = ReIDDataset(
        scheme.key,
        root,
        version,
        tuple(names[number] for number in label_map),
        _split(train, [label_map[picture.number] for picture in train]),
        *(_split(pictures, [picture.number for picture in pictures]) for pictures in (query, gallery)),
        val=val,
        val_merged=val_merged,
        skipped=tuple(unparsable),
        notes=tuple(notes),
    )
    if query and gallery and len(unanswerable_queries(dataset)) == len(query):
        problems.append(
            f"none of the {len(query):,} queries can be answered: no identity of theirs has a gallery picture from "
            f"another camera, expected one for nearly every query"
        )
    refuse(f"{scheme.title} at {root}", problems, advice)
    return dataset


def unanswerable_queries(dataset: ReIDDataset) -> tuple[str, ...]:
    """Files of the queries whose identity has no gallery picture from another camera. They are not evaluated."""
    gallery_cameras: dict[int, set[int]] = {}
    for identity, camera in zip(dataset.gallery.labels, dataset.gallery.cameras, strict=True):
        gallery_cameras.setdefault(identity, set()).add(camera)
    query = dataset.query
    return tuple(
        file
        for file, identity, camera in zip(query.files, query.labels, query.cameras, strict=True)
        if not gallery_cameras.get(identity, set()) - {camera}
    )


def picture_names(folder: Path) -> list[str]:
    """Sorted names of the pictures in a folder, without hidden files and other kinds (Thumbs.db).

    Only names are read: this runs over 36,000 of them at every start.
    """
    with explained(folder, DataError), os.scandir(folder) as entries:
        names = sorted(entry.name for entry in entries)
    return [name for name in names if name.lower().endswith(PICTURES) and not name.startswith(".")]


def _split(pictures: Sequence[ReIDPicture], labels: Sequence[int]) -> ReIDSplit:
    files, cameras = ([picture.file for picture in pictures], [picture.camera for picture in pictures])
    return ReIDSplit(tuple(files), tuple(labels), tuple(cameras))


def _duplicate_files(splits: dict[str, Sequence[ReIDPicture]]) -> list[str]:
    first_listing: dict[str, str] = {}
    problems: list[str] = []
    for name, pictures in splits.items():
        for picture in pictures:
            if picture.file in first_listing:
                problems.append(
                    f"{picture.file} is listed twice ({first_listing[picture.file]} and {name}), expected once"
                )
            first_listing[picture.file] = name
    return problems


def _cameras_out_of_range(splits: dict[str, Sequence[ReIDPicture]], cameras: int) -> list[str]:
    return [
        f"{picture.file}: camera {picture.camera}, expected 1 to {cameras}"
        for pictures in splits.values()
        for picture in pictures
        if not 1 <= picture.camera <= cameras
    ]


def _shared_identities(train: Sequence[ReIDPicture], test: Sequence[ReIDPicture]) -> list[str]:
    """A message for each identity in both splits; 0 and negative numbers are no identities, see ``market_folders``."""
    train_pictures, test_pictures = (
        {picture.number: picture for picture in reversed(part)} for part in (train, test)
    )
    pairs = [
        (train_pictures[number], test_pictures[number])
        for number in sorted(train_pictures.keys() & test_pictures)
    ]
    return [
        f"identity {first.identity} is in train and test ({first.file}, {second.file}), expected in one of the two"
        for first, second in pairs
        if first.number > 0
    ]
