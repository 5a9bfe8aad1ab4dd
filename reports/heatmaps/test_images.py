"""Rollout heatmaps of baseline and DCAL on test pictures picked by a stated rule: PNG, PDF and what they show as JSON.

Torch is loaded only where something is drawn; whether that is needed the records and the JSON say.
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
from reports.heatmaps.pick_images import Wanted
from reports.heatmaps.run_pairs import RunPair, require

VERSION = 2  # raised when the same runs, picks and layers give another figure
NAME, RANKED = "heatmaps", "ranked"
Layers = tuple[int, int]
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
DEFAULT = pick_images.parse(pick_images.DEFAULT)


def identity(pair: RunPair, wanted: Wanted = DEFAULT, layers: Layers | None = None) -> dict[str, object]:
    """What was drawn, of what: two figures with the same identity are the same. Both runs are done."""
    return {
        "version": VERSION,
        "runs": pair.identity,
        "title": pair.title,
        "warning": pair.warning,
        "picks": wanted.text,
        "layers": list(layers) if layers else "default",
    }


def outdated(pair: RunPair, wanted: Wanted = DEFAULT, layers: Layers | None = None) -> bool:
    """Whether the figure in the pair's folder is missing or another than would be drawn now. Both runs are done."""
    record = read_json(pair.folder / f"{NAME}.json") or {}
    files = record.get("files")
    return (
        record.get("identity") != identity(pair, wanted, layers)
        or not isinstance(files, list)
        or not all(isinstance(name, str) and (pair.folder / name).is_file() for name in files)
    )


def ensure(pair: RunPair, wanted: Wanted = DEFAULT, layers: Layers | None = None) -> str:
    """Draw the figure unless it is there; "" or, in words, why there is none. One pair never fails the others."""
    if reason := pair.why_not():
        return reason
    if not outdated(pair, wanted, layers):
        return ""
    try:
        draw(pair, wanted, layers)
    except SuiteError as error:
        return str(error)
    except Exception as error:  # a fault of the code; the report goes on and names it
        return f"{type(error).__name__}: {error}"
    return ""


def draw_many(
    pairs: Sequence[RunPair], processes: int = 2, wanted: Wanted = DEFAULT, layers: Layers | None = None
) -> dict[str, str]:
    """``ensure`` for all pairs, in so many processes; pair id → "" or why it has no figure.

    What is up to date, or cannot be drawn, starts no process.
    """
    from concurrent.futures import ProcessPoolExecutor
    from concurrent.futures.process import BrokenProcessPool
    from multiprocessing import get_context

    reasons = {pair.id: pair.why_not() for pair in pairs}
    due = [pair for pair in pairs if not reasons[pair.id] and outdated(pair, wanted, layers)]
    if not due:
        return reasons
    pool = ProcessPoolExecutor(min(processes, len(due)), mp_context=get_context("spawn"))
    with _one_thread_each(), pool:
        jobs = {pair.id: pool.submit(ensure, pair.fresh(), wanted, layers) for pair in due}
        for name, job in jobs.items():
            try:
                reasons[name] = job.result()
            except BrokenProcessPool:
                reasons[name] = "the process that drew it died; out of memory?"
    return reasons


@contextlib.contextmanager
def _one_thread_each() -> Iterator[None]:
    """Processes started meanwhile compute with one thread each: as many processes as cores would fight over them."""
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


def draw(pair: RunPair, wanted: Wanted = DEFAULT, layers: Layers | None = None) -> dict[str, object]:
    """Draw the figure into the pair's folder and return its record, which is written last.

    Raises RunError, DataError or SettingsError where a run is not done, a checkpoint or picture cannot be read, or the
    picks or layers make no sense.
    """
    require(pair)
    from reports.heatmaps import overlay, rows

    chosen = choose(pair, wanted)
    drawn = rows.draw(pair, chosen, layers)
    files: list[Path] = []
    for stem, figure in ((NAME, drawn.figure), (RANKED, drawn.ranked)):
        if figure is not None:
            png, pdf = overlay.save(figure, pair.folder / stem)
            files += [png, pdf, overlay.page_copy(png)]
    record = {
        "identity": identity(pair, wanted, layers),
        "files": [file.name for file in files],
        "title": pair.title,
        "caption": drawn.caption,
        "warning": pair.warning,
        "layers": list(drawn.layers),
        "patches": list(drawn.grid),
        "unit": "attention of the class token to a patch, times the number of patches",
        "rows": drawn.rows,
    }
    write_json(pair.folder / f"{NAME}.json", record)
    return record


def choose(pair: RunPair, wanted: Wanted) -> list[pick_images.Pick]:
    """The pictures to show, from the records. Raises SettingsError as ``picks``."""
    split = pair.dataset.query if pair.task == "reid" else pair.dataset.test
    gained = None
    if any(rule in ("gain", "loss") for rule, _ in wanted.rules):
        gained = pick_images.gains(pair.task, pair.baseline.predictions, pair.dcal.predictions)
    return pick_images.choose(wanted, split.files, gained, task=pair.task)


# --- ``python -m reports heatmaps``: draw baseline and DCAL on test pictures picked by a stated rule ---


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Profile, places, which pairs, which pictures, which blocks."""
    options.add_common(parser)
    run_pairs.add_pairs(parser)
    parser.add_argument(
        "--pick",
        default=pick_images.DEFAULT,
        help="random=2,gain=1,loss=1, or list= of places or files of the test split",
    )
    parser.add_argument("--pick-seed", type=options.whole_number(0), default=0, help="of the random pictures")
    parser.add_argument("--jobs", type=options.whole_number(1), default=2, help="pairs drawn at once")


def run(arguments: argparse.Namespace) -> int:
    """Draw what is missing or shows something else; exit status 1 if a pair could not be drawn."""
    pass

    wanted = pick_images.parse(arguments.pick, arguments.pick_seed)
    layers, pairs = run_pairs.layers(arguments.layers), run_pairs.pairs(arguments)
    reasons = draw_many(pairs, arguments.jobs, wanted, layers)
    for pair in pairs:
        if reasons[pair.id]:
            print(f"{pair.id}: not drawn: {reasons[pair.id]}", file=sys.stderr)
        else:
            print(f"{pair.id}: {pair.folder / NAME}.png and .pdf")
    failed = [pair.id for pair in pairs if reasons[pair.id]]
    if not failed:
        return COMPLETE
    print(f"error: {len(failed)} of {len(pairs)} pairs are not drawn: {', '.join(failed)}", file=sys.stderr)
    return INCOMPLETE
