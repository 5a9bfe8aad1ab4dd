"""Damage run folders in every way of ``run_folder_mutations`` and look at all runs after each.

    python -m tests.campaigns.damaged_run_folders [--every N] [--only TEXT]

After each mutation ``list``, ``status``, the tables and the page of the pair are made in this process. Counted as wrong
are: an exception, an exit status of bad input, a changed row of another run, a state that is none, more than SLOW
seconds. Takes an hour or more of one core; --every N takes each N-th mutation. Files that may not be read are looked at
as another user, which only root can become.
"""

import argparse
import codecs
import contextlib
import csv
import io
import os
import re
import shutil
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

import mini_sweep  # noqa: E402

import benchmark.__main__  # noqa: E402
import slurm.__main__  # noqa: E402
import tables.__main__  # noqa: E402
from benchmark.config.grid import ABLATIONS  # noqa: E402
from benchmark.records import progress  # noqa: E402
from benchmark.records.status import STATES  # noqa: E402
from campaigns import run_folder_mutations as mutations  # noqa: E402
from reports.page import cell_page, figures, index_page, inputs  # noqa: E402
from reports.page.attention import attention_section  # noqa: E402
from reports.page.errors import ExamplesSection, errors_section  # noqa: E402

SLOW = 120.0
NOBODY = 65534
TARGETS = {  # a run → the table it stands in, and every how many-th mutation of it is taken
    "cub/deit_tiny/dcal/seed0": ("table1", 1),  # done
    "veri/deit_tiny/dcal/seed0": ("table2", 5),  # done
    "cars/deit_small/baseline/seed0": ("table1", 3),  # failed
    "cars/deit_small/dcal/seed0": ("table1", 1),  # queued
    "cars/deit_base/baseline/seed0": ("table1", 3),  # died without a word
    "cars/vit_base/dcal/seed0": ("table1", 3),  # preempted
}
FILES = (
    "config.json", "provenance.json", "submission.json", "outcome.json", "heartbeat.json", "claim.1", "result.json",
    "history.jsonl", "log.txt", "predictions.npz",
)  # fmt: skip


def unpacked(into: Path) -> Path:
    """The made-up runs of seed 0, the targets with every file that a run can have."""
    runs = mini_sweep.unpack(into)
    for folder in runs.glob("*/*/*/*/seed[1-9]"):
        shutil.rmtree(folder)
    queued = runs / "paper" / "cars/deit_small/dcal/seed0/submission.json"
    for run in ("cub/deit_tiny/dcal/seed0", "cars/vit_base/dcal/seed0"):
        shutil.copy(queued, runs / "paper" / run)
    for folder in (runs, *runs.rglob("*")):
        if folder.is_dir():
            folder.chmod(0o777)
    return runs


def target_mutations(folder: Path) -> Iterator[mutations.Mutation]:
    """Every mutation of a run folder."""
    for name in FILES:
        file = folder / name
        yield from mutations.file_mutations(file)
        if not file.exists():
            continue
        if file.suffix == ".json" or name == "claim.1":
            yield from mutations.json_mutations(file)
        elif file.suffix == ".jsonl":
            yield from mutations.last_line_mutations(file)
        elif file.suffix == ".npz":
            yield from mutations.prediction_mutations(file, folder / "result.json")
    yield "the folder unreadable", lambda: folder.chmod(0)
    yield "the folder a file", lambda: (shutil.rmtree(folder), folder.write_text("x"))
    yield "the folder a pipe", lambda: (shutil.rmtree(folder), os.mkfifo(folder))
    yield "the folder a link to nothing", lambda: (shutil.rmtree(folder), folder.symlink_to("nothing"))


@contextlib.contextmanager
def another_user() -> Iterator[None]:
    """For root, whom no permission stops, somebody whom they do."""
    if os.geteuid():
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


def _call(main: object, *arguments: str) -> str:
    out, errors = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(errors):
        status = main(list(arguments))
    if status not in (0, 1):
        raise AssertionError(f"{arguments[0]} ends with {status}: {errors.getvalue()[-300:]}")
    return out.getvalue()


