"""Format, size and bit depth of a picture from the header of its file, without decoding (no numpy, no OpenCV)."""

from __future__ import annotations

import contextlib
import re
import struct
from typing import NamedTuple

JPEG = b"\xff\xd8"
PNG = b"\x89PNG\r\n\x1a\n"
# A JPEG marker that ends the picture or starts a segment; not a stuffed byte, restart, start of image or fill byte.
_MARKER = re.compile(rb"\xff([^\x00\x01\xd0-\xd8\xff])")
_SOS, _EOI = 0xDA, 0xD9
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # start-of-frame markers, ITU-T T.81, table B.1
_FORMATS = {
    JPEG: "JPEG",
    PNG: "PNG",
    b"GIF8": "GIF",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
    b"II+\0": "TIFF",
    b"MM\0+": "TIFF",
    b"8BPS": "Photoshop",
    b"\0\0\0\x0cjP  ": "JPEG 2000",
    b"\xff\x0a": "JPEG XL",
    b"\0\0\0\x0cJXL ": "JPEG XL",
    b"FUJIFILMCCD-RAW": "camera raw (RAF)",
    b"IIRO": "camera raw (ORF)",
    b"IIU\0": "camera raw (RW2)",
}
# Formats by the major brand of an ISO container file.
_BRANDS = {
    **dict.fromkeys((b"heic", b"heix", b"heim", b"heis", b"hevc"), "HEIC"),
    **dict.fromkeys((b"mif1", b"msf1"), "HEIC or AVIF"),
    **dict.fromkeys((b"avif", b"avis"), "AVIF"),
    b"crx ": "camera raw (CR3)",
}
_SPACE = rb"(?:\s|#[^\n]*\n)+"
_PNM = re.compile(rb"P([1-6])%b(\d{1,9})%b(\d{1,9})(?:%b(\d{1,9}))?" % ((_SPACE,) * 3))
_WIDTH, _HEIGHT, _BITS, _SAMPLE_FORMAT = 256, 257, 258, 339  # TIFF tags
_FLOATING = 3  # a TIFF sample format
_INTEGERS = {3: "H", 4: "I", 16: "Q"}  # TIFF types


class Header(NamedTuple):
    """Properties that a picture's header declares.

    format: its name, "" if unknown.
    width, height: in pixels, 0 if unknown.
    bits: per channel.
    floating: whether values are floating-point numbers.
    complete: whether a JPEG or PNG reaches its end marker. libjpeg fills missing parts with grey without an error. True
        for other formats, which decoders check.
    """

    format: str = ""
    width: int = 0
    height: int = 0
    bits: int = 8
    floating: bool = False
    complete: bool = True


def picture_format(data: bytes) -> str:
    """Name of the picture format with the signature in the first 16 bytes; "" for none."""
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WebP"
    if data[4:8] == b"ftyp":
        return _BRANDS.get(data[8:12], "")
    return next((name for signature, name in _FORMATS.items() if data.startswith(signature)), "")


def read_header(data: bytes) -> Header:
    """Read the header of a picture. Values that a damaged file does not declare keep their defaults."""
    name = picture_format(data)
    with contextlib.suppress(struct.error, ValueError, IndexError, OverflowError):
        if name == "JPEG":
            return _jpeg(data)
        if name == "PNG":
            return _png(data)
        if name == "GIF":
            return Header(name, *struct.unpack_from("<HH", data, 6))
        if name == "WebP":
            return Header(name, *_webp_size(data))
        if name == "TIFF":
            return _tiff(data)
        if name == "JPEG 2000":
            height, width = struct.unpack_from(">II", data, data.index(b"ihdr", 0, 4096) + 4)
            return Header(name, width, height)
        if name in _BRANDS.values():
            return Header(name, *_container_size(data))
        if data.startswith(b"BM"):
            return Header("BMP", *_bmp_size(data))
        if pnm := _PNM.match(data[:4096]):
            deep = pnm[1] not in b"14" and int(pnm[4] or 0) > 255
            return Header("PNM", int(pnm[2]), int(pnm[3]), 16 if deep else 8)
    return Header(name)


def _jpeg(data: bytes) -> Header:
    """Size and depth of the first frame, and whether an end-of-image marker follows the scans.

    Segments are skipped by their length (ITU-T T.81, B.1.1), since a thumbnail in a segment has its own markers. In the
    scans, a 0xFF byte of image data is always followed by a stuffed 0.
    """
    frame, position, has_scan, complete = (8, 0, 0), len(JPEG), False, False
    while marker := _MARKER.search(data, position):
        kind, position = marker[1][0], marker.end()
        if kind == _EOI:
            complete = has_scan
            break
        if kind in _FRAMES and not has_scan and len(data) >= position + 7:
            frame = struct.unpack_from(">BHH", data, position + 2)
        has_scan = has_scan or kind == _SOS
        position += max(int.from_bytes(data[position : position + 2], "big"), 2)
    bits, height, width = frame
    return Header("JPEG", width, height, bits, complete=complete)


