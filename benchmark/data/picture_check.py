"""Check of all pictures of a dataset by decoding them (no torch)."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from benchmark.data import decoder_messages
from benchmark.data.fgvc import FGVCDataset
from benchmark.data.images import Remark, damage_remark, read_image
from benchmark.data.reid import ReIDDataset
from benchmark.data.splits import refuse
from benchmark.errors import SuiteError

logger = logging.getLogger("benchmark")


@dataclass(frozen=True)
class PictureProblems:
    """Messages about the pictures of a dataset, in its order.

    unreadable: about pictures that do not decode.
    damaged: about pictures with warnings of the decoder.
    warnings: remarks on sound pictures.
    """

    unreadable: tuple[str, ...] = ()
    damaged: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class CheckedPicture:
    """Result of the check of a picture.

    error: why it does not decode, or "".
    remarks: on one that decodes.
    """

    error: str
    remarks: tuple[Remark, ...] = ()


def check_picture(path: Path) -> CheckedPicture:
    """Decode a picture and collect its problems."""
    remarks: list[Remark] = []
    try:
        read_image(path, remark=remarks.append)
    except SuiteError as error:
        return CheckedPicture(str(error))
    if path.suffix.lower() in (".tif", ".tiff"):
        remarks += _tiff_damage(path)
    return CheckedPicture("", tuple(remarks))


def collect_problems(pictures: Iterable[CheckedPicture]) -> PictureProblems:
    """Collect the problems of many pictures."""
    unreadable: list[str] = []
    damaged: list[str] = []
    others: dict[str, list[str]] = {}
    for picture in pictures:
        unreadable += [picture.error] if picture.error else []
        for remark in picture.remarks:
            (damaged if remark.damage else others.setdefault(remark.topic, [])).append(remark.text)
    warnings = [
        lines[0] if len(lines) == 1 else f"{len(lines):,} pictures, the first of them {lines[0]}"
        for lines in others.values()
    ]
    return PictureProblems(tuple(unreadable), tuple(damaged), tuple(warnings))


def refuse_unreadable(
    dataset: FGVCDataset | ReIDDataset, threads: int, stop_reason: Callable[[], str]
) -> None:
    """Decode every picture of a dataset before training. This takes as long as reading it in an epoch.

    stop_reason: called after each picture; if it returns a reason, the check ends.
    Raises Contradictions that name the unreadable and damaged pictures; logs warnings about the others.
    """
    results = []
    with ThreadPoolExecutor(threads) as pool:
        for picture in pool.map(check_picture, [dataset.root / file for file in dataset.pictures]):
            results.append(picture)
            if stop_reason():
                pool.shutdown(cancel_futures=True)
                return
    problems = collect_problems(results)
    for warning in problems.warnings:
        logger.warning("%s", warning)
    lines: Sequence[str] = (*problems.unreadable, *problems.damaged)
    refuse(f"{dataset.key} at {dataset.root}", lines, "Nothing was trained.")


def _tiff_damage(path: Path) -> list[Remark]:
    """Remark of a second decoder (Pillow) on a TIFF: OpenCV fills strips that it cannot decode without an error."""

    def decode() -> str:
        try:
            with Image.open(path) as image:
                image.load()
        except OSError as error:
            return str(error)
        except Exception:  # a kind of TIFF that Pillow does not read; no sign of damage
            return ""
        return ""

    error, lines = decoder_messages.collect(decode)
    if error.startswith("decoder error") or "truncated" in error:
        return [damage_remark(path, lines or [error])]
    return []
