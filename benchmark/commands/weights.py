"""`python -m benchmark weights`: fetches, verifies and records the pretrained weights that cells need.

Torch is imported only to read a file that is new.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmark.atomic import explained, file_sha256, write_json
from benchmark.commands import options
from benchmark.commands.command_line import COMPLETE, INCOMPLETE, Command
from benchmark.commands.download import (
    FetchError,
    PartialFile,
    from_hub,
    from_mirror,
    in_order,
    into_hub_cache,
)
from benchmark.config import resolve
from benchmark.config.places import require_readable
from benchmark.errors import SettingsError, SuiteError
from dcal.weights import integrity, manifest
from dcal.weights.manifest import WeightsEntry


@dataclass(frozen=True)
class WeightsFile:
    """A tag's file that is whole and, where anything is recorded of it, the recorded one. how: ``fetched``, ``copied``
    or ``there already``."""

    file: Path
    size: int
    sha256: str
    how: str


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which cells' weights, and from where."""
    options.add_grid(parser)
    parser.add_argument("--mirror", default="", help="folder to copy files of weights from; none: the hub")


def fetch(arguments: argparse.Namespace) -> int:
    """Fetch the pretrained weights that the cells need, verify and record them; what is there stays."""
    profile, overrides = resolve.load_profile(arguments.profile), resolve.parse_overrides(arguments.overrides)
    cells, places = options.cells(arguments), options.places(arguments)
    tags = dict.fromkeys(resolve.resolve(cell, 0, profile, overrides).tag for cell in cells)
    mirror = options.absolute(Path(arguments.mirror)) if arguments.mirror else None
    if profile.backbones == "mini":
        if mirror:
            raise SettingsError(_STAND_INS.format(profile.name))
        fetch_tag: Callable[[str], WeightsFile] = partial(stand_in, folder=places.weights)
    elif places.weights is None:
        if mirror:
            raise SettingsError("MIRROR is copied into a folder of weights: WEIGHTS=folder is needed with it")
        fetch_tag = into_cache
    else:
        _require_folders(places.weights, mirror)
        fetch_tag = partial(into_folder, folder=places.weights, mirror=mirror)
    failed = 0
    for tag in tags:
        try:
            entry = fetch_tag(tag)
            print(
                f"{tag}  {entry.file.name}  {entry.size:,} bytes  {entry.sha256[:12]}  {entry.how}",
                flush=True,
            )
        except SuiteError as error:
            failed += 1
            print(f"{tag}  FAILED: {error}", flush=True)
    if profile.backbones == "mini":
        print(_STAND_INS.format(profile.name))
    where = places.weights or "the hub's cache"
    ended = f"; {failed} failed" if failed else ""
    print(f"{len(tags) - failed} of {len(tags)} weights files are in {where}{ended}", flush=True)
    if not failed:
        return COMPLETE
    print(f"error: {failed} of {len(tags)} weights files are not there, why is said above", file=sys.stderr)
    return INCOMPLETE


_STAND_INS = (
    "the backbones of profile {} come with the checkout: the paper's weights are PROFILE=paper's and quick's"
)


def into_folder(tag: str, folder: Path, mirror: Path | None) -> WeightsFile:
    """The tag's file in a folder of weights: as it is if it is whole, else copied from the mirror, else fetched from
    the hub. Its entry is in weights.json then; a damaged file of the tag is set aside as ``NAME.damaged``.

    Raises FetchError; a file that is whole but not the recorded one is left alone.
    """
    recorded = _entries(folder).get(tag)  # a damaged record is told before anything is fetched
    present = manifest.find_in_folder(tag, folder)
    if present and not integrity.defect(present, thorough=True):
        return _there_already(tag, present, folder)
    part = from_mirror(tag, mirror, folder) if mirror else from_hub(tag, folder)
    _verify(part, recorded, folder)
    with explained(folder / part.name):
        if present:
            os.replace(present, present.with_name(f"{present.name}.damaged"))
        os.replace(part.path, folder / part.name)
    return _recorded(
        tag, folder / part.name, folder, part.sha256, part.source, "copied" if mirror else "fetched"
    )


def into_cache(tag: str) -> WeightsFile:
    """The same in the hub's cache, which names its files by their digests and needs no weights.json."""
    present = manifest.find_in_hub_cache(tag)
    damaged = bool(present and (integrity.defect(present, thorough=True) or _other_digest(present)))
    if present and not damaged:
        return WeightsFile(present, present.stat().st_size, file_sha256(present), "there already")
    file = into_hub_cache(tag, again=damaged)
    if damage := integrity.defect(file, thorough=True) or _other_digest(file):
        raise FetchError(f"{file}, just fetched, is {damage}")
    if problem := _unusable(file):
        raise FetchError(f"{file}, just fetched, {problem}")
    return WeightsFile(file, file.stat().st_size, file_sha256(file), "fetched")


