"""A table of a page as plain data: what templates/sheet.html renders, with or without sorting."""

from __future__ import annotations

import itertools
import os
import secrets
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from benchmark.atomic import explained
from benchmark.errors import RunError
from benchmark.records import lock_files
from tables.formats import one_line

if TYPE_CHECKING:
    from jinja2 import Environment

LONGEST = 400  # characters of one piece of foreign text in a cell


@dataclass(frozen=True)
class Column:
    """kind: how it aligns and sorts: ``number``, ``text``, or ``rank``, words in the order of their numbers.

    group: heads several columns. note: a second, smaller line of the heading.
    """

    heading: str
    kind: str = "text"
    group: str = ""
    note: str = ""


@dataclass(frozen=True)
class Entry:
    """One cell. value: what a number or rank column sorts by; None comes last, whatever the direction.

    href: a link inside the report. look: a word for the style sheet (``state``, ``yes``, ``hurts`` …).
    """

    text: str
    value: float | None = None
    href: str = ""
    look: str = ""


@dataclass(frozen=True)
class Sheet:
    """key: its id on the page. The first entry of a row is the row's heading. totals: rows that are not sorted."""

    key: str
    caption: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Entry, ...], ...]
    totals: tuple[tuple[Entry, ...], ...] = ()
    sortable: bool = True

    @property
    def groups(self) -> tuple[tuple[str, int], ...]:
        """Group headings with the number of columns each spans; empty where no column has one."""
        found = tuple(
            (name, len(list(columns)))
            for name, columns in itertools.groupby(column.group for column in self.columns)
        )
        return found if any(name for name, _ in found) else ()


def word(text: object, look: str = "", href: str = "") -> Entry:
    """Foreign text as a cell: on one line, without control characters, not endless."""
    return Entry(one_line(text, LONGEST), look=look, href=href)


def number(value: float | None, shown: Callable[[float], str], look: str = "") -> Entry:
    """A number as a cell, written by ``shown``; an empty one where there is none."""
    return Entry("", look=look) if value is None else Entry(shown(value), float(value), look=look)


# --- The report's folder: all pages written beside the old ones, then swapped in as a whole ---

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
        if lock_files.file_age(left) > _LEFT_SECONDS:
            shutil.rmtree(left, ignore_errors=True)


# --- Pages from templates: whatever comes from a record is escaped, a name that is missing is an error ---

HERE = Path(__file__).parent
ASSETS = HERE / "assets"


@cache
def environment() -> Environment:
    """Templates of reports/page/templates; ``link`` makes a relative path safe inside an address."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    made = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    made.filters["link"] = link
    return made


def link(path: str) -> str:
    """A relative path as an address: no character of it can be taken for a scheme, a query or a fragment."""
    return quote(path, safe="/")


def page(template: str, **values: object) -> str:
    """A whole page."""
    return environment().get_template(template).render(**values)
