"""``python -m reports heatmaps``: rollout heatmaps of baseline and DCAL on test pictures selected by a stated rule.

Files: PNG, PDF, a WebP for the page, and a record (JSON) of what they show. Torch is loaded only to draw; records and
JSON tell whether that is necessary.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmark.atomic import write_json
from benchmark.commands import options
from benchmark.commands.command_line import COMPLETE, INCOMPLETE
from benchmark.errors import SuiteError
from benchmark.records.run_folder import read_json
from reports.heatmaps import pick_images, run_pairs
from reports.heatmaps.pick_images import PickRules
from reports.heatmaps.run_pairs import RunPair, require_drawable

VERSION = 2  # raised when the same runs, rules and layers give other pictures or values
HEATMAPS, RANKED_LISTS = "heatmaps", "ranked"
Layers = tuple[int, int]
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
DEFAULT_RULES = pick_images.parse(pick_images.DEFAULT)


def identity(
    pair: RunPair, rules: PickRules = DEFAULT_RULES, layers: Layers | None = None
) -> dict[str, object]:
    """Return what identifies a figure: equal identities mean equal figures. Both runs must be done."""
    return {
        "version": VERSION,
        "runs": pair.identity,
        "title": pair.title,
        "warning": pair.warning,
        "picks": rules.text,
        "layers": list(layers) if layers else "default",
    }


def is_outdated(pair: RunPair, rules: PickRules = DEFAULT_RULES, layers: Layers | None = None) -> bool:
    """Return whether the pair's figure is missing or differs from a new one. Both runs must be done."""
    record = read_json(pair.folder / f"{HEATMAPS}.json") or {}
    files = record.get("files")
    return (
        record.get("identity") != identity(pair, rules, layers)
        or not isinstance(files, list)
        or not all(isinstance(name, str) and (pair.folder / name).is_file() for name in files)
    )


def draw_if_outdated(pair: RunPair, rules: PickRules = DEFAULT_RULES, layers: Layers | None = None) -> str:
    """Draw the figure unless it is up to date; return "" or why there is none. Errors are returned, never raised."""
    if reason := pair.obstacle():
        return reason
    if not is_outdated(pair, rules, layers):
        return ""
    try:
        draw(pair, rules, layers)
    except SuiteError as error:
        return str(error)
    except Exception as error:  # an error of the code; the report names it and continues
        return f"{type(error).__name__}: {error}"
    return ""


def draw_many(
    pairs: Sequence[RunPair],
    processes: int = 2,
    rules: PickRules = DEFAULT_RULES,
    layers: Layers | None = None,
) -> dict[str, str]:
    """Run ``draw_if_outdated`` for all pairs in several processes; return pair id → "" or why it has no figure.

    Pairs that are up to date or cannot be drawn start no process.
    """
    from concurrent.futures import ProcessPoolExecutor
    from concurrent.futures.process import BrokenProcessPool
    from multiprocessing import get_context

    reasons = {pair.id: pair.obstacle() for pair in pairs}
    to_draw = [pair for pair in pairs if not reasons[pair.id] and is_outdated(pair, rules, layers)]
    if not to_draw:
        return reasons
    pool = ProcessPoolExecutor(min(processes, len(to_draw)), mp_context=get_context("spawn"))
    with _single_threads(), pool:
        jobs = {
            pair.id: pool.submit(draw_if_outdated, pair.without_cache(), rules, layers) for pair in to_draw
        }
        for name, job in jobs.items():
            try:
                reasons[name] = job.result()
            except BrokenProcessPool:
                reasons[name] = "the process that drew it died; out of memory?"
    return reasons


@contextlib.contextmanager
def _single_threads() -> Iterator[None]:
    """Let processes that start in this context compute with one thread each, so that they do not compete for cores."""
    before = {name: os.environ.get(name) for name in _THREADS}
    os.environ.update(dict.fromkeys(_THREADS, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def draw(pair: RunPair, rules: PickRules = DEFAULT_RULES, layers: Layers | None = None) -> dict[str, object]:
    """Draw the figure into the pair's folder and return its record, which is written last.

    Raises RunError, DataError or SettingsError if a run is not done, a checkpoint or picture cannot be read, or the
    rules or layers are not valid.
    """
    require_drawable(pair)
    from reports.heatmaps import overlay, pair_figure

    figures = pair_figure.draw(pair, choose(pair, rules), layers)
    files: list[Path] = []
    for stem, figure in ((HEATMAPS, figures.heatmaps), (RANKED_LISTS, figures.ranked_lists)):
        if figure is not None:
            png, pdf = overlay.save(figure, pair.folder / stem)
            files += [png, pdf, overlay.page_copy(png)]
    record = {
        "identity": identity(pair, rules, layers),
        "files": [file.name for file in files],
        "title": pair.title,
        "caption": figures.caption,
        "warning": pair.warning,
        "layers": list(figures.layers),
        "patches": list(figures.grid),
        "unit": "attention of the class token to a patch, times the number of patches",
        "rows": figures.rows,
    }
    write_json(pair.folder / f"{HEATMAPS}.json", record)
    return record


def choose(pair: RunPair, rules: PickRules) -> list[pick_images.Pick]:
    """Choose the pictures from the records. Raises the SettingsError of ``pick_images.choose``."""
    split = pair.dataset.query if pair.task == "reid" else pair.dataset.test
    gain = None
    if any(rule in ("gain", "loss") for rule, _ in rules.items):
        gain = pick_images.gains(pair.task, pair.baseline.predictions, pair.dcal.predictions)
    return pick_images.choose(rules, split.files, gain, task=pair.task)


# --- The command ---


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options for profile, folders, pairs, pictures and blocks."""
    options.add_common(parser)
    run_pairs.add_pair_options(parser)
    parser.add_argument(
        "--pick",
        default=pick_images.DEFAULT,
        help="random=2,gain=1,loss=1, or list= of places or files of the test split",
    )
    parser.add_argument("--pick-seed", type=options.whole_number(0), default=0, help="of the random pictures")
    parser.add_argument("--jobs", type=options.whole_number(1), default=2, help="pairs drawn at once")


def run(arguments: argparse.Namespace) -> int:
    """Draw missing and outdated figures; exit status 1 if a pair could not be drawn."""
    rules = pick_images.parse(arguments.pick, arguments.pick_seed)
    layers, pairs = run_pairs.parse_layers(arguments.layers), run_pairs.select_pairs(arguments)
    reasons = draw_many(pairs, arguments.jobs, rules, layers)
    for pair in pairs:
        if reasons[pair.id]:
            print(f"{pair.id}: not drawn: {reasons[pair.id]}", file=sys.stderr)
        else:
            print(f"{pair.id}: {pair.folder / HEATMAPS}.png and .pdf")
    failed = [pair.id for pair in pairs if reasons[pair.id]]
    if not failed:
        return COMPLETE
    print(f"error: {len(failed)} of {len(pairs)} pairs are not drawn: {', '.join(failed)}", file=sys.stderr)
    return INCOMPLETE
