"""Check that a weights file is complete, by its structure (no torch but for PyTorch's old format)."""

from __future__ import annotations

import functools
import json
import pickle
import stat
import zipfile
from pathlib import Path
from typing import BinaryIO

_PUBLISHED_DIGEST_DIGITS = 8  # deit_tiny_patch16_224-a1311bcf.pth: torch hub's convention
_MOST_INFLATED = 20  # maximum ratio of an archive's content to its size: weights hardly compress
_SMALL = 2**28  # bytes of content that any archive may have
_LEGACY_MAGIC = 0x1950A86A20F9469CFC6C.to_bytes(
    10, "little"
)  # in the first pickle of torch's format before 1.6
IS_FOLDER = 0x10  # MS-DOS's mark in the external attributes of a zip member


def defect(file: Path, *, thorough: bool = False) -> str:
    """Defect of a weights file, e.g. ``truncated: 1,024 bytes, expected 22,883,704``; "" if it is complete.

    Compares the lengths in the file with its size. thorough: also computes checksums of .npz and .pth members, and
    lets torch read a .pth of before 1.6, which states no lengths; both read the whole file. Results are cached until
    the file's size or date changes.
    """
    try:
        status = file.stat()
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    if not stat.S_ISREG(status.st_mode):  # opening a named pipe would wait for ever
        return "no file but a folder, a pipe or a device"
    return _defect(file, status.st_size, status.st_mtime_ns, thorough)


@functools.lru_cache(maxsize=256)
def _defect(file: Path, size: int, _date: int, thorough: bool) -> str:
    if size == 0:
        return "empty"
    try:
        with open(file, "rb") as stream:
            if kind := other_kind(stream.read(512)):
                return f"no weights file but {kind}"
            stream.seek(0)
            if file.suffix == ".safetensors":
                return _safetensors(stream, size)
            if stream.read(2) == b"PK":
                return _archive(stream, thorough)
            if file.suffix == ".npz":
                return f"no .npz archive ({size:,} bytes that do not begin as one)"
            stream.seek(0)
            return _legacy(stream, size, thorough)
    except OSError as error:
        return f"cannot be read: {error.strerror or error}"


def other_kind(head: bytes) -> str:
    """Kind of a file that servers or tools put in place of weights, by its first bytes, or ""."""
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if text.startswith(b"version https://git-lfs"):
        return "a Git LFS pointer, which stands for the weights: `git lfs pull` fetches them"
    if text.startswith((b"<!doctype html", b"<html", b"<head", b"<body")):
        return "a web page (HTML), such as a server's error message"
    if text.startswith(b"<?xml"):
        return "an XML text, such as a server's error message"
    if len(text) > 8 and all(byte in b"\t\n\r" or 32 <= byte < 127 for byte in head):
        return f"text, which begins with {head.decode('ascii').split(chr(10))[0][:60]!r}"
    return ""


def _safetensors(stream: BinaryIO, size: int) -> str:
    """Defect of a .safetensors: 8 bytes with the header's length, a JSON header with the tensors' offsets, tensors."""
    length = int.from_bytes(stream.read(8), "little")
    if size < 8 or length > 100_000_000:  # the format's own limit
        return f"no .safetensors ({size:,} bytes that do not begin as one)"
    if length > size - 8:
        return _truncated(size, f"more than {8 + length:,}")
    try:
        header = json.loads(stream.read(length))
        ends = [entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"]
        expected = 8 + length + max(ends, default=0)
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError):
        return f"no .safetensors ({size:,} bytes whose header is damaged)"
    return "" if size == expected else _wrong_length(size, expected)


def _archive(stream: BinaryIO, thorough: bool) -> str:
    """Defect of a zip archive: each member must begin at its offset in the directory, which is at the end."""
    try:
        with zipfile.ZipFile(stream) as archive:
            members = archive.infolist()
            if not members:
                return "an empty archive"
            content_bytes = sum(member.file_size for member in members)
            archive_bytes = sum(member.compress_size for member in members)
            if content_bytes > max(_SMALL, _MOST_INFLATED * archive_bytes):
                return f"no weights file: an archive of {archive_bytes:,} bytes that unpacks to {content_bytes:,}"
            for member in members:
                stream.seek(member.header_offset)
                if stream.read(4) != b"PK\x03\x04":
                    return f"damaged: {member.filename} is not where the archive's directory says"
                if member.external_attr & IS_FOLDER:  # torch reads such a member as zeros, without an error
                    return f"damaged: {member.filename} is marked as a folder"
            bad_member = archive.testzip() if thorough else None
    except OSError:
        raise
    except Exception as error:  # a damaged directory causes errors of many kinds
        return f"truncated or damaged: {str(error) or type(error).__name__}"
    return f"damaged: {bad_member} has another checksum than the archive says" if bad_member else ""


def _legacy(stream: BinaryIO, size: int, thorough: bool) -> str:
    """Defect of torch's format before 1.6: pickles and raw storages whose end only reading them tells."""
    if _LEGACY_MAGIC not in stream.read(32):
        return f"no weights file ({size:,} bytes, neither a zip nor torch's format before 1.6)"
    if not thorough:
        return ""
    import torch

    stream.seek(0)
    try:
        torch.load(stream, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        return ""  # mostly objects beside tensors: no damage, and whoever loads the file refuses it
    except Exception as error:  # damaged content causes errors of many kinds
        return f"truncated or damaged: {str(error) or type(error).__name__}"
    return "" if stream.tell() == size else _wrong_length(size, stream.tell())


def digest_contradiction(file: Path, sha256: str) -> str:
    """Digits of the digest in a published file's name if they are not those of ``sha256``, the content's; else ""."""
    digits = file.stem.rpartition("-")[2]
    is_digest = len(digits) == _PUBLISHED_DIGEST_DIGITS and set(digits) <= set("0123456789abcdef")
    return digits if is_digest and not sha256.startswith(digits) else ""


def _wrong_length(size: int, expected: int) -> str:
    if size < expected:
        return _truncated(size, f"{expected:,}")
    return f"damaged: {size:,} bytes, of which it accounts for {expected:,}"


def _truncated(size: int, expected: str) -> str:
    return f"truncated: {size:,} bytes, expected {expected}"
