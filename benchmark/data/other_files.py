"""What a file is that has a picture's name and does not decode, and what to do about it (no numpy, no OpenCV)."""

from __future__ import annotations

import re

from benchmark.data.picture_heads import Head

_CONVERT = "convert it to JPEG or PNG"
_DOWNLOAD = "download the picture itself"
_AGAIN = "fetch this file again"
# Patterns of a file's beginning, what such a file is, and what helps.
_CONTENTS = (
    (rb"version https://git-lfs", "a Git LFS pointer", "run `git lfs pull` in the repository it comes from"),
    (rb"\S*/annex/objects/", "a git-annex pointer", "run `git annex get` in the repository it comes from"),
    (rb"\s*(<!--.*?-->\s*)?<(!doctype html|html|head)", "an HTML page, such as an error page", _DOWNLOAD),
    (rb".*<svg\s", "an SVG drawing", _CONVERT),
    (rb"(\xef\xbb\xbf)?\s*<\?xml", "an XML text, such as a server's error", _DOWNLOAD),
    (rb'\s*\{\s*"', "a JSON text, such as a server's error", _DOWNLOAD),
    (rb"%PDF", "a PDF", _CONVERT),
    (rb"PK\x03\x04", "a ZIP archive", "unpack it"),
    (rb"\x1f\x8b", "a gzip archive", "unpack it"),
    (rb"\x93NUMPY", "a numpy array", _CONVERT),
    (rb"\x89HDF", "an HDF5 file", _CONVERT),
    (rb"v/1\x01", "an OpenEXR picture", _CONVERT),
    (rb".{128}DICM", "a DICOM picture", _CONVERT),
    (rb"\0{16}", "NUL bytes, as an interrupted copy leaves them", _AGAIN),
)
# Formats that OpenCV decodes everywhere: a file of them that does not decode is damaged, or of an unusual kind.
_DECODED = frozenset({"JPEG", "PNG", "GIF", "TIFF", "WebP", "BMP", "PNM"})


def why_not_decoded(data: bytes, head: Head, expected: str) -> str:
    """What was found instead of a picture that decodes, what was expected, and what to do.

    expected: the formats that are read.
    """
    size = f"{len(data):,} bytes starting with {data[:8]!r}"
    if head.format and head.format not in _DECODED:
        return f"found a picture in the format {head.format} ({size}), expected one of {expected}; {_CONVERT}"
    if head.format == "TIFF" and (head.floating or head.bits > 16):
        kind = "floating-point" if head.floating else "integer"
        return (
            f"found a TIFF of {head.bits}-bit {kind} values, expected 8 or 16 bits per channel; scale the values and "
            "convert it, for example to a 16-bit PNG"
        )
    if head.format == "JPEG" and head.bits in (12, 16):
        return f"found a JPEG of {head.bits} bits per channel, expected 8; {_CONVERT}"
    if head.format:
        return (
            f"found a {head.format} file ({size}) that cannot be decoded, expected an image; {_AGAIN}, and if it is "
            f"the same and other programs show it, {_CONVERT}"
        )
    for pattern, kind, advice in _CONTENTS:
        if re.match(pattern, data[:1024], re.DOTALL | re.IGNORECASE):
            return f"found {kind} ({size}), expected a picture, one of {expected}; {advice}"
    return f"found {size} that cannot be decoded, expected an image, one of {expected}; {_AGAIN}"
