"""Pairs of baseline and DCAL of one dataset, backbone and seed, and the command options that select them."""

from __future__ import annotations

import argparse
import itertools
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
ATTENTION = "attention"  # name of the files of the attention measure, without suffix


def missing_class_token(backbone: str) -> str:
    """Return why a backbone's attention cannot be rolled out; "" for backbones with a class token."""
    row = BACKBONES[backbone]
    return "" if row.glca else f"{row.title} has no class token, where a rollout would start, and no GLCA"


@dataclass(frozen=True)
class RunPair:
    """Two runs that differ in their method only. places: folders of their data; folder: of their figures."""

    baseline: RunView
    dcal: RunView
    places: Places
    folder: Path

    @property
    def id(self) -> str:
        """Return ``cub/deit_tiny/seed0``."""
        return f"{self.baseline.cell.dataset}/{self.baseline.cell.backbone}/seed{self.baseline.seed}"

    @property
    def task(self) -> str:
        return self.baseline.cell.task

    @property
    def is_done(self) -> bool:
        return self.baseline.result is not None and self.dcal.result is not None

    @property
    def unsupported_reason(self) -> str:
        """Return why these models can never have heatmaps, or ""."""
        return missing_class_token(self.baseline.cell.backbone)

    @property
    def title(self) -> str:
        """Return dataset, backbone, profile and seed as the title of a figure."""
        cell = self.baseline.cell
        return (
            f"{DATASETS[cell.dataset].title} · {BACKBONES[cell.backbone].title} · profile "
            f"{self.baseline.config.profile} · seed {self.baseline.seed}"
        )

    @property
    def identity(self) -> dict[str, str]:
        """Return the digests that identify this pair's figures: weights and data. Both runs must be done."""
        return {
            "baseline": self.baseline.result["final_weights_sha256"],
            "dcal": self.dcal.result["final_weights_sha256"],
            "data": self.dcal.result["data"]["fingerprint"],
        }

    @property
    def changed(self) -> tuple[str, ...]:
        """Return the names of the settings that differ from the profile (SET)."""
        names = (run_settings.changed_settings(run.config) for run in (self.baseline, self.dcal))
        return tuple(dict.fromkeys(itertools.chain(*names)))

    @property
    def warning(self) -> str:
        """Return why the numbers are not comparable with the paper's; "" if they are."""
        reasons = []
        if not is_comparable(self.baseline.config.profile, self.changed):
            reasons.append(f"Profile {self.baseline.config.profile} is not the paper's recipe")
        data = self.dcal.result["data"]
        if data["coverage"] != "full":
            reasons.append(f"the data are {one_line(data['text'], 120)}")
        return f"{'; '.join(reasons)}: the numbers are not comparable with the paper's." if reasons else ""

    def without_cache(self) -> RunPair:
        """Copy the pair without cached predictions, because open files cannot go to other processes."""
        return replace(self, baseline=replace(self.baseline), dcal=replace(self.dcal))

    @cached_property
    def dataset(self) -> Dataset:
        """Load the lists of the dataset. Raises DataError if they differ from those of the runs."""
        config, fingerprint = self.dcal.config, self.identity["data"]
        dataset = locate.load_dataset(config.cell.dataset, self.places.data, config.settings.data)
        if locate.fingerprint(dataset.root, dataset.key) != fingerprint:
            raise DataError(
                f"{dataset.root} holds other data than these runs were made from: its lists have another fingerprint "
                f"than {fingerprint[:12]}…. Set DATA to the folder the runs used"
            )
        return dataset

    def obstacle(self) -> str:
        """Return why there can be no figure, or "". Reads lists, no pictures."""
        if self.unsupported_reason:
            return self.unsupported_reason
        for run in (self.baseline, self.dcal):
            if run.result is None:
                return f"{run.id} is not done: {run.state}{f', {run.reason}' if run.reason else ''}"
            if not run.folder.checkpoint.is_file():
                return f"{run.id} has no checkpoint.pt: its folder was copied without, or it was deleted"
        if self.baseline.result["data"]["fingerprint"] != self.dcal.result["data"]["fingerprint"]:
            return f"{self.id}: baseline and DCAL were run on data of different fingerprints"
        if unlike := run_settings.training_differences(self.baseline.config, self.dcal.config):
            return f"{self.id}: baseline and DCAL were made with different settings: {unlike}"
        try:
            self.dataset  # noqa: B018 - raises if it cannot be read
        except SuiteError as error:
            return str(error)
        return ""


