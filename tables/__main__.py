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


def build_parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="python -m tables",
        description="Print a table of the runs on disk beside the paper's numbers, and write it as Markdown, "
        "LaTeX, CSV and HTML. Starts no run. The exit status is 0 whatever the table lacks, unless --require is given.",
    )
    parser.add_argument("table", choices=[*TABLES, ABLATIONS])
    options.add_common(parser)
    parser.add_argument(
        "--out", type=Path, help="folder of the written files; none: <first runs folder>/<profile>/tables"
    )
    parser.add_argument(
        "--cells",
        default="",
        help="patterns dataset/backbone/method: show these cells alone, and write files only where --out says so; "
        "none: the whole table",
    )
    parser.add_argument("--seeds", default="0", help="whole numbers separated by spaces or commas")
    parser.add_argument(
        "--require",
        choices=("done", "submitted"),
        help="status 1, and last of all the reasons, unless every run of --required-cells is done, or at least on its "
        "way on a cluster",
    )
    parser.add_argument("--required-cells", default="", help="as --cells, for --require; none: all")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    arguments = build_parser().parse_args(argv)
    return status_of(lambda: show(arguments))


def show(arguments: argparse.Namespace) -> int:
    """Print the table and write its files; returns the exit status."""
    # Late imports: --help and a mistyped option answer at once.
    from benchmark.config.resolve import parse_overrides
    from benchmark.records import merge
    from tables import cells
    from tables import exports as write
    from tables.ablations import layout as ablation_layout
    from tables.ablations.rows import has_ablation_runs
    from tables.exports import markdown
    from tables.layout import build
    from tables.side_tables import read_overheads

    selected = _cell_ids(arguments.cells, arguments.table) if options.patterns(arguments.cells) else None
    required = _cell_ids(arguments.required_cells, arguments.table)
    folders = options.folders(str(arguments.runs))
    merged = merge.collect(
        folders,
        table=arguments.table,
        profile=arguments.profile,
        seeds=options.seeds(arguments.seeds),
        overrides=parse_overrides(arguments.overrides),
        data_dir=options.absolute(arguments.data),
        weights_dir=options.absolute(arguments.weights),
    )
    error = cells.unfinished_message(merged.runs, required, arguments.require) if arguments.require else ""
    if arguments.require == "done" and not any(run.state == "done" for run in merged.runs):
        print(error, file=sys.stderr)  # an empty table would hide it
        return INCOMPLETE
    context = {
        "conflicts": merged.conflicts,
        "folders": [str(folder) for folder in folders],
        "refused": merged.refused,
        "cells": selected,
    }
    overrides = shlex.split(arguments.overrides)
    exports = write.EXPORTS
    if arguments.table == ABLATIONS:
        if not has_ablation_runs(merged.runs):
            print("no ablation is run there: make ablations runs them and prints their table")
            return _finish(error)
        overheads = read_overheads(folders, arguments.profile)
        built = ablation_layout.build(
            arguments.profile, merged.runs, overrides, overheads=overheads, **context
        )
        layout = built.layout
        exports = exports | {"csv": lambda _: ablation_layout.render(built.ablations, overheads)}
    else:
        layout = build(arguments.table, arguments.profile, merged.runs, overrides, **context)
    # The files come first: a reader that closes the pipe early must not prevent them.
    paths = {}
    if selected is None or arguments.out:
        folder = arguments.out or folders[0] / arguments.profile / "tables"
        paths = write.write_layout(layout, folder, exports)
    print(markdown.render_text(layout))
    if paths:
        print("written: " + ", ".join(str(path) for path in paths.values()))
    else:
        print("not written, as it is a part of the table: --out FOLDER writes it")
    if arguments.require and (queued := cells.queue_message(merged.runs, required)):
        print(queued, file=sys.stderr)
    return _finish(error)


def _cell_ids(patterns: str, table: str) -> frozenset[str]:
    """Ids of the cells that the patterns select. Raises SettingsError for a pattern that selects none."""
    return frozenset(cell.id for cell in select(options.patterns(patterns), table))


def _finish(error: str) -> int:
    """Print the error message, if any, after everything else; returns the exit status."""
    sys.stdout.flush()
    if error:
        print(error, file=sys.stderr)
    return INCOMPLETE if error else COMPLETE


if __name__ == "__main__":
    sys.exit(exit_status(main))