def _png(data: bytes) -> Header:
    """Size and depth, and whether the chunks (length, type, content, checksum) continue to a complete IEND."""
    position, size = len(PNG), struct.unpack_from(">IIB", data, 16) if len(data) >= 25 else (0, 0, 8)
    while position + 12 <= len(data):
        if data[position + 4 : position + 8] == b"IEND":
            return Header("PNG", *size)
        position += 12 + int.from_bytes(data[position : position + 4], "big")
    return Header("PNG", *size, complete=False)


def _webp_size(data: bytes) -> tuple[int, int]:
    if data[12:16] == b"VP8X":
        return 1 + int.from_bytes(data[24:27], "little"), 1 + int.from_bytes(data[27:30], "little")
    if data[12:16] == b"VP8L":
        (packed,) = struct.unpack_from("<I", data, 21)
        return 1 + (packed & 0x3FFF), 1 + (packed >> 14 & 0x3FFF)
    width, height = struct.unpack_from("<HH", data, 26)
    return width & 0x3FFF, height & 0x3FFF


def _bmp_size(data: bytes) -> tuple[int, int]:
    """Size of a BMP. A negative height means rows from top to bottom; headers of 12 bytes have 16-bit sizes."""
    width, height = struct.unpack_from("<HH" if data[14:18] == b"\x0c\0\0\0" else "<ii", data, 18)
    return abs(width), abs(height)


def _container_size(data: bytes) -> tuple[int, int]:
    """Largest of all spatial extents: tiles and thumbnails have their own."""
    sizes = [
        struct.unpack_from(">II", data, match.end() + 4) for match in re.finditer(b"ispe", data[: 2**16])
    ]
    return max(sizes, key=lambda size: size[0] * size[1], default=(0, 0))


def _tiff(data: bytes) -> Header:
    """Header of the first picture in a TIFF or BigTIFF; of several values of a tag, the first."""
    order = "<" if data.startswith(b"II") else ">"
    if b"+" in data[2:4]:
        position, count, entry, offset = 8, "Q", "HHQ8s", "Q"
    else:
        position, count, entry, offset = 4, "H", "HHI4s", "I"
    (position,) = struct.unpack_from(order + offset, data, position)
    (entries,) = struct.unpack_from(order + count, data, position)
    position += struct.calcsize(order + count)
    values: dict[int, int] = {}
    for number in range(min(entries, 4096)):
        tag, kind, length, value = struct.unpack_from(
            order + entry, data, position + number * struct.calcsize(order + entry)
        )
        if tag in (_WIDTH, _HEIGHT, _BITS, _SAMPLE_FORMAT) and (letter := _INTEGERS.get(kind)):
            if length * struct.calcsize(order + letter) > len(
                value
            ):  # the entry holds the offset of the values
                (value_offset,) = struct.unpack(order + offset, value)
                value = data[value_offset : value_offset + 8]
            (values[tag],) = struct.unpack_from(order + letter, value)
    floating = values.get(_SAMPLE_FORMAT) == _FLOATING
    return Header("TIFF", values.get(_WIDTH, 0), values.get(_HEIGHT, 0), values.get(_BITS, 1), floating)


# --- Messages about files that do not decode ---

_CONVERT = "convert it to JPEG or PNG"
_DOWNLOAD = "download the picture itself"
_AGAIN = "fetch this file again"
# Pattern of the beginning of a file, description of such a file, advice.
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
# Formats that OpenCV always decodes: a file of these that does not decode is damaged or unusual.
_DECODED_FORMATS = frozenset({"JPEG", "PNG", "GIF", "TIFF", "WebP", "BMP", "PNM"})


def decoding_problem(data: bytes, header: Header, expected: str) -> str:
    """Message about a file that does not decode: what was found, what was expected, what to do.

    expected: the formats that are read.
    """
    size = f"{len(data):,} bytes starting with {data[:8]!r}"
    if header.format and header.format not in _DECODED_FORMATS:
        return (
            f"found a picture in the format {header.format} ({size}), expected one of {expected}; {_CONVERT}"
        )
    if header.format == "TIFF" and (header.floating or header.bits > 16):
        kind = "floating-point" if header.floating else "integer"
        return (
            f"found a TIFF of {header.bits}-bit {kind} values, expected 8 or 16 bits per channel; scale the values and "
            "convert it, for example to a 16-bit PNG"
        )
    if header.format == "JPEG" and header.bits in (12, 16):
        return f"found a JPEG of {header.bits} bits per channel, expected 8; {_CONVERT}"
    if header.format:
        return (
            f"found a {header.format} file ({size}) that cannot be decoded, expected an image; {_AGAIN}, and if it is "
            f"the same and other programs show it, {_CONVERT}"
        )
    for pattern, kind, advice in _CONTENTS:
        if re.match(pattern, data[:1024], re.DOTALL | re.IGNORECASE):
            return f"found {kind} ({size}), expected a picture, one of {expected}; {advice}"
    return f"found {size} that cannot be decoded, expected an image, one of {expected}; {_AGAIN}"
