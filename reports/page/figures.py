"""What a pair's page shows besides numbers: curves, heatmaps, the attention measure, errors; or why it cannot."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmark.records.run_folder import read_json
from benchmark.records.status import RunView
from reports.heatmaps.run_pairs import RunPair, no_class_token, pairs_of
from reports.heatmaps.test_images import NAME, RANKED, draw_many, identity
from reports.page import attention, commands_to_run
from reports.page.html_table import Sheet
from reports.page.inputs import Asked, Material, Pair
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
    record = attention.read(source)
    try:
        figures = [
            _copied(source, stem, "-".join(pair), _alt(stem, record), one_line(caption), folder)
            for stem, caption in (
                (NAME, record.caption),
                (RANKED, attention.RANKED_CAPTION),
            )
            if f"{stem}.webp" in record.files
        ]
    except UnidentifiedImageError:
        torn = f"No heatmaps: a picture in {source} is damaged; delete heatmaps.json there and draw anew"
        return Heatmaps(notes=(one_line(torn, 600),), command=commands_to_run.heatmaps(asked, pair))
    return Heatmaps(tuple(figures), attention.sheet(record))


def _alt(stem: str, record: attention.Record) -> str:
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


# --- Which pairs have heatmaps that still show their runs, and drawing those that have not ---

# A figure of other pictures or layers, asked for by hand, shows the same runs and is kept.
_FREE = ("picks", "layers")


def reasons(material: Material, *, draw: bool, processes: int = 2) -> Mapping[Pair, str]:
    """Pair → "" where its figure is there, else why not. draw: draw what is missing or shows other runs, which needs
    torch, checkpoints and the pictures; without it records alone are read.
    """
    found = {
        _pair(run_pair): run_pair for run_pair in one_of_each(pairs_of(material.merged, material.asked.root))
    }
    answers = {pair: _without_pair(material, pair) for pair in material.pairs}
    answers |= {pair: _lacking(run_pair) for pair, run_pair in found.items()}
    due = [
        run_pair
        for pair, run_pair in found.items()
        if draw and answers[pair] and _done(run_pair) and not run_pair.unseen
    ]
    drawn = draw_many(due, processes) if due else {}
    return answers | {_pair(run_pair): drawn[run_pair.id] for run_pair in due}


def one_of_each(pairs: list[RunPair]) -> list[RunPair]:
    """One pair a figure: its figure's own seed if it has one, else the first finished one."""
    by_folder: dict[object, list[RunPair]] = {}
    for pair in pairs:
        by_folder.setdefault(pair.folder, []).append(pair)
    return [
        next((pair for pair in several if _shown(pair)), next(filter(_done, several), several[0]))
        for several in by_folder.values()
    ]


def _without_pair(material: Material, pair: Pair) -> str:
    """Why there are no two runs to draw."""
    for method, why in material.left_out(pair).items():
        return f"{method} is left out: {why}"
    return "baseline and DCAL have no seed in common"


def _pair(run_pair: RunPair) -> Pair:
    return run_pair.baseline.cell.dataset, run_pair.baseline.cell.backbone


def _done(pair: RunPair) -> bool:
    return pair.baseline.result is not None and pair.dcal.result is not None


def _shown(pair: RunPair) -> bool:
    """Whether the figure on disk is of these very runs."""
    if not _done(pair):
        return False
    record = read_json(pair.folder / f"{NAME}.json") or {}
    found, files = record.get("identity"), record.get("files")
    if not isinstance(found, dict) or not isinstance(files, list):
        return False
    wanted = {name: value for name, value in identity(pair).items() if name not in _FREE}
    same = wanted == {name: value for name, value in found.items() if name not in _FREE}
    return same and all(isinstance(name, str) and (pair.folder / name).is_file() for name in files)


def _lacking(pair: RunPair) -> str:
    if pair.unseen:
        return pair.unseen
    for run in (pair.baseline, pair.dcal):
        if run.result is None:
            return f"{run.id} is not done ({run.state})"
    if _shown(pair):
        return ""
    for run in (pair.baseline, pair.dcal):
        if not run.folder.checkpoint.is_file():
            return f"{run.id} has no checkpoint.pt: its folder was copied without, or it was deleted"
    return "none are drawn of these runs"
