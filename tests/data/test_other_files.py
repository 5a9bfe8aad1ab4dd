"""Whole files that are no readable picture are called what they are; sizes are refused before anything is decoded."""

import io
import os
import signal
import struct
import zlib

import numpy as np
import pytest
from own_folders import write_tiny
from PIL import Image

from benchmark.data import images
from benchmark.data.images import read_image
from benchmark.data.own import image_files
from benchmark.data.picture_headers import Header, read_header
from benchmark.errors import DataError

AGAIN = "fetch this file again"
CONVERT, DOWNLOAD = "convert it to JPEG or PNG", "download the picture itself"
CONVERT_TIFF = "scale the values and convert it, for example to a 16-bit PNG"
LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 12345\n"
ANNEX = b"../../.git/annex/objects/Xx/0q/SHA256E-s3--00.jpg/SHA256E-s3--00.jpg"


def encoded(image, kind, **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


PICTURE = Image.fromarray(np.random.default_rng(0).integers(0, 256, (48, 64, 3)).astype(np.uint8))
JPEG = encoded(PICTURE, "JPEG")
FRAME = JPEG.index(b"\xff\xc0") + 4  # bits, height (2), width (2)


def with_frame(bits=b"\x08", size=(48, 64)):
    return JPEG[:FRAME] + bits + struct.pack(">HH", *size) + JPEG[FRAME + 5 :]


def deep_tiff(kind):
    return encoded(Image.fromarray(np.linspace(0, 1, 3072).reshape(48, 64).astype(kind)), "TIFF")


def container(brand):
    return b"\0\0\0\x18ftyp" + brand + bytes(4) + b"mif1heic" + bytes(400)


def refused(path, data):
    path.write_bytes(data)
    with pytest.raises(DataError) as caught:
        read_image(path)
    assert str(path) in str(caught.value)
    return str(caught.value)


# ---------------------------------------------------------------- what it is


@pytest.mark.parametrize(
    ("data", "said", "advice"),
    [
        (deep_tiff(np.float32), "a TIFF of 32-bit floating-point values, expected 8 or 16 bits", CONVERT_TIFF),
        (deep_tiff(np.int32), "a TIFF of 32-bit integer values, expected 8 or 16 bits", CONVERT_TIFF),
        (with_frame(b"\x0c"), "a JPEG of 12 bits per channel, expected 8", CONVERT),
        (LFS, "a Git LFS pointer", "`git lfs pull`"),
        (ANNEX, "a git-annex pointer", "`git annex get`"),
        (container(b"heic"), "in the format HEIC", CONVERT),
        (container(b"crx "), "in the format camera raw (CR3)", CONVERT),
        (b"\xff\x0a" + bytes(range(60)), "in the format JPEG XL", CONVERT),
        (b"\0\0\0\x0cJXL \r\n\x87\n" + bytes(60), "in the format JPEG XL", CONVERT),
        (b"8BPS\0\1" + bytes(60), "in the format Photoshop", CONVERT),
        (b"\n<!DOCTYPE html>\n<html lang=en>", "an HTML page", DOWNLOAD),
        (b"<!-- 404 -->\n<HTML><body>", "an HTML page", DOWNLOAD),
        (b'<?xml version="1.0"?><Error><Code>AccessDenied</Code>', "an XML text", DOWNLOAD),
        (b'<?xml version="1.0"?>\n<svg width="3">', "an SVG drawing", CONVERT),
        (b'{"message": "Not Found"}', "a JSON text", DOWNLOAD),
        (b"%PDF-1.7\n", "a PDF", CONVERT),
        (b"PK\x03\x04" + bytes(30), "a ZIP archive", "unpack it"),
        (b"\x93NUMPY\x01\0v\0{'descr'", "a numpy array", CONVERT),
        (bytes(128) + b"DICM" + bytes(9), "a DICOM picture", CONVERT),
    ],
    ids=lambda value: value.partition(",")[0] if isinstance(value, str) else "file",
)  # fmt: skip
def test_a_whole_file_of_another_kind_is_called_what_it_is(tmp_path, data, said, advice):
    text = refused(tmp_path / "picture.jpg", data)
    assert said in text
    assert advice in text
    assert AGAIN not in text  # it would be the same


@pytest.mark.parametrize(
    "data",
    [bytes(5000), b"no picture", bytes.fromhex("424d0000"), b"GIF89a" + bytes(99), with_frame(size=(0, 0))],
)
def test_what_is_damaged_or_unknown_is_to_be_fetched_again(tmp_path, data):
    text = refused(tmp_path / "picture.jpg", data)
    assert AGAIN in text
    assert f"{len(data):,} bytes starting with {data[:8]!r}" in text


def test_a_named_pipe_is_refused_and_not_waited_for(tmp_path):
    signal.alarm(60)  # reading it would never end
    os.mkfifo(tmp_path / "pipe.jpg")
    os.mkfifo(tmp_path / "pipe.txt")
    write_tiny(tmp_path, ["a.jpg"])
    with pytest.raises(DataError, match=r"pipe\.jpg: it is a named pipe, expected a file"):
        read_image(tmp_path / "pipe.jpg")
    assert image_files.scan_folder(tmp_path).others == ("pipe.txt",)
    signal.alarm(0)


def test_a_file_of_gigabytes_is_refused_by_its_size(tmp_path):
    path = tmp_path / "disk.jpg"
    with path.open("wb") as file:
        file.truncate(images.MAX_BYTES + 1)
    with pytest.raises(
        DataError, match=r"disk\.jpg: it has 2,147,483,648 bytes, expected at most 2,147,483,647"
    ):
        read_image(path)


# ---------------------------------------------------------------- sizes


def png(width, height):
    head = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    end = b"\0\0\0\0IEND\xaeB`\x82"
    return b"\x89PNG\r\n\x1a\n\0\0\0\x0d" + head + struct.pack(">I", zlib.crc32(head)) + end


def tiff(width, height, order="<", big=False):
    tags = [(256, 4, width), (257, 4, height), (258, 3, 8)]
    entry = "HHQIxxxx" if big else "HHII"
    if order == ">":  # a short value lies at the front of its field
        tags[2] = (258, 3, 8 << 16)
    head = (
        struct.pack(f"{order}2sHHHQQ", b"II", 43, 8, 0, 16, 3)
        if big
        else struct.pack(f"{order}2sHIH", b"II", 42, 8, 3)
    )
    head = head if order == "<" else b"MM" + head[2:]
    return (
        head
        + b"".join(struct.pack(order + entry, tag, kind, 1, value) for tag, kind, value in tags)
        + bytes(64)
    )


def webp(kind, content):
    return b"RIFF" + struct.pack("<I", 999) + b"WEBP" + kind + struct.pack("<I", 900) + content + bytes(30)


HUGE = {
    "jpg": with_frame(size=(30000, 30000)),
    "png": png(30000, 30000),
    "png of 1.2 gigapixels": png(40000, 30000),
    "gif": b"GIF89a" + struct.pack("<HH", 30000, 30000) + bytes(30),
    "bmp": b"BM" + bytes(12) + struct.pack("<Iii", 40, 30000, -30000) + bytes(30),
    "bmp of OS/2": b"BM" + bytes(12) + struct.pack("<IHH", 12, 30000, 30000) + bytes(30),
    "webp": webp(b"VP8 ", b"\0\0\0\x9d\x01\x2a" + struct.pack("<HH", 16383, 16383)),
    "webp lossless": webp(b"VP8L", b"\x2f" + struct.pack("<I", 16382 | 16382 << 14)),
    "webp extended": webp(b"VP8X", bytes(4) + (29999).to_bytes(3, "little") * 2),
    "tif": tiff(30000, 30000),
    "tif, other order": tiff(30000, 30000, ">"),
    "BigTIFF": tiff(30000, 30000, big=True),
    "ppm": b"P6 # a comment\n30000 30000\n255\n" + bytes(30),
    "jp2": b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(30) + b"ihdr" + struct.pack(">II", 30000, 30000) + bytes(30),
    "avif": container(b"avif") + b"ispe" + bytes(4) + struct.pack(">II", 30000, 30000),
}


@pytest.mark.parametrize("kind", HUGE)
def test_too_many_pixels_are_refused_before_decoding(tmp_path, monkeypatch, kind):
    monkeypatch.setattr(images.cv2, "imdecode", lambda *_: pytest.fail("it was decoded"))
    text = refused(tmp_path / "picture", HUGE[kind])
    width, height = (16383, 16383) if kind in ("webp", "webp lossless") else (30000, 30000)
    width = 40000 if "1.2" in kind else width
    assert (
        f"its head declares {width:,} × {height:,} pixels, expected at most 250,000,000; scale it down"
        in text
    )


@pytest.mark.parametrize(
    ("kind", "options", "bits"),
    [
        ("JPEG", {}, 8),
        ("JPEG", {"exif": b"Exif\0\0" + encoded(PICTURE.resize((16, 12)), "JPEG")}, 8),
        ("JPEG", {"progressive": True}, 8),
        ("PNG", {}, 8),
        ("GIF", {}, 8),
        ("BMP", {}, 8),
        ("WEBP", {}, 8),
        ("WEBP", {"lossless": True}, 8),
        ("WEBP", {"exif": b"Exif\0\0"}, 8),
        ("TIFF", {}, 8),
        ("TIFF", {"compression": "tiff_lzw", "big_tiff": True}, 8),
        ("PPM", {}, 8),
        ("JPEG2000", {}, 8),
        ("AVIF", {}, 8),
    ],
)
def test_the_head_says_what_pillow_says(kind, options, bits):
    head = read_header(encoded(PICTURE, kind, **options))
    assert (head.width, head.height, head.bits, head.floating, head.complete) == (64, 48, bits, False, True)


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "PPM"])
def test_the_head_says_sixteen_bits(kind):
    head = read_header(encoded(Image.fromarray(np.arange(3072, dtype=np.uint16).reshape(48, 64)), kind))
    assert (head.width, head.height, head.bits) == (64, 48, 16)


@pytest.mark.parametrize("kind", [*HUGE, "nothing"])
def test_a_damaged_head_is_never_an_error(kind):
    data, rng = HUGE.get(kind, b""), np.random.default_rng(0)
    for cut in range(len(data) + 1 if len(data) < 200 else 200):
        assert isinstance(read_header(data[:cut]), Header)
    for _ in range(300 if data else 0):
        changed = bytearray(data)
        for place in rng.integers(0, len(data), 4):
            changed[place] = rng.integers(256)
        assert isinstance(read_header(bytes(changed)), Header)
