"""Baseline and DCAL of one dataset, backbone and seed, as figures need them, or why there can be none (no torch)."""

from __future__ import annotations

import argparse
import re
import sys
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from benchmark.commands import options
from benchmark.config.backbones import BACKBONES
from benchmark.config.datasets import DATASETS
from benchmark.config.places import Places
from benchmark.config.resolve import is_comparable
from benchmark.data import locate
from benchmark.data.fgvc import FGVCDataset
from benchmark.data.reid import ReIDDataset
from benchmark.errors import DataError, RunError, SettingsError, SuiteError
from benchmark.records import merge, run_settings
from benchmark.records.merge import MergedRuns
from benchmark.records.status import RunView
from tables.formats import one_line

Dataset = FGVCDataset | ReIDDataset


def no_class_token(backbone: str) -> str:
    """Why nothing of a backbone's models can be rolled out, in words; "" for those with a class token."""
    row = BACKBONES[backbone]
    return "" if row.glca else f"{row.title} has no class token, where a rollout would start, and no GLCA"


@dataclass(frozen=True)
class RunPair:
    """Two runs that differ in their method. places: of their data; folder: where their figures lie."""

    baseline: RunView
    dcal: RunView
    places: Places
    folder: Path

    @property
    def id(self) -> str:
        """``cub/deit_tiny/seed0``."""
        return f"{self.baseline.cell.dataset}/{self.baseline.cell.backbone}/seed{self.baseline.seed}"

    @property
    def task(self) -> str:
        return self.baseline.cell.task

    @property
    def unseen(self) -> str:
        """Why these models can never be looked into, in words, or ""."""
        return no_class_token(self.baseline.cell.backbone)

    @property
    def title(self) -> str:
        """Dataset, backbone, profile and seed, as a figure names them."""
        cell = self.baseline.cell
        return (
            f"{DATASETS[cell.dataset].title} · {BACKBONES[cell.backbone].title} · profile "
            f"{self.baseline.config.profile} · seed {self.baseline.seed}"
        )

    @property
    def identity(self) -> dict[str, str]:
        """What tells this pair's figures from those of other weights or data. Both runs are done."""
        return {
            "baseline": self.baseline.result["final_weights_sha256"],
            "dcal": self.dcal.result["final_weights_sha256"],
            "data": self.dcal.result["data"]["fingerprint"],
        }

    @property
    def changed(self) -> tuple[str, ...]:
        """Names of the settings that differ from the profile's (SET)."""
        both = (run_settings.changed_settings(run.config) for run in (self.baseline, self.dcal))
        return tuple(dict.fromkeys(name for found in both for name in found))

    @property
    def warning(self) -> str:
        """Why the figure's numbers may not stand beside the paper's; "" where they may."""
        why = []
        if not is_comparable(self.baseline.config.profile, self.changed):
            why.append(f"Profile {self.baseline.config.profile} is not the paper's recipe")
        data = self.dcal.result["data"]
        if data["coverage"] != "full":
            why.append(f"the data are {one_line(data['text'], 120)}")
        return f"{'; '.join(why)}: the numbers are not comparable with the paper's." if why else ""

    def fresh(self) -> RunPair:
        """Without predictions that were read already: open files do not go to other processes."""
        return replace(self, baseline=replace(self.baseline), dcal=replace(self.dcal))

    @cached_property
    def dataset(self) -> Dataset:
        """The pictures, from their lists. Raises DataError where they are not as the runs had them."""
        config, recorded = self.dcal.config, self.identity["data"]
        dataset = locate.load_dataset(config.cell.dataset, self.places.data, config.settings.data)
        if locate.fingerprint(dataset.root, dataset.key) != recorded:
            raise DataError(
                f"{dataset.root} holds other data than these runs were made from: its lists have another fingerprint "
                f"than {recorded[:12]}…. Set DATA to the folder the runs used"
            )
        return dataset

    def why_not(self) -> str:
        """Why there can be no figure, in words; "" where nothing is known against it. Reads lists, not pictures."""
        if self.unseen:
            return self.unseen
        for run in (self.baseline, self.dcal):
            if run.result is None:
                return f"{run.id} is not done: {run.state}{f', {run.reason}' if run.reason else ''}"
            if not run.folder.checkpoint.is_file():
                return f"{run.id} has no checkpoint.pt: its folder was copied without, or it was deleted"
        found = [run.result["data"]["fingerprint"] for run in (self.baseline, self.dcal)]
        if found[0] != found[1]:
            return f"{self.id}: baseline and DCAL were run on data of different fingerprints"
        if unlike := run_settings.training_differences(self.baseline.config, self.dcal.config):
            return f"{self.id}: baseline and DCAL were made with different settings: {unlike}"
        try:
            self.dataset  # noqa: B018 - whether it can be read
        except SuiteError as error:
            return str(error)
        return ""


