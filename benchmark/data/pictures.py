"""How a run sees a picture in evaluation, from the file to the network's input (no torch)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmark.config.datasets import is_own
from benchmark.config.settings import DataSettings
from benchmark.data.images import Remark, read_image
from benchmark.data.transforms import ViewSettings, drop_banner, test_view


@dataclass(frozen=True)
class TestPictures:
    """Reading, then the one view of evaluation; for the pictures of the test split and for any other one.

    view: sizes and cropping. banner: whether Aircraft's copyright rows are cut off first. upright: whether pictures are
    turned as their EXIF orientation says: a user's own are, as they are seen; published sets are read as others read
    them.
    """

    __test__ = False  # not a test class of pytest's

    view: ViewSettings
    banner: bool = False
    upright: bool = False

    @classmethod
    def of(cls, key: str, settings: DataSettings) -> TestPictures:
        """Those of a dataset under these settings."""
        view = ViewSettings(
            resize=settings.resize,
            crop=settings.crop,
            flip=settings.flip,
            test_crop=settings.test_crop,
            interpolation=settings.interpolation,
            pad=settings.pad,
        )
        return cls(view, settings.drop_banner and key == "aircraft", is_own(key))

    def read(self, path: Path, remark: Callable[[Remark], object] | None = None) -> np.ndarray:
        """The whole picture, uint8 RGB (H, W, 3). remark, errors: as of ``read_image``."""
        image = read_image(path, upright=self.upright, remark=remark)
        return drop_banner(image) if self.banner else image

    def __call__(self, path: Path) -> np.ndarray:
        """What the network sees, uint8 RGB (*view.crop, 3). Raises as ``read``."""
        return test_view(self.read(path), self.view)
