"""Reading of image files as RGB arrays, with an error that tells what is wrong with a file (no torch)."""

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
from benchmark.data.own.image_files import READ_FORMATS
from benchmark.data.picture_headers import Header, decoding_problem, read_header
from benchmark.data.transforms import ViewSettings, drop_banner, test_view
from benchmark.errors import DataError

# read_image reports damaged files by name; OpenCV's own messages on stderr have no names.
cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)

MAX_PIXELS = 250_000_000  # more than any camera has; decoding needs 0.75 GB twice
MAX_BYTES = 2**31 - 1  # limit of OpenCV's decoding from memory
_AGAIN = "fetch this file again"
# Warnings about chunks without pixels, such as a colour profile, except a wrong checksum.
_HARMLESS = re.compile(r"libpng warning: [a-z][A-Za-z]{3}: (?!.*CRC error).*")


@dataclass(frozen=True)
class Remark:
    """Remark on a picture that decodes.

    text: path, what was found, what to do.
    damage: whether a part of the picture may be missing or wrong.
    topic: remarks of the same topic are logged once.
    """

    text: str
    damage: bool
    topic: str


def read_image(
    path: Path, *, upright: bool = False, remark: Callable[[Remark], object] | None = None
) -> np.ndarray:
    """Read an image as uint8 RGB (H, W, 3), contiguous; the first one of a file with several.

    Grey and palette images become RGB. CMYK JPEGs are taken as inverted (as Adobe writes them). Alpha is dropped. Of 16
    bits the upper 8 are kept. EXIF orientation is ignored. The image readers of published FGVC code do all this, too.

    upright: whether to turn the image by its EXIF orientation.
    remark: called with each remark on the picture; None logs it once.

    Raises DataError for a missing, empty, truncated or undecodable file and for one with too many pixels.
    """
    data = _read_bytes(path)
    header = read_header(data)
    if header.width * header.height > MAX_PIXELS:
        raise DataError(
            f"{path}: its head declares {header.width:,} × {header.height:,} pixels, expected at most {MAX_PIXELS:,}; "
            f"scale it down, or if it is not that large, its head is damaged: {_AGAIN}"
        )
    if not header.complete:
        raise DataError(
            f"{path}: the image is truncated, found {len(data):,} bytes without the end-of-image marker that "
            f"a whole file has; {_AGAIN}"
        )
    flags = cv2.IMREAD_COLOR if upright else cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
    image, lines = decoder_messages.collect(lambda: _decode(data, flags))
    if image is None:
        decoder = f" (the decoder says: {'; '.join(lines)})" if lines else ""
        raise DataError(f"{path}: {decoding_problem(data, header, READ_FORMATS)}{decoder}")
    for each in _remarks(path, image, header, lines):
        (remark or log_once)(each)
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


_logger = logging.getLogger("benchmark.pictures")
_logger.setLevel(logging.WARNING)  # also in ranks that log nothing else: each picture is read by one rank
_logged: set[str] = set()


def log_once(remark: Remark) -> None:
    """Log a remark as a warning, unless this process has already logged one of its topic."""
    if remark.topic not in _logged:
        _logged.add(remark.topic)
        _logger.warning("%s", remark.text)


def damage_remark(path: Path, warnings: Sequence[str]) -> Remark:
    """Remark on a picture with warnings of the decoder."""
    text = (
        f"{path}: the decoder warns of damage ({'; '.join(warnings)}), a part of the picture may be missing or "
        f"wrong; {_AGAIN}, or if its source has it so, save it anew with an image editor or leave it out"
    )
    return Remark(text, True, str(path))


def _read_bytes(path: Path) -> bytes:
    try:
        status = os.stat(path)
        if not stat.S_ISREG(status.st_mode) or status.st_size > MAX_BYTES:
            # It raises the reason, and does not wait for a named pipe.
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


def _decode(data: bytes, flags: int) -> np.ndarray | None:
    try:
        return cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error:
        return None


def _remarks(path: Path, image: np.ndarray, header: Header, lines: list[str]) -> Iterator[Remark]:
    """Remarks on messages of the decoder, and on 16-bit values that only use the lower bits."""
    if warnings := [line for line in lines if not _HARMLESS.fullmatch(line)]:
        yield damage_remark(path, warnings)
    if header.bits == 16 and not header.floating and image.max() < 16:
        text = (
            f"{path}: a 16-bit picture whose values are all below 4,096, as of a camera with 10 or 12 bits; it comes "
            "out black, since of 16 bits the upper 8 are kept: multiply the values by 16, or save it with 8 bits"
        )
        yield Remark(text, False, "dark")


# --- Pictures in evaluation, from the file to the network's input ---


@dataclass(frozen=True)
class TestPictures:
    """Reader of pictures for evaluation: reads a file and makes the test view.

    view: sizes and cropping.
    banner: whether to cut off the copyright rows of Aircraft first.
    upright: whether to turn pictures by their EXIF orientation. True for a user's own pictures; published datasets are
        read as published code reads them.
    """

    __test__ = False  # not a test class of pytest's

    view: ViewSettings
    banner: bool = False
    upright: bool = False

    @classmethod
    def for_dataset(cls, key: str, settings: DataSettings) -> TestPictures:
        """The reader for a dataset with these settings."""
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
        """Read a whole picture, uint8 RGB (H, W, 3). remark, errors: as of ``read_image``."""
        image = read_image(path, upright=self.upright, remark=remark)
        return drop_banner(image) if self.banner else image

    def __call__(self, path: Path) -> np.ndarray:
        """Input of the network, uint8 RGB (*view.crop, 3). Raises as ``read``."""
        return test_view(self.read(path), self.view)