def pairs_of(merged: MergedRuns, root: Path) -> list[RunPair]:
    """All pairs of the merged runs, by grid order and seed. root: the profile's folder that holds ``figures``.

    A run without a partner among the merged ones makes no pair.
    """
    by_key: dict[tuple[str, str, int], dict[str, RunView]] = {}
    for run in merged.runs:
        by_key.setdefault((run.cell.dataset, run.cell.backbone, run.seed), {})[run.cell.method] = run
    return [
        RunPair(
            methods["baseline"],
            methods["dcal"],
            merged.places[methods["dcal"].id],
            root / "figures" / dataset / backbone,
        )
        for (dataset, backbone, _), methods in by_key.items()
        if len(methods) == 2
    ]


def require(pair: RunPair) -> None:
    """Raises RunError where there can be no figure."""
    if reason := pair.why_not():
        raise RunError(reason)


# --- Which pairs and which blocks a command line asks for ---


def add_pairs(parser: argparse.ArgumentParser) -> None:
    """Cells, seeds, blocks, place of the figures."""
    parser.add_argument(
        "--cells", default="", help="patterns dataset/backbone, separated by spaces; none: all"
    )
    parser.add_argument(
        "--seeds", default="0", help="whole numbers; figures are of the first seed that is done"
    )
    add_layers(parser)
    parser.add_argument(
        "--out", type=Path, default=None, help="folder of the figures; none: RUNS/PROFILE/figures"
    )


def add_layers(parser: argparse.ArgumentParser) -> None:
    """Which blocks are rolled out."""
    parser.add_argument(
        "--layers", default="", help="blocks of the rollout, 1-11; none: those before GLCA's own"
    )


def layers(text: str) -> tuple[int, int] | None:
    """``"1-11"`` to (1, 11); None for "". Raises SettingsError for anything else.

    Which blocks there are the model knows.
    """
    if not text.strip():
        return None
    match = re.fullmatch(r"\s*(\d+)(?:\s*-\s*(\d+))?\s*", text)
    if not match:
        raise SettingsError(f"LAYERS={text!r}: expected blocks like 1-11, counted from 1")
    return int(match[1]), int(match[2] or match[1])


def pairs(arguments: argparse.Namespace) -> list[RunPair]:
    """One pair of runs for every dataset and backbone asked for: the first seed that can be drawn, else the first.

    Backbones without a class token are named and left out. Raises SettingsError for patterns that match no pair or
    only such backbones, and as ``merge.collect``.
    """
    every = all_pairs(arguments)
    if not every:
        raise SettingsError(
            f"CELLS={arguments.cells!r} names no pair of baseline and DCAL: expected patterns like 'cub/deit_tiny'"
        )
    if all(pair.unseen for pair in every):
        raise SettingsError(f"CELLS={arguments.cells!r}: {every[0].unseen}")
    for line in dict.fromkeys(
        f"{pair.folder.name}: left out: {pair.unseen}" for pair in every if pair.unseen
    ):
        print(line, file=sys.stderr)
    every = [pair for pair in every if not pair.unseen]
    by_folder: dict[Path, list[RunPair]] = {}
    for pair in every:
        by_folder.setdefault(pair.folder, []).append(pair)
    return [next((p for p in several if not p.why_not()), several[0]) for several in by_folder.values()]


def all_pairs(arguments: argparse.Namespace) -> list[RunPair]:
    """Every pair asked for, of every seed; finished runs with the settings that they were made with.

    Raises SettingsError for a SET that contradicts one of them.
    """
    folders = options.folders(str(arguments.runs))
    merged = merge.collect(
        folders,
        profile=arguments.profile,
        seeds=options.seeds(arguments.seeds),
        patterns=tuple("/".join(pattern.split("/")[:2]) for pattern in options.patterns(arguments.cells)),
        as_recorded=True,
        data_dir=options.absolute(arguments.data),
        weights_dir=options.absolute(arguments.weights),
    )
    done = [(run.folder, run.config) for run in merged.runs if run.result is not None]
    run_settings.require_agreement(arguments.overrides, done)
    found = pairs_of(merged, folders[0] / arguments.profile)
    out = options.absolute(arguments.out)
    if out is None:
        return found
    return [
        replace(pair, folder=out / pair.baseline.cell.dataset / pair.baseline.cell.backbone) for pair in found
    ]
