"""`python -m benchmark evaluate`: trained models evaluated once more, against their records or on other pictures.

evaluate                                       every finished run of --cells and --seeds, against its record
evaluate cub/deit_tiny/dcal runs/mini/…/seed0  these; also .safetensors files that `export` wrote
evaluate RUN --data FOLDER                     on class folders, or query and bounding_box_test as Market-1501 has them
evaluate RUN RUN --corrupt "noise=0.1 jpeg=10" on pictures made worse: table and plot
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.atomic import explained, write_json
from benchmark.commands import options, select_models
from benchmark.commands.command_line import COMPLETE, INCOMPLETE, Command, whole_number
from benchmark.errors import SettingsError, SuiteError

if TYPE_CHECKING:
    from benchmark.inference.findings import Reevaluation


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which models, on what, by what."""
    options.add_grid(parser)
    parser.formatter_class, parser.epilog = argparse.RawDescriptionHelpFormatter, __doc__.partition("\n\n")[2]
    parser.add_argument("models", nargs="*", metavar="RUN_OR_FILE", help=select_models.RUN_OR_FILE)
    parser.add_argument("--device", default=None, help="auto, cpu or cuda; none: as the run had it")
    parser.add_argument(
        "--threads", type=whole_number(1), default=None, help="CPU threads; none: as the run had them"
    )
    parser.add_argument("--workers", type=whole_number(0), default=0, help="decoding processes")
    parser.add_argument("--json", type=Path, default=None, help="write the numbers to this file")
    parser.add_argument(
        "--corrupt", default="", help='kinds and levels, "noise=0.05,0.1 blur=2 jpeg=10 occlude=0.3"'
    )
    parser.add_argument(
        "--out", type=Path, default=None, help="folder for --corrupt; none: RUNS/PROFILE/robustness"
    )


def evaluate(arguments: argparse.Namespace) -> int:
    """Evaluate trained models once more: against their records, on other pictures, on pictures made worse."""
    corruptions = ()
    if arguments.corrupt:
        from benchmark.data import corruptions as kinds

        corruptions = kinds.parse(arguments.corrupt)
        if arguments.json:
            raise SettingsError("--json is for an evaluation without --corrupt, which writes robustness.json")
    elif arguments.out:
        raise SettingsError("--out is the folder for --corrupt; --json writes the numbers of an evaluation")
    paths, unfinished = select_models.models(arguments, arguments.models)
    if corruptions:
        from benchmark.commands import robustness

        return robustness.evaluate_corrupted(arguments, paths, corruptions, unfinished)
    findings, failed = _all(arguments, paths)
    if arguments.json:
        _write(options.absolute(arguments.json), findings)
    if len(paths) > 1:
        print(_summary(findings, failed, len(paths)))
    different = [finding.run for finding in findings if not finding.equal]
    if not failed and not different and not unfinished:
        return COMPLETE
    sys.stdout.flush()
    reasons = [f"{unfinished} not finished"] if unfinished else []
    reasons += [f"{failed} not evaluated, why is said above"] if failed else []
    reasons += [f"not the recorded numbers: {', '.join(different)}"] if different else []
    print(f"error: of {len(paths) + unfinished} models, {'; '.join(reasons)}", file=sys.stderr)
    return INCOMPLETE


def _all(arguments: argparse.Namespace, paths: Sequence[Path]) -> tuple[list[Reevaluation], int]:
    """What was found, printed one by one, and how many models failed. A single one's error is raised."""
    from benchmark.inference.findings import reevaluate_model
    from benchmark.inference.reevaluate import EvaluationOptions

    machine = EvaluationOptions(arguments.device, arguments.threads, arguments.workers)
    data, runs = options.absolute(arguments.data), options.one_folder(arguments.runs)
    findings, failed = [], 0
    for path in paths:
        try:
            finding = reevaluate_model(path, machine, data, runs)
        except SuiteError as error:
            if len(paths) == 1:
                raise
            failed += 1
            print(f"{path}: not evaluated: {error}", file=sys.stderr)
            continue
        findings.append(finding)
        print("\n".join(_lines(finding, alone=len(paths) == 1)), flush=True)
    return findings, failed


def _lines(finding: Reevaluation, *, alone: bool) -> list[str]:
    comparison_text = finding.comparison.text if finding.comparison else finding.why_not
    lines = [f"{finding.run}  {finding.headline}  {comparison_text}"]
    if alone:
        every = {**finding.metrics, **finding.notes}
        lines += [f"  {name} {value:g}" for name, value in every.items()]
    if alone or not finding.comparison:
        lines.append(f"  {finding.data}")
    return lines


def _summary(findings: Sequence[Reevaluation], failed: int, total: int) -> str:
    verdicts = Counter(finding.comparison.verdict for finding in findings if finding.comparison)
    words = {
        "equal": f"{verdicts['equal']} equal, bit for bit",
        "rounding": f"{verdicts['rounding']} equal to rounding",
        "different": f"{verdicts['different']} DIFFERENT",
        "not compared": f"{len(findings) - verdicts.total()} not compared",
        "failed": f"{failed} not evaluated",
    }
    counts = [text for text in words.values() if not text.startswith("0 ")]
    return f"{total} models: {', '.join(counts)}"


def _write(path: Path, findings: Sequence[Reevaluation]) -> None:
    with explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, {"evaluated": [finding.as_json() for finding in findings]})


COMMANDS = {"evaluate": Command(evaluate, add_arguments)}
