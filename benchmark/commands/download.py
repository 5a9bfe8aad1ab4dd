"""One weights file from the hub or a mirror folder, into a part file with which the next call goes on (no torch)."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from benchmark.atomic import file_sha256
from benchmark.errors import SuiteError
from dcal.weights import integrity, manifest
from dcal.weights import manifest as weight_manifest


class FetchError(SuiteError):
    """A tag's weights that could not be had, or are not what they should be."""


@dataclass(frozen=True)
class PartialFile:
    """A whole file that is not in its place yet. name: of its place in the folder of weights."""

    path: Path
    name: str
    sha256: str
    source: str


def from_hub(tag: str, folder: Path) -> PartialFile:
    """The tag's file from the hub (HF_ENDPOINT names another), as large and with the digest that the hub states.

    huggingface_hub itself drops what an interrupted process had received, so the part file is kept here, by the hub's
    name of its content: the next call asks for the rest. Raises FetchError.
    """
    _require_online(tag)
    from huggingface_hub import get_hf_file_metadata, hf_hub_url
    from huggingface_hub.errors import EntryNotFoundError
    from huggingface_hub.file_download import http_get

    repository = manifest.hub_repository(tag)
    for name in manifest.HUB_FILES:
        url = hf_hub_url(repository, name)
        with _hub_errors(tag, url, "what was received is kept, and the same command goes on with it"):
            try:
                remote = get_hf_file_metadata(url)
            except EntryNotFoundError:
                continue
            target = tag + Path(name).suffix
            part = folder / f".{_short(remote.etag)}.part.{target}"
            for old in folder.glob(f".*.part.{target}"):
                if old != part:
                    old.unlink()
            with _alone(part, "ab") as stream:
                if remote.size is None or stream.tell() > remote.size:
                    stream.truncate(0)
                http_get(url, stream, resume_size=stream.tell(), expected_size=remote.size)
        sha256 = file_sha256(part)
        stated = remote.etag if re.fullmatch(r"[0-9a-f]{64}", remote.etag or "") else sha256
        if sha256 != stated:
            part.unlink()
            raise FetchError(
                f"{url}: the file received has sha256 {sha256[:12]}…, the hub says {stated[:12]}…: it was changed on "
                "the way or put together from different parts, and is deleted; call `make weights` again"
            )
        return PartialFile(part, target, sha256, f"{url}@{remote.commit_hash}")
    raise FetchError(f"{repository} has none of {', '.join(manifest.HUB_FILES)}")


def into_hub_cache(tag: str, *, again: bool) -> Path:
    """The tag's file in the hub's cache, downloaded by the hub's own client. again: even if there is one, which is
    damaged. Raises FetchError."""
    _require_online(tag)
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

    repository = manifest.hub_repository(tag)
    for name in manifest.HUB_FILES:
        with _hub_errors(tag, repository, "the same command asks again"):
            try:
                return Path(hf_hub_download(repository, name, force_download=again))
            except LocalEntryNotFoundError:  # the hub does not answer; a subclass of the next
                raise
            except EntryNotFoundError:
                continue
    raise FetchError(f"{repository} has none of {', '.join(manifest.HUB_FILES)}")


def from_mirror(tag: str, mirror: Path, folder: Path) -> PartialFile:
    """A copy of the tag's file in another folder of weights, whole and as that folder's weights.json has it.

    Raises FetchError.
    """
    mirrored = manifest.find_in_folder(tag, mirror)
    if mirrored is None:
        raise FetchError(f"not in {mirror}: looked for {', '.join(manifest.file_names(tag))}")
    recorded = in_order(tag, mirrored, mirror)
    is_nested = mirrored.parent != mirror  # TAG/model.safetensors
    target = tag + mirrored.suffix if is_nested else mirrored.name
    part = folder / f".copy.part.{target}"
    try:
        with open(mirrored, "rb") as source, _alone(part, "wb") as stream:
            shutil.copyfileobj(source, stream, 1 << 20)
    except OSError as error:
        raise FetchError(f"{mirrored} could not be copied to {folder}: {error.strerror or error}") from error
    sha256 = file_sha256(part)
    expected = recorded or file_sha256(mirrored)
    if sha256 != expected:
        part.unlink()
        raise FetchError(f"the copy of {mirrored} has sha256 {sha256[:12]}…, expected {expected[:12]}…")
    return PartialFile(part, target, sha256, str(mirrored))


def in_order(tag: str, file: Path, folder: Path) -> str:
    """The digest that the folder's weights.json records for a tag's file, or "". Raises FetchError for a file that is
    damaged, or another than the recorded one in name or size."""
    if damage := integrity.defect(file, thorough=True):
        raise FetchError(f"{file} is {damage}")
    try:
        if problem := weight_manifest.disagreement(tag, file, folder):
            raise FetchError(problem)
        return weight_manifest.recorded_sha256(file)
    except ValueError as error:
        raise FetchError(str(error)) from error


@contextlib.contextmanager
def _hub_errors(tag: str, where: str, advice: str) -> Iterator[None]:
    """Turn what the hub's client raises into a FetchError."""
    try:
        yield
    except SuiteError:
        raise
    except Exception as error:  # the HTTP library under huggingface_hub has errors of its own, and changes
        reason = f"{type(error).__name__}: {(str(error) or 'no reason given').splitlines()[0]}"
        raise FetchError(
            f"{where} could not be fetched ({reason}); {advice}. Without a way to the hub: MIRROR=folder that has "
            f"{tag}, or HF_ENDPOINT=address of a mirror of the hub"
        ) from error


@contextlib.contextmanager
def _alone(part: Path, mode: str) -> Iterator[BinaryIO]:
    """The part file, of this process alone as far as the file system's locks go; the digest tells the rest."""
    with open(part, "ab") as holder:
        try:
            fcntl.flock(holder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise FetchError(f"another process is fetching it ({part})") from None
        with open(part, mode) as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())


def _require_online(tag: str) -> None:
    if manifest.hub_is_offline():
        raise FetchError(
            f"HF_HUB_OFFLINE forbids to ask the hub: unset it, or name a folder that has {tag} with MIRROR"
        )


def _short(etag: str | None) -> str:
    return re.sub(r"[^0-9a-zA-Z]", "", etag or "")[:16] or "unnamed"
