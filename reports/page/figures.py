"""Curves and heatmaps of a pair's page, or why they are missing."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmark.records.run_folder import read_json
from benchmark.records.status import RunView
from reports.curves.curves import draw_curves
from reports.heatmaps.pair_heatmaps import HEATMAPS, RANKED_LISTS, draw_many, identity
from reports.heatmaps.run_pairs import RunPair, make_pairs, missing_class_token
from reports.page import commands_to_run
from reports.page.attention import RANKED_CAPTION, HeatmapRecord, heatmap_table, read_heatmap_record
from reports.page.html_table import HtmlTable
from reports.page.inputs import Pair, ReportInputs, ReportRequest
from tables.formats import one_line


@dataclass(frozen=True)
class Figure:
    """A picture on a page. src: path relative to the page; width, height: in pixels."""

    src: str
    alt: str
    caption: str
    width: int
    height: int
    pdf: str = ""


@dataclass(frozen=True)
class CurvesSection:
    """Section of a page about training. figure: None if no run has a history; notes: what is missing."""

    figure: Figure | None
    notes: tuple[str, ...]


@dataclass(frozen=True)
class HeatmapsSection:
    """Section of a page about heatmaps. table: rows of the figure as text; command: draws a missing figure."""

    figures: tuple[Figure, ...] = ()
    table: HtmlTable | None = None
    notes: tuple[str, ...] = ()
    command: str = ""


def curves_section(runs: Sequence[RunView], pair: Pair, folder: Path) -> CurvesSection:
    """Draw the curves of a pair into ``folder``, the folder of the report's figures."""

    curves = draw_curves(runs)
    if curves.svg is None:
        return CurvesSection(None, ("No run has a history yet.", *map(one_line, curves.notes)))
    name = f"{pair[0]}-{pair[1]}-curves.svg"
    (folder / name).write_bytes(curves.svg)
    alt = (
        "Four panels over epochs: loss by branch, accuracy on the test set, uncertainty weights, learning rate. Runs: "
        f"{curves.runs_text}."
    )
    caption = (
        f"Runs: {curves.runs_text}. Colours are branches, line styles are methods. The result is the accuracy of the "
        "last epoch."
    )
    return CurvesSection(
        Figure(f"../figures/{name}", alt, caption, 768, 538), tuple(map(one_line, curves.notes))
    )


def heatmaps_section(request: ReportRequest, pair: Pair, reason: str, folder: Path) -> HeatmapsSection:
    """Copy a pair's heatmaps into ``folder``, the folder of the report's figures. reason: why there are none, or ""."""
    if reason:
        command = "" if missing_class_token(pair[1]) else commands_to_run.heatmaps_command(request, pair)
        return HeatmapsSection(notes=(f"No heatmaps: {one_line(reason, 600)}",), command=command)
    from PIL import UnidentifiedImageError

    source = request.figures(pair)
    record = read_heatmap_record(source)
    try:
        figures = [
            _copy_figure(source, stem, "-".join(pair), _alt(stem, record), one_line(caption), folder)
            for stem, caption in ((HEATMAPS, record.caption), (RANKED_LISTS, RANKED_CAPTION))
            if f"{stem}.webp" in record.files
        ]
    except UnidentifiedImageError:
        note = f"No heatmaps: a picture in {source} is damaged; delete heatmaps.json there and draw anew"
        return HeatmapsSection(
            notes=(one_line(note, 600),), command=commands_to_run.heatmaps_command(request, pair)
        )
    return HeatmapsSection(tuple(figures), heatmap_table(record))


def _alt(stem: str, record: HeatmapRecord) -> str:
    if stem == RANKED_LISTS:
        return "Ranked lists: each query with the first ten gallery pictures of baseline and DCAL, right or wrong."
    return (
        f"Heatmaps of {len(record.rows)} test pictures, one per row: the picture, the baseline's rollout, DCAL's "
        "rollout, GLCA's attention and the patches it selects. The table below describes each row."
    )


def _copy_figure(source: Path, stem: str, pair: str, alt: str, caption: str, folder: Path) -> Figure:
    """Copy the page-size picture and its PDF into the report."""
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


# --- Drawing of missing and outdated heatmaps ---

# A figure of the same runs with other pictures or layers was requested by the user and is kept.
_USER_OPTIONS = ("picks", "layers")


def heatmap_reasons(inputs: ReportInputs, *, draw: bool, processes: int = 2) -> Mapping[Pair, str]:
    """Return pair → why it has no heatmaps, or "".

    draw: draw missing and outdated heatmaps, which needs torch, checkpoints and the pictures; without it only records
        are read.
    """
    run_pairs = {
        (run_pair.baseline.cell.dataset, run_pair.baseline.cell.backbone): run_pair
        for run_pair in select_figure_pairs(make_pairs(inputs.merged, inputs.request.root))
    }
    reasons = {
        pair: _missing_reason(run_pairs[pair]) if pair in run_pairs else _no_pair_reason(inputs, pair)
        for pair in inputs.pairs
    }
    to_draw = {
        pair: run_pair
        for pair, run_pair in run_pairs.items()
        if draw and reasons[pair] and run_pair.is_done and not run_pair.unsupported_reason
    }
    results = draw_many(list(to_draw.values()), processes) if to_draw else {}
    return reasons | {pair: results[run_pair.id] for pair, run_pair in to_draw.items()}


def select_figure_pairs(pairs: list[RunPair]) -> list[RunPair]:
    """Select one pair of runs per figure: the seed of an existing figure, else the first finished one."""
    folders: dict[Path, list[RunPair]] = {}
    for pair in pairs:
        folders.setdefault(pair.folder, []).append(pair)
    return [
        next(
            (pair for pair in seeds if _has_figure(pair)),
            next((pair for pair in seeds if pair.is_done), seeds[0]),
        )
        for seeds in folders.values()
    ]


def _no_pair_reason(inputs: ReportInputs, pair: Pair) -> str:
    """Return why there are no two runs to draw."""
    for method, reason in inputs.left_out(pair).items():
        return f"{method} is left out: {reason}"
    return "baseline and DCAL have no seed in common"


def _has_figure(pair: RunPair) -> bool:
    """Return whether the figure on disk shows these runs."""
    if not pair.is_done:
        return False
    record = read_json(pair.folder / f"{HEATMAPS}.json") or {}
    recorded, files = record.get("identity"), record.get("files")
    if not isinstance(recorded, dict) or not isinstance(files, list):
        return False
    expected = {name: value for name, value in identity(pair).items() if name not in _USER_OPTIONS}
    same = expected == {name: value for name, value in recorded.items() if name not in _USER_OPTIONS}
    return same and all(isinstance(name, str) and (pair.folder / name).is_file() for name in files)


def _missing_reason(pair: RunPair) -> str:
    """Return why a pair has no figure, or ""."""
    if pair.unsupported_reason:
        return pair.unsupported_reason
    for run in (pair.baseline, pair.dcal):
        if run.result is None:
            return f"{run.id} is not done ({run.state})"
    if _has_figure(pair):
        return ""
    for run in (pair.baseline, pair.dcal):
        if not run.folder.checkpoint.is_file():
            return f"{run.id} has no checkpoint.pt: its folder was copied without, or it was deleted"
    return "none are drawn of these runs"
