"""One image file to one RGB array, or an error that says what is wrong with the file (no torch)."""

from __future__ import annotations

import re
from pathlib import Path

import cv2
import numpy as np

from benchmark.errors import DataError

# Damaged files are reported by read_image, by name; OpenCV's own lines on stderr name none.
cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)

_AGAIN = "fetch this file again"
_JPEG = b"\xff\xd8"
_PNG = b"\x89PNG\r\n\x1a\n"
_EOI, _SOS = 0xD9, 0xDA
# A marker that ends the picture or starts a segment: not a stuffed byte, a restart, a start of image or fill.
_MARKER = re.compile(rb"\xff([^\x00\x01\xd0-\xd8\xff])")


def read_image(path: Path, *, upright: bool = False) -> np.ndarray:
    """The image at ``path`` as uint8 RGB (H, W, 3), contiguous; the first one of a file with several.

    Grey and palette become RGB, CMYK JPEGs are taken as inverted (as Adobe writes them), alpha is dropped,
    16 bits keep their upper 8, and an EXIF orientation is ignored: all as the image readers of published
    FGVC code do, whose numbers we compare with.
    upright: turn it as its EXIF orientation says.

    Raises DataError for a missing, empty, truncated or undecodable file.
    """
    try:
        data = Path(path).read_bytes()
    except FileNotFoundError as error:
        raise DataError(
            f"{path}: no such image file, expected it from the dataset's lists; {_AGAIN}"
        ) from error
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}), expected an image; {_AGAIN}") from error
    if not data:
        raise DataError(f"{path}: the file is empty (0 bytes), expected an image; {_AGAIN}")
    if not is_complete(data):
        raise DataError(
            f"{path}: the image is truncated, found {len(data):,} bytes without the end-of-image marker that "
            f"a whole file has; {_AGAIN}"
        )
    flags = cv2.IMREAD_COLOR if upright else cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error:
        image = None
    if image is None:
        raise DataError(
            f"{path}: found {len(data):,} bytes starting with {data[:8]!r} that cannot be decoded, expected an "
            f"image; {_AGAIN}"
        )
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def is_complete(data: bytes) -> bool:
    """Whether a JPEG or PNG reaches its end marker; True for other formats, which decoders check.

    Needed because libjpeg fills what is missing with grey and calls that success.
    """
    if data.startswith(_JPEG):
        return _jpeg_ends(data)
    if data.startswith(_PNG):
        return _png_ends(data)
    return True


def _jpeg_ends(data: bytes) -> bool:
    """Whether an end-of-image marker follows the scans.

    Segments are skipped by their length (ITU-T T.81, B.1.1), since a thumbnail in one has markers of its
    own; in the scans themselves a 0xFF byte of image data is always followed by a stuffed 0.
    """
    at, scanned = len(_JPEG), False
    while marker := _MARKER.search(data, at):
        kind = marker[1][0]
        if kind == _EOI:
            return scanned
        scanned = scanned or kind == _SOS
        length = int.from_bytes(data[marker.end() : marker.end() + 2], "big")
        at = marker.end() + max(length, 2)
    return False


def _png_ends(data: bytes) -> bool:
    """Whether the chunks (length, type, content, checksum) go on to a whole IEND."""
    at = len(_PNG)
    while at + 12 <= len(data):
        if data[at + 4 : at + 8] == b"IEND":
            return True
        at += 12 + int.from_bytes(data[at : at + 4], "big")
    return False
