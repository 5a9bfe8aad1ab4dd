"""Ranked lists of a Re-ID pair: a query and the first gallery pictures that each model finds, right or wrong."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from benchmark.data.images import TestPictures
from benchmark.errors import RunError
from reports import plot_style
from reports.heatmaps.figure import FAINT, INK, LINE, MARGIN, RIGHT, SIZE, TITLE, WRONG, fitting, wrapped
from reports.heatmaps.pick_images import Pick
from reports.heatmaps.run_pairs import RunPair
from tables.formats import METHOD_NAMES

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SHOWN = 10
CELL, FRAME = 0.74, 0.028  # inches: width of a picture, of its frame
SIDE = 0.85  # inches for the model's name
MARKS = {True: "✓", False: "✗"}


@plot_style.style(plot_style.PICTURES)
def figure(pair: RunPair, chosen: Sequence[Pick], pictures: TestPictures) -> Figure:
    """One block a query. Raises RunError for records without ranked lists, DataError for an unreadable picture."""
    from matplotlib.patches import Rectangle

    height, width = pictures.view.crop
    tall = CELL * height / width
    strip = tall + LINE + 0.06
    block = 2.3 * LINE + 2 * strip + 0.12
    left = MARGIN + CELL + 0.2
    whole = left + SIDE + SHOWN * (CELL + 0.06) + MARGIN
    text = (
        f"The first {SHOWN} gallery pictures of each query, nearest first; green and ✓: the query's "
        "identity under another camera, red and ✗: another identity or nobody's. Pictures of the query's own "
        f"identity and camera are removed, as in the evaluation. {pair.warning}"
    )
    lines = wrapped(text, whole - 2 * MARGIN, SIZE)
    total = TITLE + block * len(chosen) + LINE * 1.05 * len(lines) + 0.12
    made = plot_style.new_figure(figsize=(whole, total))

    def write(
        x: float, y: float, words: str, colour: str = INK, weight: str = "normal", size: float = SIZE
    ) -> None:
        made.text(
            x / whole, 1 - y / total, words, fontsize=size, color=colour, weight=weight, parse_math=False
        )

    # One pair of axes for all pictures, in inches from the top left: eighty of them would take seconds.
    page = made.add_axes((0, 0, 1, 1), frame_on=False)
    page.set_axis_off()

    def show(x: float, y: float, picture: np.ndarray, colour: str | None) -> None:
        page.imshow(picture, extent=(x, x + CELL, y + tall, y), aspect="auto", interpolation="nearest")
        line = (FRAME if colour else FRAME / 4) * 72
        page.add_patch(Rectangle((x, y), CELL, tall, fill=False, edgecolor=colour or INK, linewidth=line))

    query, y = pair.dataset.query, TITLE
    write(MARGIN, 0.2, f"{pair.title} · ranked lists", weight="bold", size=9.5)
    for place, pick in enumerate(chosen):
        letter, index = chr(ord("A") + place), pick.index
        head = f"{letter} · query: identity {query.labels[index]}, camera {query.cameras[index]}"
        write(MARGIN, y + LINE, head, weight="bold")
        write(
            MARGIN,
            y + 2 * LINE,
            fitting(f"{query.files[index]} · {pick.rule}", whole - 2 * MARGIN, SIZE),
            FAINT,
        )
        top = y + 2.3 * LINE
        show(MARGIN, top, pictures(pair.dataset.root / query.files[index]), None)
        for method in ("baseline", "dcal"):
            found = getattr(pair, method).predictions
            write(left, top + tall / 2, METHOD_NAMES[method], weight="bold")
            hit = int(found["both_first_hit"][index])
            write(
                left, top + tall / 2 + LINE, f"AP {found['both_ap'][index]:.2f}" if hit else "nothing to find"
            )
            for rank, item in enumerate(nearest(pair, method, index), start=1):
                x, right = left + SIDE + (rank - 1) * (CELL + 0.06), is_right(pair, index, item)
                colour = RIGHT if right else WRONG
                show(x, top, pictures(pair.dataset.root / pair.dataset.gallery.files[item]), colour)
                write(x, top + tall + LINE, f"{rank} {MARKS[right]}", colour, "bold")
            top += strip
        y += block
    page.set_xlim(0, whole)
    page.set_ylim(total, 0)
    for line in lines:
        y += LINE * 1.05
        write(MARGIN, y, line, FAINT)
    return made


def nearest(pair: RunPair, method: str, query: int) -> list[int]:
    """Places in the gallery of a query's first pictures, as recorded. Raises RunError where they cannot be so."""
    run = getattr(pair, method)
    if "both_nearest" not in run.predictions:
        raise RunError(f"{run.id} has no ranked lists: its record is of an older version; run the cell anew")
    places = [int(place) for place in run.predictions["both_nearest"][query][:SHOWN] if place >= 0]
    gallery, queries = pair.dataset.gallery, pair.dataset.query
    for place in places:
        own = place < len(gallery) and (gallery.labels[place], gallery.cameras[place])
        if not own or own == (queries.labels[query], queries.cameras[query]):
            raise RunError(
                f"{run.id}: its ranked list of query {query} names gallery picture {place}, which the evaluation "
                "removes or the gallery has not: record and data do not belong together"
            )
    return places


def is_right(pair: RunPair, query: int, item: int) -> bool:
    """Whether a gallery picture shows the query's identity; its camera is another one."""
    return pair.dataset.gallery.labels[item] == pair.dataset.query.labels[query]