def stand_in(tag: str, folder: Path) -> WeightsFile:
    """A committed mini backbone: only looked at. Raises FetchError."""
    present = manifest.find_in_folder(tag, folder)
    if present is None:
        raise FetchError(f"not in {folder}: `git checkout` it, or train it with make mini-weights")
    if damage := integrity.defect(present, thorough=True):
        raise FetchError(f"{present} is {damage}: `git checkout` it, or train it with make mini-weights")
    return WeightsFile(present, present.stat().st_size, file_sha256(present), "there already")


def _there_already(tag: str, present: Path, folder: Path) -> WeightsFile:
    recorded, sha256 = in_order(tag, present, folder), file_sha256(present)
    if recorded and recorded != sha256:
        raise FetchError(
            f"{present} has sha256 {sha256[:12]}…, weights.json beside it says {recorded[:12]}…: delete it to have it "
            "fetched again, or the tag's entry in weights.json to keep it"
        )
    if not recorded and (problem := _unusable(present)):
        raise FetchError(f"{present} {problem}: delete it to have it fetched again")
    if digits := integrity.digest_contradiction(present, sha256):
        raise FetchError(
            f"{present} should have a sha256 that begins with {digits}, as its name says; it is {sha256[:12]}…: delete "
            "it to have it fetched again, or give it another name"
        )
    if recorded:
        return WeightsFile(present, present.stat().st_size, sha256, "there already")
    return _recorded(tag, present, folder, sha256, "found", "there already")


def _verify(part: PartialFile, recorded: WeightsEntry | None, folder: Path) -> None:
    """What was got must be whole, and what the folder's record says. Else it is deleted and FetchError raised."""
    problem = ""
    if damage := integrity.defect(part.path, thorough=True):
        problem = f"{part.source} is {damage}"
    elif digits := integrity.digest_contradiction(Path(part.name), part.sha256):
        problem = f"{part.source} should have a sha256 that begins with {digits}; it is {part.sha256[:12]}…"
    elif recorded and recorded.sha256 != part.sha256:
        problem = (
            f"{part.source} has sha256 {part.sha256[:12]}…, {folder / manifest.NAME} says "
            f"{recorded.sha256[:12]}… ({recorded.file}): remove the tag's entry there if the new file is wanted"
        )
    elif values := _unusable(part.path):
        problem = f"{part.source} {values}"
    if problem:
        part.path.unlink()
        raise FetchError(problem)


def _unusable(file: Path) -> str:
    """Why the values of a whole file could not be loaded, or ""."""
    from dcal.weights.read import WeightsError, not_finite, read_state  # torch, only where a file is new

    try:
        problem = not_finite(read_state(file))
    except WeightsError as error:
        return f"cannot be read as weights: {error}"
    return f"holds values that are no numbers: {problem}" if problem else ""


def _recorded(tag: str, file: Path, folder: Path, sha256: str, source: str, how: str) -> WeightsFile:
    """The file, with its entry written into the folder's weights.json. Entries of other tags stay."""
    size = file.stat().st_size
    entry = WeightsEntry(tag, file.relative_to(folder).as_posix(), size, sha256, source)
    entries = _entries(folder) | {tag: entry}
    write_json(folder / manifest.NAME, manifest.manifest_json(entries))
    return WeightsFile(file, size, sha256, how)


def _entries(folder: Path) -> dict[str, WeightsEntry]:
    try:
        return manifest.read(folder)
    except ValueError as error:
        raise FetchError(str(error)) from error


def _other_digest(file: Path) -> str:
    """What is wrong with a file of the hub's cache whose name is the digest it should have, or ""."""
    recorded = manifest.recorded_sha256(file)
    return "damaged: its sha256 is not the hub's" if recorded and recorded != file_sha256(file) else ""


def _require_folders(folder: Path, mirror: Path | None) -> None:
    if os.path.exists(folder) and not os.path.isdir(folder):
        raise SettingsError(f"WEIGHTS={folder} is a file: expected the folder that the weights go into")
    if mirror:
        require_readable("MIRROR", mirror, "a folder that holds files of weights")
    if mirror and not os.path.isdir(mirror):
        raise SettingsError(f"MIRROR={mirror} is no folder: expected one that holds files of weights")
    if mirror and folder.is_dir() and folder.samefile(mirror):
        raise SettingsError(f"MIRROR and WEIGHTS are the same folder, {folder}")
    with explained(folder):
        folder.mkdir(parents=True, exist_ok=True)


COMMANDS = {"weights": Command(fetch, add_arguments)}
