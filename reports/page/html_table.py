"""Tables of a page as plain data, the report's folder, and pages from templates."""

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

TEXT_LENGTH = 400  # characters of foreign text in a cell


@dataclass(frozen=True)
class HtmlColumn:
    """A column of a table.

    kind: alignment and sorting: ``number``, ``text``, or ``rank`` (text that sorts by the cell's value).
    group: common heading of neighbouring columns.
    note: second, smaller line of the heading.
    """

    heading: str
    kind: str = "text"
    group: str = ""
    note: str = ""


@dataclass(frozen=True)
class HtmlCell:
    """A cell of a table.

    value: sort key of a number or rank column; None comes last in both directions.
    href: link inside the report.
    css_class: class of the style sheet (``state``, ``yes``, ``hurts`` …).
    """

    text: str
    value: float | None = None
    href: str = ""
    css_class: str = ""


@dataclass(frozen=True)
class HtmlTable:
    """A table, rendered by templates/html_table.html.

    key: id on the page.
    rows: the first cell of a row is its heading.
    totals: rows below, which are not sorted.
    """

    key: str
    caption: str
    columns: tuple[HtmlColumn, ...]
    rows: tuple[tuple[HtmlCell, ...], ...]
    totals: tuple[tuple[HtmlCell, ...], ...] = ()
    sortable: bool = True

    @property
    def groups(self) -> tuple[tuple[str, int], ...]:
        """Return group headings and the number of columns that each spans; empty without groups."""
        spans = tuple(
            (name, len(list(columns)))
            for name, columns in itertools.groupby(column.group for column in self.columns)
        )
        return spans if any(name for name, _ in spans) else ()


def text_cell(text: object, css_class: str = "") -> HtmlCell:
    """Create a cell from foreign text: one line, no control characters, limited length."""
    return HtmlCell(one_line(text, TEXT_LENGTH), css_class=css_class)


def number_cell(value: float | None, to_text: Callable[[float], str], css_class: str = "") -> HtmlCell:
    """Create a cell from a number, formatted by ``to_text``; an empty cell for None."""
    if value is None:
        return HtmlCell("", css_class=css_class)
    return HtmlCell(to_text(value), float(value), css_class=css_class)


# --- The report's folder: all pages are written into a new folder, which then replaces the old one ---

GENERATOR = "dcal-suite report"  # named in every page; a folder with it may be replaced
_NEW, _OLD = ".report.new-", ".report.old-"
_ABANDONED_SECONDS = 3600  # a new or old folder of this age belongs to a killed process


def write_site(folder: Path, fill: Callable[[Path], None]) -> None:
    """Replace the report in ``folder``. fill: writes all files into the empty folder that it is given.

    The old report stays until the last file is written, and also if ``fill`` raises. Raises RunError if the folder
    holds anything else than a report, and for errors of the file system.
    """
    _require_report(folder)
    new = folder.parent / f"{_NEW}{secrets.token_hex(6)}"
    with explained(new):
        folder.parent.mkdir(parents=True, exist_ok=True)
        _clean_up(folder)
        new.mkdir()
    try:
        with explained(new):
            fill(new)
            _swap(new, folder)
    finally:
        shutil.rmtree(new, ignore_errors=True)


def _require_report(folder: Path) -> None:
    """Refuse to replace a folder that holds anything else than a report."""
    if not folder.exists():
        return
    index = folder / "index.html"
    is_report = index.is_file() and GENERATOR in index.read_text(encoding="utf-8", errors="replace")[:2000]
    if not is_report and (not folder.is_dir() or any(folder.iterdir())):
        raise RunError(
            f"{folder} is not a report: expected none or one that make report wrote; move it away and try again"
        )


def _swap(new: Path, folder: Path) -> None:
    """Move the new folder to the place of the report; the old one is deleted."""
    old = folder.parent / f"{_OLD}{secrets.token_hex(6)}"
    for attempt in range(10):
        try:
            if folder.exists():
                os.rename(folder, old)
            os.rename(new, folder)
            break
        except (
            OSError
        ):  # another process replaced the report meanwhile, or a permanent error of the file system
            if old.exists() and not folder.exists():
                os.rename(old, folder)
            if attempt == 9:
                raise
            time.sleep(0.1)
    shutil.rmtree(old, ignore_errors=True)


def _clean_up(folder: Path) -> None:
    """Restore a report that a killed process moved away, and delete folders that such processes left."""
    if not folder.exists() and (old_folders := sorted(folder.parent.glob(f"{_OLD}*"))):
        os.rename(old_folders[-1], folder)
    for path in (*folder.parent.glob(f"{_NEW}*"), *folder.parent.glob(f"{_OLD}*")):
        if lock_files.file_age(path) > _ABANDONED_SECONDS:
            shutil.rmtree(path, ignore_errors=True)


# --- Pages from templates: all text is escaped, a missing name is an error ---

_FOLDER = Path(__file__).parent
ASSETS = _FOLDER / "assets"


@cache
def environment() -> Environment:
    """Load the templates of reports/page/templates; the filter ``link`` quotes a relative path."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    templates = Environment(
        loader=FileSystemLoader(_FOLDER / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    templates.filters["link"] = quote_path
    return templates


def quote_path(path: str) -> str:
    """Quote a relative path as an address, so that no character starts a scheme, a query or a fragment."""
    return quote(path, safe="/")


def render_page(template: str, **values: object) -> str:
    """Render a page from a template of reports/page/templates and the values that it names."""
    return environment().get_template(template).render(generator=GENERATOR, **values)
