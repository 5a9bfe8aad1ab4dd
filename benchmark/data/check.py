"""Check of datasets: completeness and readability, with a report for each dataset (no torch)."""

from __future__ import annotations

import multiprocessing
import sys
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from benchmark.data import locate
from benchmark.data.fgvc import FGVCDataset
from benchmark.data.picture_check import PictureProblems, check_picture, collect_problems
from benchmark.data.reid import ReIDDataset, unanswerable_queries
from benchmark.data.splits import Contradictions, first_items, is_reachable, missing_files
from benchmark.errors import DataError, SuiteError


@dataclass(frozen=True)
class Report:
    """Result of the check of a dataset.

    root: its folder, None if there is none; ``note`` then tells why.
    coverage: counts compared with the official ones.
    images: number of image files in the lists.
    contradictions, missing, unreadable, damaged: all problems, one entry each. Damaged pictures decode, but with
        warnings of the decoder.
    advice: what to do about contradictions.
    warnings: remarks that do not make the dataset unsound.
    decoded: whether the images were decoded.
    limit: number of printed entries of each kind.
    """

    key: str
    title: str
    root: Path | None = None
    note: str = ""
    coverage: str = ""
    images: int = 0
    contradictions: tuple[str, ...] = ()
    advice: str = ""
    warnings: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    unreadable: tuple[str, ...] = ()
    damaged: tuple[str, ...] = ()
    decoded: bool = False
    limit: int = 10

    @property
    def sound(self) -> bool:
        """Whether the dataset was found and has no problems."""
        return self.root is not None and not (
            self.contradictions or self.missing or self.unreadable or self.damaged
        )


def check(
    key: str,
    data_root: Path | None,
    decode: bool,
    limit: int = 10,
    jobs: int = 1,
    *,
    merge_val: bool = True,
    skip_unparsable: bool = False,
) -> Report:
    """Check a dataset.

    decode: whether to decode every image, in ``jobs`` processes.
    merge_val, skip_unparsable: as a run would read it (``locate.load_reid``).
    Raises SettingsError for an unknown key. All problems of the data are in the report.
    """
    row = locate.dataset_row(key)
    try:
        root = locate.locate(key, data_root)
    except SuiteError as error:
        return Report(key, row.title, data_root, contradictions=(str(error),), limit=limit)
    if root is None:
        return Report(key, row.title, note=locate.missing_text(row, data_root))
    try:
        if row.task == "fgvc":
            dataset = locate.load_fgvc(key, data_root)
        else:
            dataset = locate.load_reid(key, data_root, merge_val=merge_val, skip_unparsable=skip_unparsable)
        missing = missing_files(dataset.root, dataset.pictures)
    except Contradictions as error:
        return Report(key, row.title, root, contradictions=error.problems, advice=error.advice, limit=limit)
    except (SuiteError, OSError) as error:
        return Report(key, row.title, root, contradictions=(str(error),), limit=limit)
    contradictions, pictures = _count_problems(dataset, row.official), PictureProblems()
    note = locate.nested_note(key, data_root, root)
    if decode:
        try:
            pictures = _decode_all(dataset, set(missing), jobs)
        except BrokenProcessPool:
            decode = False
            contradictions += (
                f"one of {jobs} decoding processes was killed, probably by the system because memory ran out, so the "
                "pictures are not checked: ask for more memory, or use one process (taskset -c 0 make check-data …)",
            )
    return Report(
        key,
        row.title,
        root,
        coverage=locate.coverage(dataset, row).text,
        images=len(dataset.pictures),
        contradictions=contradictions,
        warnings=(*([note] if note else []), *_warnings(dataset, limit), *pictures.warnings),
        missing=missing,
        unreadable=pictures.unreadable,
        damaged=pictures.damaged,
        decoded=decode,
        limit=limit,
    )


