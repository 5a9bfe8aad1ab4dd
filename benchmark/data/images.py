"""One image file to one RGB array, or an error that says what is wrong with the file (no torch)."""

from __future__ import annotations

import logging
import os
import re
import stat
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from benchmark import reading
from benchmark.config.datasets import is_own
from benchmark.config.settings import DataSettings
from benchmark.data import decoder_messages
from benchmark.data.own.image_files import READ
from benchmark.data.picture_headers import Head, read_head, why_not_decoded
from benchmark.data.transforms import ViewSettings, drop_banner, test_view
from benchmark.errors import DataError

# Damaged files are reported by read_image, by name; OpenCV's own lines on stderr name none.
cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)

MAX_PIXELS = 250_000_000  # above every camera's; decoded they take 0.75 GB twice
MAX_BYTES = 2**31 - 1  # the most that OpenCV decodes from memory
_AGAIN = "fetch this file again"
# Chunks that change no pixel, such as a colour profile; a wrong checksum there is damage all the same.
_HARMLESS = re.compile(r"libpng warning: [a-z][A-Za-z]{3}: (?!.*CRC error).*")


@dataclass(frozen=True)
class Remark:
    """What a user should know of a picture that decodes.

    text: path, what was found, what to do. damage: whether a part of the picture may be missing or wrong.
    topic: remarks of one topic are said once.
    """

    text: str
    damage: bool
    topic: str


def read_image(
    path: Path, *, upright: bool = False, remark: Callable[[Remark], object] | None = None
) -> np.ndarray:
    """The image at ``path`` as uint8 RGB (H, W, 3), contiguous; the first one of a file with several.

    Grey and palette become RGB, CMYK JPEGs are taken as inverted (as Adobe writes them), alpha is dropped,
    16 bits keep their upper 8, and an EXIF orientation is ignored: all as the image readers of published
    FGVC code do, whose numbers we compare with.
    upright: turn it as its EXIF orientation says. remark: called with each remark on the picture; None logs it once.

    Raises DataError for a missing, empty, truncated or undecodable file and for one with too many pixels.
    """
    data = _content(path)
    head = read_head(data)
    if head.width * head.height > MAX_PIXELS:
        raise DataError(
            f"{path}: its head declares {head.width:,} × {head.height:,} pixels, expected at most {MAX_PIXELS:,}; "
            f"scale it down, or if it is not that large, its head is damaged: {_AGAIN}"
        )
    if not head.complete:
        raise DataError(
            f"{path}: the image is truncated, found {len(data):,} bytes without the end-of-image marker that "
            f"a whole file has; {_AGAIN}"
        )
    flags = cv2.IMREAD_COLOR if upright else cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
    image, printed = decoder_messages.collect(lambda: _decoded(data, flags))
    if image is None:
        decoder = f" (the decoder says: {'; '.join(printed)})" if printed else ""
        raise DataError(f"{path}: {why_not_decoded(data, head, READ)}{decoder}")
    for one in _remarks(path, image, head, printed):
        (remark or log_once)(one)
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


_logger = logging.getLogger("benchmark.pictures")
_logger.setLevel(logging.WARNING)  # also in ranks that log nothing else: only one of them reads this picture
_logged: set[str] = set()


def log_once(remark: Remark) -> None:
    """Log a remark as a warning, unless this process has logged one of its topic."""
    if remark.topic not in _logged:
        _logged.add(remark.topic)
        _logger.warning("%s", remark.text)


def damage_remark(path: Path, warnings: Sequence[str]) -> Remark:
    """The remark on a picture that a decoder warns of."""
    text = (
        f"{path}: the decoder warns of damage ({'; '.join(warnings)}), a part of the picture may be missing or "
        f"wrong; {_AGAIN}, or if its source has it so, save it anew with an image editor or leave it out"
    )
    return Remark(text, True, str(path))


def _content(path: Path) -> bytes:
    try:
        status = os.stat(path)
        if not stat.S_ISREG(status.st_mode) or status.st_size > MAX_BYTES:
            # It raises what is wrong, and never waits for a named pipe.
            reading.open_file(path, MAX_BYTES).close()
        with open(path, "rb", buffering=0) as stream:
            data = stream.read()
    except FileNotFoundError as error:
        raise DataError(
            f"{path}: no such image file, expected it from the dataset's lists; {_AGAIN}"
        ) from error
    except OSError as error:
        raise DataError(f"{reading.explanation(path, error)} (an image is expected)") from error
    if not data:
        raise DataError(f"{path}: the file is empty (0 bytes), expected an image; {_AGAIN}")
    return data


def _decoded(data: bytes, flags: int) -> np.ndarray | None:
    try:
        return cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error:
        return None


def _remarks(path: Path, image: np.ndarray, head: Head, printed: list[str]) -> Iterator[Remark]:
    """What the decoder printed, and values that use the lower part of 16 bits alone."""
    if warnings := [line for line in printed if not _HARMLESS.fullmatch(line)]:
        yield damage_remark(path, warnings)
    if head.bits == 16 and not head.floating and image.max() < 16:
        text = (
            f"{path}: a 16-bit picture whose values are all below 4,096, as of a camera with 10 or 12 bits; it comes "
            "out black, since of 16 bits the upper 8 are kept: multiply the values by 16, or save it with 8 bits"
        )
        yield Remark(text, False, "dark")


# --- How a run sees a picture in evaluation, from the file to the network's input ---


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