# How long ago a sign was is no difference between two looks.
@mock.patch.object(progress, "lock_files", SimpleNamespace(file_age=lambda _: 60.0))
def seen(runs: Path, out: Path, run: str, table: str, *, curves: bool) -> dict[tuple[str, ...], object]:
    """What all verbs say, row by row; a key begins with the id of the run or cell that the row is of.

    curves: draw those of the pair, too.
    """
    dataset, backbone, *_ = run.split("/")
    places = ("--profile", "paper", "--runs", str(runs))
    cells = ("--cells", f"{dataset}/{backbone} aircraft market/deit_small")
    rows: dict[tuple[str, ...], object] = {}
    for line in _call(benchmark.__main__.main, "list", *places, *cells).splitlines()[:-1]:
        rows[line.split()[0], "list"] = line.split()[1:]
    at = ""
    for line in _call(slurm.__main__.main, "status", *places, *cells).splitlines():
        at = line.split()[0] if "/seed" in line.partition(" ")[0] else at if line.startswith("    |") else ""
        if at:
            rows[at, "status"] = (*rows.get((at, "status"), ()), *line.split()[1:])
    for key in (table, ABLATIONS):
        _call(tables.__main__.main, key, *places, "--out", str(out))
    csv.field_size_limit(10**9)
    with open(out / f"{table}.csv", newline="", encoding="utf-8") as stream:
        for row in csv.DictReader(stream):
            name = f"{row['dataset']}/{row['backbone']}/{row['method']}"
            rows[name, "table", row["metric"]] = row
    request = inputs.ReportRequest("paper", (runs,), (0,))
    report_inputs = inputs.read_inputs(request)
    pair, own = (dataset, backbone), report_inputs.pairs[dataset, backbone]
    sections = cell_page.PairSections(
        figures.curves_section(own, pair, out) if curves else figures.CurvesSection(None, ()),
        figures.heatmaps_section(request, pair, "", out),
        attention_section(request, pair, own),
        errors_section(own),
        ExamplesSection(),
    )
    (out / "page.html").write_text(
        cell_page.render_pair_page(report_inputs, pair, sections, "now"), encoding="utf-8"
    )
    (out / "page.html").write_text(index_page.render_index(report_inputs, "now", None), encoding="utf-8")
    return rows


def _without_ages(row: object) -> str:
    """A row without the seconds since a last sign, which go on."""
    text = " ".join(row) if isinstance(row, (list, tuple)) else str(row)
    return re.sub(r"last sign [\d,]+ s ago", "last sign", text)


def wrong_with(before: dict, after: dict, run: str) -> str:
    """Which row of another run changed, or whether the run's own state is none; ""."""
    dataset, backbone, *_ = run.split("/")
    own = f"{dataset}/{backbone}"
    for key in before.keys() | after.keys():
        mine = key[0] == run if key[1] in ("list", "status") else key[0].startswith(own)
        if not mine and _without_ages(before.get(key)) != _without_ages(after.get(key)):
            return f"another row changed: {key}: {str(before.get(key))[:200]} → {str(after.get(key))[:200]}"
    state = after[run, "list"][0]
    return "" if state in STATES else f"state {state}"


def look(template: Path, work: Path, run: str, mutation: mutations.Mutation, before: dict) -> tuple[str, str]:
    """The run's state after a mutation, and what is wrong, or ""."""
    what, mutate = mutation
    folder = work / "runs" / "paper" / run
    _restore(template / "paper" / run, folder)
    mutate()
    began = time.monotonic()
    try:
        with another_user():
            curves = "history" in what or "config" in what
            after = seen(work / "runs", work / "out", run, TARGETS[run][0], curves=curves)
    except (Exception, SystemExit):
        return "", traceback.format_exc().strip()[-900:]
    finally:
        mutated, took = folder, time.monotonic() - began
        if mutated.is_dir():
            mutated.chmod(0o777)
        _restore(template / "paper" / run, folder)
    slow = f"took {took:.0f} s" if took > SLOW else ""
    return after[run, "list"][0], wrong_with(before, after, run) or slow


def _restore(template: Path, folder: Path) -> None:
    if folder.is_dir() and not folder.is_symlink():
        shutil.rmtree(folder)
    else:
        folder.unlink(missing_ok=True)
    shutil.copytree(template, folder)
    folder.chmod(0o777)


def undamaged(work: Path, run: str) -> dict[tuple[str, ...], object]:
    """What all verbs say of the whole runs. First as this user: Python's own files may be another user's secret."""
    seen(work / "runs", work / "out", run, TARGETS[run][0], curves=True)
    shutil.rmtree(work / "out")
    (work / "out").mkdir()
    (work / "out").chmod(0o777)
    for name in ("utf-16-be", "utf-16-le", "utf-32-be", "utf-32-le", "utf-8-sig", "cp437"):
        codecs.lookup(name)
    with another_user():
        return seen(work / "runs", work / "out", run, TARGETS[run][0], curves=True)


def prepared(work: Path) -> Path:
    """A template of the runs, and a copy of it to damage below ``work``; returns the template."""
    work.chmod(0o755)
    template = unpacked(work / "template")
    shutil.copytree(template, work / "runs")
    (work / "out").mkdir()
    return template


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument(
        "--only", default="", help="part of a run's id, a space, and part of a mutation's name"
    )
    asked = parser.parse_args()
    counts, failures = Counter(), 0
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        template = prepared(work)
        for run, (_, step) in TARGETS.items():
            before = undamaged(work, run)
            every = list(target_mutations(work / "runs" / "paper" / run))[:: step * asked.every]
            for mutation in (one for one in every if asked.only in f"{run} {one[0]}"):
                state, wrong = look(template, work, run, mutation, before)
                counts[state or "none"] += 1
                if wrong:
                    failures += 1
                    print(f"WRONG {run}: {mutation[0]}: {wrong}\n", flush=True)
    total = sum(counts.values())
    print(f"{total} mutations, {failures} wrong; states: {dict(counts.most_common())}")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