def make_pairs(merged: MergedRuns, root: Path) -> list[RunPair]:
    """Make all pairs of the merged runs, in the order of grid and seed; runs without a partner are left out.

    root: the profile's folder that holds ``figures``.
    """
    runs: dict[tuple[str, str, int], dict[str, RunView]] = {}
    for run in merged.runs:
        runs.setdefault((run.cell.dataset, run.cell.backbone, run.seed), {})[run.cell.method] = run
    return [
        RunPair(
            methods["baseline"],
            methods["dcal"],
            merged.places[methods["dcal"].id],
            root / "figures" / dataset / backbone,
        )
        for (dataset, backbone, _), methods in runs.items()
        if len(methods) == 2
    ]


def require_drawable(pair: RunPair) -> None:
    """Raise RunError if there can be no figure."""
    if reason := pair.obstacle():
        raise RunError(reason)


# --- Options of commands that select pairs and blocks ---


def add_pair_options(parser: argparse.ArgumentParser) -> None:
    """Add the options for cells, seeds, blocks, and the folder of the figures."""
    parser.add_argument(
        "--cells", default="", help="patterns dataset/backbone, separated by spaces; none: all"
    )
    parser.add_argument(
        "--seeds", default="0", help="whole numbers; figures are of the first seed that is done"
    )
    add_layers_option(parser)
    parser.add_argument(
        "--out", type=Path, default=None, help="folder of the figures; none: RUNS/PROFILE/figures"
    )


def add_layers_option(parser: argparse.ArgumentParser) -> None:
    """Add the option for the blocks of the rollout."""
    parser.add_argument(
        "--layers", default="", help="blocks of the rollout, 1-11; none: those before GLCA's own"
    )


def parse_layers(text: str) -> tuple[int, int] | None:
    """Parse ``"1-11"`` to (1, 11) and "" to None. Raises SettingsError for anything else.

    Whether the model has these blocks is checked later.
    """
    if not text.strip():
        return None
    match = re.fullmatch(r"\s*(\d+)(?:\s*-\s*(\d+))?\s*", text)
    if not match:
        raise SettingsError(f"LAYERS={text!r}: expected blocks like 1-11, counted from 1")
    return int(match[1]), int(match[2] or match[1])


def select_pairs(arguments: argparse.Namespace) -> list[RunPair]:
    """Select one pair of runs per dataset and backbone: the first seed that can be drawn, else the first.

    Backbones without a class token are left out with a message. Raises SettingsError for patterns that match no pair
    or only such backbones, and the errors of ``merge.collect``.
    """
    pairs = collect_pairs(arguments)
    if not pairs:
        raise SettingsError(
            f"CELLS={arguments.cells!r} names no pair of baseline and DCAL: expected patterns like 'cub/deit_tiny'"
        )
    if all(pair.unsupported_reason for pair in pairs):
        raise SettingsError(f"CELLS={arguments.cells!r}: {pairs[0].unsupported_reason}")
    messages: dict[str, None] = {}
    folders: dict[Path, list[RunPair]] = {}
    for pair in pairs:
        if pair.unsupported_reason:
            messages[f"{pair.folder.name}: left out: {pair.unsupported_reason}"] = None
        else:
            folders.setdefault(pair.folder, []).append(pair)
    for message in messages:
        print(message, file=sys.stderr)
    return [next((pair for pair in seeds if not pair.obstacle()), seeds[0]) for seeds in folders.values()]


def collect_pairs(arguments: argparse.Namespace) -> list[RunPair]:
    """Collect the selected pairs of every seed; finished runs have their recorded settings.

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
    pairs = make_pairs(merged, folders[0] / arguments.profile)
    out = options.absolute(arguments.out)
    if out is None:
        return pairs
    return [
        replace(pair, folder=out / pair.baseline.cell.dataset / pair.baseline.cell.backbone) for pair in pairs
    ]
