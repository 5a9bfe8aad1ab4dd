"""What a re-identification dataset is to the suite: training identities, queries and a gallery (no torch)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from benchmark.data.lists import Split


@dataclass(frozen=True)
class ReIDSplit(Split):
    """A split with the camera of each picture, parallel to ``files`` and ``labels``.

    labels: of the training split 0-based places in the dataset's ``identities``; of query and gallery the official
    identity numbers. cameras: official camera numbers.
    """

    cameras: tuple[int, ...]

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.cameras) != len(self.files):
            raise ValueError(f"{len(self.files)} files but {len(self.cameras)} cameras")

    @property
    def identities(self) -> int:
        """How many identities there are."""
        return len(set(self.labels))


@dataclass(frozen=True)
class ReIDDataset:
    """A dataset as read from its official files.

    version: of the official dataset where that has several, e.g. ``V2``; else "".
    identities: official numbers of the training identities, as text; ``identities[i]`` is label i.
    val: pictures of the official validation list (MSMT17); val_merged: whether they are part of ``train``.
    skipped: files whose names say neither identity nor camera, left out because that was asked for.
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

    @property
    def classes(self) -> tuple[str, ...]:
        """What the classifier tells apart in training."""
        return self.identities

    @property
    def test(self) -> ReIDSplit:
        """Everything that features are needed of: the queries, then the gallery."""
        q, g = self.query, self.gallery
        return ReIDSplit(q.files + g.files, q.labels + g.labels, q.cameras + g.cameras)

    @property
    def counts(self) -> dict[str, int]:
        """Found counts under the names of the registry's official ones; ``val`` only where there is such a list."""
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
