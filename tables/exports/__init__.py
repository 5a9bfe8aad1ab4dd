"""Write the exports of a table, each file whole or not at all."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from benchmark.atomic import explained, write_file
from tables.exports import csv, html, latex, markdown
from tables.layout import TableLayout

# File suffix → function that renders a layout into the file's text.
EXPORTS: dict[str, Callable[[TableLayout], str]] = {
    "md": markdown.render_markdown,
    "tex": latex.render,
    "csv": csv.render,
    "html": html.render,
}


def write_layout(
    layout: TableLayout, out_dir: Path | str, exports: Mapping[str, Callable[[TableLayout], str]] = EXPORTS
) -> dict[str, Path]:
    """Write ``<table>.md``, ``.tex``, ``.csv`` and ``.html`` into ``out_dir``; return {suffix: path}.

    Raises RunError where the folder or a file cannot be written.
    """
    folder = Path(out_dir)
    with explained(folder):
        folder.mkdir(parents=True, exist_ok=True)
    # All are rendered before the first is written: an error leaves the old set of files together.
    texts = {suffix: render(layout) for suffix, render in exports.items()}
    paths = {suffix: folder / f"{layout.summary.key}.{suffix}" for suffix in texts}
    for suffix, text in texts.items():
        write_file(paths[suffix], lambda stream, text=text: stream.write(text.encode("utf-8")))
    return paths
