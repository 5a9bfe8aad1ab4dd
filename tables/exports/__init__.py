"""Write the exports of a table, each file whole or not at all."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from benchmark.atomic import explained, write_file
from tables.exports import csv, html, latex, markdown
from tables.layout import Layout

# One line an export: file suffix and what renders a layout into the file's text.
EXPORTS: dict[str, Callable[[Layout], str]] = {
    "md": markdown.render_markdown,
    "tex": latex.render,
    "csv": csv.render,
    "html": html.render,
}


def write_layout(
    layout: Layout, out_dir: Path | str, exports: Mapping[str, Callable[[Layout], str]] = EXPORTS
) -> dict[str, Path]:
    """Write ``<table>.md``, ``.tex``, ``.csv`` and ``.html`` into ``out_dir``; return {suffix: path}."""
    folder = Path(out_dir)
    with explained(folder):
        folder.mkdir(parents=True, exist_ok=True)
    # All are rendered before the first is written: an error leaves the old set of files together.
    rendered = {suffix: render(layout) for suffix, render in exports.items()}
    paths = {suffix: folder / f"{layout.summary.key}.{suffix}" for suffix in rendered}
    for suffix, content in rendered.items():
        write_file(paths[suffix], lambda stream, text=content: stream.write(text.encode("utf-8")))
    return paths
