"""Figure of ranked lists of a Re-ID pair: each query with the nearest gallery pictures of both models."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from benchmark.data.images import TestPictures
from benchmark.errors import RunError
from reports import plot_style
from reports.heatmaps.figure import CORRECT, FAINT, INK, LINE, MARGIN, TEXT_SIZE, TITLE, WRONG, truncate, wrap
from reports.heatmaps.pick_images import Pick
from reports.heatmaps.run_pairs import RunPair
from tables.formats import METHOD_NAMES

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COUNT = 10  # gallery pictures per query
PICTURE_WIDTH, FRAME = 0.74, 0.028  # inches: width of a picture, of its frame
LABEL_WIDTH = 0.85  # inches for the model's name
MARKS = {True: "✓", False: "✗"}


@plot_style.style(plot_style.IMAGE_STYLE)
def draw(pair: RunPair, picks: Sequence[Pick], read_picture: TestPictures) -> Figure:
    """Draw one block per query. Raises RunError for records without ranked lists, DataError for a bad picture."""
    from matplotlib.patches import Rectangle

    height, width = read_picture.view.crop
    picture_height = PICTURE_WIDTH * height / width
    list_height = picture_height + LINE + 0.06
    block_height = 2.3 * LINE + 2 * list_height + 0.12
    left = MARGIN + PICTURE_WIDTH + 0.2
    page_width = left + LABEL_WIDTH + COUNT * (PICTURE_WIDTH + 0.06) + MARGIN
    text = (
        f"The first {COUNT} gallery pictures of each query, nearest first; green and ✓: the query's "
        "identity under another camera, red and ✗: another identity or a distractor. Pictures of the query's own "
        f"identity and camera are removed, as in the evaluation. {pair.warning}"
    )
    lines = wrap(text, page_width - 2 * MARGIN, TEXT_SIZE)
    page_height = TITLE + block_height * len(picks) + LINE * 1.05 * len(lines) + 0.12
    figure = plot_style.new_figure(figsize=(page_width, page_height))

    def write(
        x: float, y: float, words: str, colour: str = INK, weight: str = "normal", size: float = TEXT_SIZE
    ) -> None:
        figure.text(
            x / page_width,
            1 - y / page_height,
            words,
            fontsize=size,
            color=colour,
            weight=weight,
            parse_math=False,
        )

    # One pair of axes for all pictures, in inches from the top left; one pair per picture would take seconds.
    page = figure.add_axes((0, 0, 1, 1), frame_on=False)
    page.set_axis_off()

    def show(x: float, y: float, picture: np.ndarray, colour: str | None) -> None:
        page.imshow(
            picture,
            extent=(x, x + PICTURE_WIDTH, y + picture_height, y),
            aspect="auto",
            interpolation="nearest",
        )
        linewidth = (FRAME if colour else FRAME / 4) * 72
        page.add_patch(
            Rectangle(
                (x, y),
                PICTURE_WIDTH,
                picture_height,
                fill=False,
                edgecolor=colour or INK,
                linewidth=linewidth,
            )
        )

    query, y = pair.dataset.query, TITLE
    write(MARGIN, 0.2, f"{pair.title} · ranked lists", weight="bold", size=9.5)
    for place, pick in enumerate(picks):
        letter, index = chr(ord("A") + place), pick.index
        heading = f"{letter} · query: identity {query.labels[index]}, camera {query.cameras[index]}"
        write(MARGIN, y + LINE, heading, weight="bold")
        write(
            MARGIN,
            y + 2 * LINE,
            truncate(f"{query.files[index]} · {pick.rule}", page_width - 2 * MARGIN, TEXT_SIZE),
            FAINT,
        )
        top = y + 2.3 * LINE
        show(MARGIN, top, read_picture(pair.dataset.root / query.files[index]), None)
        for method in ("baseline", "dcal"):
            recorded = getattr(pair, method).predictions
            write(left, top + picture_height / 2, METHOD_NAMES[method], weight="bold")
            hit = int(recorded["both_first_hit"][index])
            write(
                left,
                top + picture_height / 2 + LINE,
                f"AP {recorded['both_ap'][index]:.2f}" if hit else "no true match",
            )
            for rank, item in enumerate(nearest(pair, method, index), start=1):
                x = left + LABEL_WIDTH + (rank - 1) * (PICTURE_WIDTH + 0.06)
                correct = is_true_match(pair, index, item)
                colour = CORRECT if correct else WRONG
                show(x, top, read_picture(pair.dataset.root / pair.dataset.gallery.files[item]), colour)
                write(x, top + picture_height + LINE, f"{rank} {MARKS[correct]}", colour, "bold")
            top += list_height
        y += block_height
    page.set_xlim(0, page_width)
    page.set_ylim(page_height, 0)
    for line in lines:
        y += LINE * 1.05
        write(MARGIN, y, line, FAINT)
    return figure


def nearest(pair: RunPair, method: str, query: int) -> list[int]:
    """Return the recorded gallery indices of a query's nearest pictures.

    Raises RunError for records without ranked lists, and for lists that do not fit the data.
    """
    run = getattr(pair, method)
    if "both_nearest" not in run.predictions:
        raise RunError(f"{run.id} has no ranked lists: its record is of an older version; run the cell anew")
    items = [int(item) for item in run.predictions["both_nearest"][query][:COUNT] if item >= 0]
    gallery, queries = pair.dataset.gallery, pair.dataset.query
    for item in items:
        invalid = item >= len(gallery) or (
            (gallery.labels[item], gallery.cameras[item]) == (queries.labels[query], queries.cameras[query])
        )
        if invalid:
            raise RunError(
                f"{run.id}: its ranked list of query {query} names gallery picture {item}, which the evaluation "
                "removes or the gallery has not: record and data do not belong together"
            )
    return items


def is_true_match(pair: RunPair, query: int, item: int) -> bool:
    """Return whether a gallery picture shows the query's identity."""
    return pair.dataset.gallery.labels[item] == pair.dataset.query.labels[query]
