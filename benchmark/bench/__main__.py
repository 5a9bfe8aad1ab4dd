"""`python -m benchmark.bench`: measure, print one table, write bench.json."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmark import provenance
from benchmark.atomic import explained, write_json
from benchmark.bench import ranking, starting
from benchmark.bench.rows import Row, table
from benchmark.errors import SuiteError

BENCHMARKS: dict[str, Callable[[], list[Row]]] = {"ranking": ranking.run, "starting": starting.run}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmarks; returns the exit status: 1 for results that disagree, 2 for errors. Bars do not count."""
    parser = argparse.ArgumentParser(prog="python -m benchmark.bench", description=__doc__)
    parser.add_argument(
        "--only",
        choices=sorted(BENCHMARKS),
        action="append",
        help="one benchmark; may be repeated; none: all",
    )
    parser.add_argument(
        "--out", type=Path, default=Path("runs/bench"), help="folder of bench.json (default: %(default)s)"
    )
    asked = parser.parse_args(arguments)
    path = asked.out / "bench.json"
    try:
        with explained(path):  # before minutes are spent
            asked.out.mkdir(parents=True, exist_ok=True)
        machine = provenance.collect() | {"usable_cores": usable_cores()}
        names = [name for name in BENCHMARKS if not asked.only or name in asked.only]
        rows = [row for name in names for row in BENCHMARKS[name]()]
        write_json(path, {**machine, "rows": [row.record() for row in rows]})
    except ranking.Disagreement as error:
        print(f"the results disagree, so nothing is reported: {error}", file=sys.stderr)
        return 1
    except SuiteError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"{machine['cpu']}, {machine['usable_cores']} cores, commit {str(machine['commit'])[:12]}", end="")
    print(" (checkout changed)" if machine["dirty"] else "")
    print(f"\n{table(rows)}\n\nmedians; written to {path}")
    return 0


def usable_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


if __name__ == "__main__":
    sys.exit(main())
