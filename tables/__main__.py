"""``python -m tables table1 --profile mini``: print a table of the runs on disk and write its files."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmark.commands import options
from benchmark.commands.command_line import COMPLETE, INCOMPLETE, Parser, exit_status, status_of
from benchmark.config.grid import ABLATIONS, TABLES, select


def parser() -> argparse.ArgumentParser:
    made = Parser(
        prog="python -m tables",
        description="Print a table of the runs on disk beside the paper's numbers, and write it as Markdown, "
        "LaTeX, CSV and HTML. Starts no run. The exit status is 0 whatever the table lacks, unless --require is given.",
    )
    made.add_argument("table", choices=[*TABLES, ABLATIONS])
    options.add_common(made)
    made.add_argument(
        "--out", type=Path, help="folder of the written files; none: <first runs folder>/<profile>/tables"
    )
    made.add_argument(
        "--cells",
        default="",
        help="patterns dataset/backbone/method: show these cells alone, and write files only where --out says so; "
        "none: the whole table",
    )
    made.add_argument("--seeds", default="0", help="whole numbers separated by spaces or commas")
    made.add_argument(
        "--require",
        choices=("done", "submitted"),
        help="status 1, and last of all the reasons, unless every run of --required-cells is done, or at least on its "
        "way on a cluster",
    )
    made.add_argument("--required-cells", default="", help="as --cells, for --require; none: all")
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    asked = parser().parse_args(arguments)
    return status_of(lambda: show(asked))


def show(asked: argparse.Namespace) -> int:
    """Print the table and write its files; returns the exit status."""
    # Late imports: --help and a mistyped option answer at once.
    from benchmark.config.resolve import parse_overrides
    from benchmark.records import merge
    from tables import cells
    from tables import exports as write
    from tables.ablations import layout as ablation_csv
    from tables.ablations import layout as ablation_layout
    from tables.ablations.rows import was_started
    from tables.exports import markdown
    from tables.layout import build
    from tables.side_tables import counted_in

    shown = _ids(asked.cells, asked.table) if options.patterns(asked.cells) else None
    needed = _ids(asked.required_cells, asked.table)
    overrides = parse_overrides(asked.overrides)
    folders = options.folders(str(asked.runs))
    found = merge.collect(
        folders,
        table=asked.table,
        profile=asked.profile,
        seeds=options.seeds(asked.seeds),
        overrides=overrides,
        data_dir=options.absolute(asked.data),
        weights_dir=options.absolute(asked.weights),
    )
    complaint = cells.complaint(found.runs, needed, asked.require) if asked.require else ""
    if asked.require == "done" and not any(run.state == "done" for run in found.runs):
        print(complaint, file=sys.stderr)  # an empty table would hide it
        return INCOMPLETE
    around = {
        "conflicts": found.conflicts,
        "folders": [str(folder) for folder in folders],
        "refused": found.refused,
        "cells": shown,
    }
    changed = shlex.split(asked.overrides)
    exports = write.EXPORTS
    if asked.table == ABLATIONS:
        if not was_started(found.runs):
            print("no ablation is run there: make ablations runs them and prints their table")
            return _last(complaint)
        counted = counted_in(folders, asked.profile)
        made = ablation_layout.build(asked.profile, found.runs, changed, overheads=counted, **around)
        layout, exports = (
            made.layout,
            exports | {"csv": lambda _: ablation_csv.render(made.found, counted)},
        )
    else:
        layout = build(asked.table, asked.profile, found.runs, changed, **around)
    # Files first: a reader that closes the pipe early must not cost them.
    paths = {}
    if shown is None or asked.out:
        paths = write.write_layout(layout, asked.out or folders[0] / asked.profile / "tables", exports)
    print(markdown.render_text(layout))
    if paths:
        print("written: " + ", ".join(str(path) for path in paths.values()))
    else:
        print("not written, as it is a part of the table: --out FOLDER writes it")
    if asked.require and (waiting := cells.on_their_way(found.runs, needed)):
        print(waiting, file=sys.stderr)
    return _last(complaint)


def _ids(patterns: str, table: str) -> frozenset[str]:
    """Ids of the cells that patterns select. Raises SettingsError for a pattern that selects none."""
    return frozenset(cell.id for cell in select(options.patterns(patterns), table))


def _last(complaint: str) -> int:
    """Say, last of all, what was asked for and is not there; returns the exit status."""
    sys.stdout.flush()
    if complaint:
        print(complaint, file=sys.stderr)
    return INCOMPLETE if complaint else COMPLETE


if __name__ == "__main__":
    sys.exit(exit_status(main))
