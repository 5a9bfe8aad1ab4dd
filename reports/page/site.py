"""The report's folder: all pages written beside the old ones, then swapped in as a whole."""

from __future__ import annotations

import os
import secrets
import shutil
import time
from collections.abc import Callable
from pathlib import Path

from benchmark.atomic import explained
from benchmark.errors import RunError
from benchmark.records import file_clock

MARK = "dcal-suite report"  # every page names it as its generator
_NEW, _OLD = ".report.new-", ".report.old-"
_LEFT_SECONDS = 3600  # a folder beside, older than this, is of a process that was killed


def write_site(folder: Path, fill: Callable[[Path], None]) -> None:
    """Replace the report in ``folder`` by what ``fill`` writes into the empty folder it is given.

    Until the last file is written the old report stays as it is; if ``fill`` raises, it stays for good. Raises
    RunError where the folder holds something else than a report, and where the system refuses.
    """
    _require_own(folder)
    beside = folder.parent / f"{_NEW}{secrets.token_hex(6)}"
    with explained(beside):
        folder.parent.mkdir(parents=True, exist_ok=True)
        _tidy(folder)
        beside.mkdir()
    try:
        with explained(beside):
            fill(beside)
            _swap(beside, folder)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _require_own(folder: Path) -> None:
    """What somebody else put there must not be lost."""
    if not folder.exists():
        return
    index = folder / "index.html"
    own = index.is_file() and MARK in index.read_text(encoding="utf-8", errors="replace")[:2000]
    if not own and (not folder.is_dir() or any(folder.iterdir())):
        raise RunError(
            f"{folder} is not a report: expected none or one that make report wrote; move it away and try again"
        )


def _swap(beside: Path, folder: Path) -> None:
    old = folder.parent / f"{_OLD}{secrets.token_hex(6)}"
    for attempt in range(10):
        try:
            if folder.exists():
                os.rename(folder, old)
            os.rename(beside, folder)
            break
        except OSError:  # another process swapped its report in between, or the system refuses for good
            if old.exists() and not folder.exists():
                os.rename(old, folder)
            if attempt == 9:
                raise
            time.sleep(0.1)
    shutil.rmtree(old, ignore_errors=True)


def _tidy(folder: Path) -> None:
    """Bring back a report that a killed process had moved aside, and remove what such processes left."""
    if not folder.exists() and (aside := sorted(folder.parent.glob(f"{_OLD}*"))):
        os.rename(aside[-1], folder)
    for left in (*folder.parent.glob(f"{_NEW}*"), *folder.parent.glob(f"{_OLD}*")):
        if file_clock.age(left) > _LEFT_SECONDS:
            shutil.rmtree(left, ignore_errors=True)
