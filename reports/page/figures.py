"""What a pair's page shows besides numbers: curves, heatmaps, the attention measure, errors; or why it cannot."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmark.records.status import RunView
from reports.heatmaps.run_pairs import no_class_token
from reports.heatmaps.test_images import NAME, RANKED
from reports.page import commands_to_run, heatmap_table
from reports.page.html_table import Sheet
from reports.page.inputs import Asked, Pair
from tables.formats import one_line


@dataclass(frozen=True)
class Figure:
    """A picture on a page. src: relative to the pages of cells/; width, height: in pixels."""

    src: str
    alt: str
    caption: str
    width: int
    height: int
    pdf: str = ""


@dataclass(frozen=True)
class Curves:
    """figure: None where no run has a history; notes say what is missing."""

    figure: Figure | None
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Heatmaps:
    """rows: what the figure shows, as text. command: what would draw it, where there is none."""

    figures: tuple[Figure, ...] = ()
    rows: Sheet | None = None
    notes: tuple[str, ...] = ()
    command: str = ""


def draw_curves(runs: Sequence[RunView], pair: Pair, folder: Path) -> Curves:
    """The curves of a pair, written into ``folder``, that of the report's figures."""
    from reports.curves.curves import curves

    found = curves(runs)
    if found.svg is None:
        return Curves(None, ("No run has a history yet.", *map(one_line, found.notes)))
    name = f"{pair[0]}-{pair[1]}-curves.svg"
    (folder / name).write_bytes(found.svg)
    alt = (
        "Four panels over epochs: loss by branch, accuracy on the test set, uncertainty weights, learning rate. Drawn: "
        f"{found.drawn}."
    )
    caption = (
        f"Drawn: {found.drawn}. Colour tells the branch, line style the method. Accuracy by epoch is shown, the last "
        "epoch is the result."
    )
    return Curves(Figure(f"../figures/{name}", alt, caption, 768, 538), tuple(map(one_line, found.notes)))


def take_heatmaps(asked: Asked, pair: Pair, reason: str, folder: Path) -> Heatmaps:
    """Page-size copies of a pair's heatmaps, with their captions. reason: why there are none, or "" where they are."""
    if reason:
        command = "" if no_class_token(pair[1]) else commands_to_run.heatmaps(asked, pair)
        return Heatmaps(notes=(f"No heatmaps: {one_line(reason, 600)}",), command=command)
    from PIL import UnidentifiedImageError

    source = asked.figures(pair)
    record = heatmap_table.read(source)
    try:
        figures = [
            _copied(source, stem, "-".join(pair), _alt(stem, record), one_line(caption), folder)
            for stem, caption in (
                (NAME, record.caption),
                (RANKED, heatmap_table.RANKED_CAPTION),
            )
            if f"{stem}.webp" in record.files
        ]
    except UnidentifiedImageError:
        torn = f"No heatmaps: a picture in {source} is damaged; delete heatmaps.json there and draw anew"
        return Heatmaps(notes=(one_line(torn, 600),), command=commands_to_run.heatmaps(asked, pair))
    return Heatmaps(tuple(figures), heatmap_table.sheet(record))


def _alt(stem: str, record: heatmap_table.Record) -> str:
    if stem == RANKED:
        return "Ranked lists: each query with the first ten gallery pictures of baseline and DCAL, right or wrong."
    return (
        f"Heatmaps over {len(record.rows)} test pictures, one a row: the picture, the baseline's rollout, DCAL's "
        "rollout, GLCA's attention and the patches it selects. The table below says what each row shows."
    )


def _copied(source: Path, stem: str, pair: str, alt: str, caption: str, folder: Path) -> Figure:
    """The page-size picture and its PDF, beside each other in the report."""
    from PIL import Image

    name = f"{pair}-{stem}"
    picture = folder / f"{name}.webp"
    shutil.copyfile(source / f"{stem}.webp", picture)
    with Image.open(picture) as image:
        width, height = image.size
    pdf = ""
    if (source / f"{stem}.pdf").is_file():
        shutil.copyfile(source / f"{stem}.pdf", folder / f"{name}.pdf")
        pdf = f"../figures/{name}.pdf"
    return Figure(f"../figures/{name}.webp", alt, caption, width, height, pdf)
