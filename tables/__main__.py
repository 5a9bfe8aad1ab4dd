"""``python -m tables table1 --profile mini``: print a table of the runs on disk and write its files."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmark import options
from benchmark.errors import SuiteError
from benchmark.grid import ABLATIONS, TABLES, select
from benchmark.visible import escape_output


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        prog="python -m tables",
        description="Print a table of the runs on disk beside the paper's numbers, and write it as Markdown, "
        "LaTeX, CSV and HTML. Starts no run.",
    )
    made.add_argument("table", choices=[*TABLES, ABLATIONS])
    options.add_common(made)
    made.add_argument(
        "--out", type=Path, help="folder of the written files; none: <first runs folder>/<profile>/tables"
    )
    made.add_argument(
        "--cells",
        nargs="*",
        default=[],
        metavar="PATTERN",
        help="checked, but the table shows all of its cells: a row left out could hide a failure",
    )
    made.add_argument("--seeds", nargs="+", default=["0"], metavar="SEED", help="whole numbers")
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    asked = parser().parse_args(arguments)
    # Late imports: --help and a mistyped option answer at once.
    from benchmark import merge
    from benchmark.config import parse_overrides
    from tables import ablation_csv, ablation_layout, text, write
    from tables.ablation_rows import was_started
    from tables.layout import build
    from tables.overhead_table import counted_in

    try:
        select(options.patterns(" ".join(asked.cells)), table=asked.table)
        overrides = parse_overrides(asked.overrides)
        folders = options.folders(str(asked.runs))
        found = merge.collect(
            folders,
            table=asked.table,
            profile=asked.profile,
            seeds=options.seeds(" ".join(asked.seeds)),
            overrides=overrides,
            data_dir=options.absolute(asked.data),
            weights_dir=options.absolute(asked.weights),
        )
        around = {
            "conflicts": found.conflicts,
            "folders": [str(folder) for folder in folders],
            "refused": found.refused,
        }
        changed = shlex.split(asked.overrides)
        exports = write.EXPORTS
        if asked.table == ABLATIONS:
            if not was_started(found.runs):
                print("no ablation is run there: make ablations runs them and prints their table")
                return 0
            counted = counted_in(folders, asked.profile)
            made = ablation_layout.build(asked.profile, found.runs, changed, overheads=counted, **around)
            layout, exports = (
                made.layout,
                exports | {"csv": lambda _: ablation_csv.render(made.found, counted)},
            )
        else:
            layout = build(asked.table, asked.profile, found.runs, changed, **around)
        # Files first: a reader that closes the pipe early must not cost them.
        paths = write.write_layout(layout, asked.out or folders[0] / asked.profile / "tables", exports)
    except SuiteError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(text.render(layout))
    print("written: " + ", ".join(str(path) for path in paths.values()))
    return 0


if __name__ == "__main__":
    escape_output()
    sys.exit(main())
