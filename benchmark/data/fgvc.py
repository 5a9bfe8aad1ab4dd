"""What a fine-grained classification dataset is to the suite: two lists of labelled files (no torch)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Split:
    """One split as parallel tuples.

    files: paths relative to the dataset's root, POSIX style, in the official order.
    labels: class indices, 0-based, into the dataset's ``classes``.
    """

    files: tuple[str, ...]
    labels: tuple[int, ...]

    def __post_init__(self) -> None:
        if len(self.files) != len(self.labels):
            raise ValueError(f"{len(self.files)} files but {len(self.labels)} labels")

    def __len__(self) -> int:
        return len(self.files)


@dataclass(frozen=True)
class FGVCDataset:
    """A dataset as read from its official files; ``classes[i]`` is the official name of label i."""

    key: str
    root: Path
    classes: tuple[str, ...]
    train: Split
    test: Split
