"""Which pairs have heatmaps that still show their runs, and drawing those that have not."""

from __future__ import annotations

from collections.abc import Mapping

from benchmark.records.run_folder import read_json
from reports.heatmaps.run_pairs import RunPair, pairs_of
from reports.heatmaps.test_images import NAME, draw_many, identity
from reports.page.inputs import Material, Pair

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
