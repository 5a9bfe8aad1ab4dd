"""Pages from templates: whatever comes from a record is escaped, a name that is missing is an error."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

if TYPE_CHECKING:
    from jinja2 import Environment

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