def check_all(
    keys: Iterable[str],
    data_root: Path | None,
    decode: bool,
    limit: int,
    jobs: int,
    out: TextIO | None = None,
    options: Mapping[str, Mapping[str, bool]] | None = None,
) -> int:
    """Check datasets and print each report as soon as it is ready (out: stdout if None).

    options: by key, ``merge_val`` and ``skip_unparsable`` of ``check``.
    Returns 0 if at least one dataset was found and all found ones are sound, else 1. Raises DataError for a data folder
    that does not exist.
    """
    if data_root is not None and not is_reachable(data_root):
        raise DataError(
            f"DATA={data_root} does not exist: expected the folder that holds CUB_200_2011, VeRi_776 and their like; "
            "that of the mini profile is written by `make mini-data`"
        )
    out = out or sys.stdout
    reports: list[Report] = []
    for key in keys:
        reports.append(check(key, data_root, decode, limit, jobs, **(options or {}).get(key, {})))
        print_reports(reports[-1:], out)
    found_reports = [report for report in reports if report.root is not None]
    sound = sum(report.sound for report in found_reports)
    print(f"{len(found_reports)} of {len(reports)} datasets found, {sound} of them sound", file=out)
    return 0 if found_reports and sound == len(found_reports) else 1


def print_reports(reports: Sequence[Report], out: TextIO | None = None) -> None:
    """Print reports as plain text, a few lines each (out: stdout if None)."""
    for report in reports:
        print("\n".join(_lines(report)), file=out or sys.stdout, flush=True)


def _lines(report: Report) -> list[str]:
    if report.root is None:
        return [f"{report.key}: {report.note}"]
    lines = [f"{report.key}: {report.title} at {report.root}", f"  {report.coverage or 'lists not usable'}"]
    lines += _section_lines("contradictions", report.contradictions, report.limit)
    if report.advice:
        lines.append(f"  {report.advice}")
    lines += _section_lines("warnings", report.warnings, report.limit)
    if report.coverage:
        existing = report.images - len(report.missing)
        lines.append(f"  {existing:,} of {report.images:,} image files are there")
        lines += _section_lines("missing", report.missing, report.limit)
        if report.decoded:
            decoded = existing - len(report.unreadable) - len(report.damaged)
            lines.append(f"  {decoded:,} of {existing:,} image files decode")
            lines += _section_lines("unreadable", report.unreadable, report.limit)
            lines += _section_lines("damaged", report.damaged, report.limit)
        else:
            lines.append("  images not decoded")
    return [*lines, f"  {'sound' if report.sound else 'NOT SOUND'}"]


def _section_lines(title: str, entries: Sequence[str], limit: int) -> list[str]:
    """A heading and the first entries; nothing if there are no entries."""
    if not entries:
        return []
    return [f"  {title}: {len(entries):,}", *(f"    {entry}" for entry in first_items(entries, limit))]


def _warnings(dataset: FGVCDataset | ReIDDataset, limit: int) -> tuple[str, ...]:
    """Remarks on a dataset that are no contradictions."""
    warnings = list(dataset.notes)
    if not isinstance(dataset, ReIDDataset):
        return tuple(warnings)
    if unanswerable := unanswerable_queries(dataset):
        warnings.append(
            f"{len(unanswerable):,} of {len(dataset.query):,} queries cannot be answered, the gallery has their "
            f"identity from no other camera: {', '.join(first_items(unanswerable, limit))}"
        )
    if skipped := dataset.skipped:
        warnings.append(
            f"{len(skipped):,} left out, names that do not parse: {', '.join(first_items(skipped, limit))}"
        )
    return tuple(warnings)


def _count_problems(dataset: FGVCDataset | ReIDDataset, official: dict[str, int]) -> tuple[str, ...]:
    """A message for each count above the official one: then it is another dataset, or not this one alone."""
    return tuple(
        f"found {count:,} {locate.COUNT_NAMES[name]}, expected at most the official {official[name]:,}; "
        f"unpack the official archive again"
        for name, count in dataset.counts.items()
        if count > official[name]
    )


def _decode_all(dataset: FGVCDataset | ReIDDataset, skip: set[str], jobs: int) -> PictureProblems:
    """Decode every image in list order, without the files in ``skip``."""
    files = [dataset.root / file for file in dataset.pictures if file not in skip]
    if jobs <= 1:
        return collect_problems(map(check_picture, files))
    # spawn: a fork would copy locks that other threads hold at that moment
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, mp_context=context) as pool:
        return collect_problems(pool.map(check_picture, files, chunksize=32))
