"""Every picture of a dataset decoded once: the unreadable and the damaged ones, each by name (no torch)."""

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
    """Lines on the pictures of a dataset, in its order.

    unreadable: those that do not decode. damaged: those whose decoder warns. warnings: what to know of sound ones.
    """

    unreadable: tuple[str, ...] = ()
    damaged: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class CheckedPicture:
    """error: why it does not decode, "" where it does. remarks: on one that decodes."""

    error: str
    remarks: tuple[Remark, ...] = ()


def check_picture(path: Path) -> CheckedPicture:
    """Decode a picture and keep what is wrong with it."""
    remarks: list[Remark] = []
    try:
        read_image(path, remark=remarks.append)
    except SuiteError as error:
        return CheckedPicture(str(error))
    if path.suffix.lower() in (".tif", ".tiff"):
        remarks += _tiff_damage(path)
    return CheckedPicture("", tuple(remarks))


def collect_problems(pictures: Iterable[CheckedPicture]) -> PictureProblems:
    """The problems of many pictures."""
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


def refuse_unreadable(dataset: FGVCDataset | ReIDDataset, threads: int, stopping: Callable[[], str]) -> None:
    """Decode every picture once, for it takes as long as an epoch's reading and may save days.

    stopping: asked after each picture; once it answers with a reason, the others are not looked at.
    Raises Contradictions that name the unreadable and the damaged ones; logs warnings about the others.
    """
    checked = []
    with ThreadPoolExecutor(threads) as pool:
        for picture in pool.map(check_picture, [dataset.root / file for file in dataset.pictures]):
            checked.append(picture)
            if stopping():
                pool.shutdown(cancel_futures=True)
                return
    problems = collect_problems(checked)
    for warning in problems.warnings:
        logger.warning("%s", warning)
    wrong: Sequence[str] = (*problems.unreadable, *problems.damaged)
    refuse(f"{dataset.key} at {dataset.root}", wrong, "Nothing was trained.")


def _tiff_damage(path: Path) -> list[Remark]:
    """What a second decoder says of a TIFF: OpenCV fills strips that it cannot decode, and calls that success."""

    def decoded() -> str:
        try:
            with Image.open(path) as image:
                image.load()
        except OSError as error:
            return str(error)
        except Exception:  # a variety that Pillow does not read says nothing about damage
            return ""
        return ""

    error, printed = decoder_messages.collect(decoded)
    if error.startswith("decoder error") or "truncated" in error:
        return [damage_remark(path, printed or [error])]
    return []
