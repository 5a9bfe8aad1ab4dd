"""Texts around the numbers of a table: warning, title, header and notes."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

from benchmark.config import paper
from benchmark.config.backbones import BACKBONES
from benchmark.config.datasets import DATASETS
from benchmark.config.grid import TABLES
from benchmark.config.parse import abridged
from benchmark.config.settings import READINGS
from benchmark.records.status import RunView
from tables import records, verdicts
from tables.formats import one_line, short_digest
from tables.gains import GainSummary
from tables.headline import headline
from tables.outcomes import base_metric
from tables.states import TableSummary, table_metrics

NOT_COMPARABLE = {
    "mini": "profile mini trains small stand-in backbones on generated pictures; "
    "its numbers show that the suite works, not how well the method does",
    "quick": "profile quick trains with a short schedule and at a lower resolution, "
    "perhaps on a subset of the data (see the data lines)",
}
MSMT17_VERSIONS = (
    "The paper does not say which version it used; V2 differs by blurred faces, "
    "which changes mAP by 1.7 to 3.9 points"
)
MEASURED = (
    "measured: mean ± std over n seeds (ddof = 1; no ± where n = 1; n is given where not every "
    "seed is done), last epoch of each run; best-epoch numbers are never used"
)
DIFFERENCE = "difference: measured minus paper, from unrounded means"
CUB_IN_IMAGENET = (
    "ImageNet, on which backbones are pretrained, contains some of CUB's photographs: "
    "read accuracy on CUB with that in mind"
)


def title(table: str) -> str:
    """Title of the table with its metrics, e.g. ``… — top-1 accuracy in %``."""
    names = records.distinct(
        "top-1 accuracy" if metric == "top1" else metric
        for dataset in TABLES[table].datasets
        for metric in table_metrics(table, dataset)
    )
    *first, last = names
    return f"{TABLES[table].title} — {' and '.join(filter(None, (', '.join(first), last)))} in %"


def warning(summary: TableSummary, overrides: Iterable[str] = ()) -> str:
    """Reason why the numbers, or some of them, must not be compared with the paper's; "" where they may be."""
    cub_remark = f" {CUB_IN_IMAGENET}." if has_cub_photographs(summary) else ""
    changed = one_line(", ".join(overrides))
    if not summary.comparable:
        why = NOT_COMPARABLE.get(
            summary.profile,
            f"the paper's recipe was changed ({changed})"
            if changed
            else f"profile {one_line(summary.profile)} is not the paper's recipe",
        )
        return f"These numbers are NOT comparable with the paper's: {why}.{cub_remark}"
    parts = []
    if incomplete := _incomplete_datasets(summary):
        data = "; ".join(f"{DATASETS[key].column}: {', '.join(texts)}" for key, texts in incomplete.items())
        parts.append(
            "Some of these numbers are NOT comparable with the paper's, because they were not measured "
            f"on the full data ({data})."
        )
    if changed:
        parts.append(f"Another reading of the paper's recipe than the default: {changed}.")
    return " ".join(parts) + (cub_remark if parts else "")


def header(
    summary: TableSummary, overrides: Iterable[str] = (), folders: Iterable[str] = ()
) -> list[tuple[str, str]]:
    """Header lines, as (label, text) pairs: profile, data, seeds, commit and so on.

    overrides: ``name=value`` of the changed settings; the header also explains the open readings of the paper that they
    decide. folders: of the runs, named where there are several. Facts that no record has are "not recorded".
    """
    done = [run for run in summary.runs if records.is_done(run)]
    lines = [("profile", one_line(summary.profile))]
    folders = [one_line(folder) for folder in folders]
    if len(folders) > 1:
        lines.append(("runs", "; ".join(folders)))
    overrides = tuple(overrides)
    if overridden := one_line(", ".join(overrides)):
        lines.append(("settings changed", overridden))
    for name in dict.fromkeys(override.partition("=")[0] for override in overrides):
        if reading := READINGS.get(name):
            lines.append((f"open reading {name}", f"{reading.question} {reading.options}"))
    for dataset in summary.datasets:
        texts = records.distinct(records.data_text(run) for run in done if run.cell.dataset == dataset)
        lines.append((f"data, {DATASETS[dataset].column}", "; ".join(texts) or "no finished run"))
    seeds = sorted({run.seed for run in summary.runs})
    changed = [
        f"{run.cell.id}/seed{run.seed} {text}" for run in done if (text := records.run_code_difference(run))
    ]
    if changed:
        lines.append(("WARNING, other code than at submission", abridged(changed, 3, "; ")))
    lines += [
        ("seeds", ", ".join(map(str, seeds)) or "none"),
        ("commit", _joined((records.commit(run, digits=10) for run in done), bool(done))),
        ("device and precision", _joined(map(records.device, done), bool(done))),
        ("dates of the runs", _dates(done) or _joined((), bool(done))),
    ]
    return lines


def notes(summary: TableSummary) -> list[str]:
    """Notes on how to read the numbers, and on the particularities of this table."""
    lines = [MEASURED, "gain: DCAL minus baseline, paired by seed", *metric_notes(summary)]
    lines += _backbones_without_glca(summary.key)
    lines += _unpublished_metrics(summary.key)
    lines += weights_note(summary.runs)
    if any(cell.difference is not None for cell in summary.cells.values()):
        lines.append(DIFFERENCE)
    # Gains in several metrics of one cell have the same note.
    gain_notes = (
        f"{gain.dataset}/{gain.backbone}: {gain.note}" for gain in summary.gains.values() if gain.note
    )
    lines += dict.fromkeys(gain_notes)
    lines += _verdict_notes(summary)
    if has_cub_photographs(summary):
        lines.append(CUB_IN_IMAGENET)
    return lines


def metric_notes(summary: TableSummary) -> list[str]:
    """Notes on the metrics of a table, and on the evaluation of Re-ID."""
    metrics = {base_metric(metric) for *_, metric in summary.cells}
    lines = []
    if "top1" in metrics:
        lines.append(
            "top-1 accuracy: share of test images classified correctly; for DCAL the class probabilities "
            "of SA and GLCA are added"
        )
    if metrics - {"top1"}:
        lines.append(
            "mAP and R1: mean average precision and Rank-1 over all queries; for DCAL the final class "
            "tokens of SA and GLCA are concatenated"
        )
        lines += _retrieval_notes(summary)
    return lines


def _backbones_without_glca(table: str) -> list[str]:
    rows = [BACKBONES[key] for key in TABLES[table].backbones if not BACKBONES[key].glca]
    return [
        f"{row.title}: as in the paper, DCAL is PWCA alone there; inference is the baseline's" for row in rows
    ]


def _unpublished_metrics(table: str) -> list[str]:
    lines = []
    for dataset in TABLES[table].datasets:
        published = paper.metrics(table, dataset)
        lines += [
            f"{DATASETS[dataset].column} {metric}: the paper gives none here"
            for metric in table_metrics(table, dataset)
            if metric not in published
        ]
    return lines


def _verdict_notes(summary: TableSummary) -> list[str]:
    """The headline; where a pair of runs is done, also the rules and the gains without an interval."""
    lines = [headline([summary]).text] if summary.gains else []
    gains = [gain for gain in summary.gains.values() if gain.measured.n]
    if gains:
        lines += [verdicts.INTERVAL_RULE, verdicts.P_RULE]
        scope = "" if summary.comparable else f"; {verdicts.HELPS_IN_THESE_RUNS}"
        lines.append(verdicts.HELPS_RULE + scope)
    if any(cell.difference is not None for cell in summary.cells.values()):
        lines.append(verdicts.REACHED_RULE)
    lacking: dict[str, list[GainSummary]] = {}
    for gain in gains:
        if gain.no_interval:
            lacking.setdefault(gain.no_interval.partition(":")[0], []).append(gain)
    for group in lacking.values():
        names = records.distinct(f"{gain.dataset}/{gain.backbone}" for gain in group)
        lines.append(f"no interval for {abridged(names)}: {one_line(group[0].no_interval)}")
    return lines


def _retrieval_notes(summary: TableSummary) -> list[str]:
    """Notes from the records: evaluation protocol, dataset versions, queries that cannot count, ties."""
    done = [run for run in summary.runs if records.is_done(run)]
    protocols = records.distinct(records.protocol(run) for run in done)
    lines = [f"evaluation: {protocol}" for protocol in protocols]
    for dataset in summary.datasets:
        dataset_runs = [run for run in done if run.cell.dataset == dataset]
        column = DATASETS[dataset].column
        versions = records.distinct(records.version(run) for run in dataset_runs)
        if versions:
            more = "; numbers of several versions must not be compared" if len(versions) > 1 else ""
            lines.append(f"{column}: version {' and '.join(versions)}{more}. {MSMT17_VERSIONS}")
        lines += [
            f"{column}: {text}"
            for text in records.distinct(map(records.unmatched_queries_text, dataset_runs))
        ]
        if ties := max(map(records.ties, dataset_runs), default=0):
            lines.append(
                f"{column}: up to {ties:,} right pictures a run at exactly the distance of a wrong one; "
                "gallery order decides there"
            )
    return lines


def has_cub_photographs(summary: TableSummary) -> bool:
    """Whether the table has a CUB number measured on photographs, not on generated pictures."""
    return any(key[0] == "cub" and set(cell.coverage) - {"generated"} for key, cell in summary.cells.items())


def _incomplete_datasets(summary: TableSummary) -> dict[str, list[str]]:
    datasets: dict[str, list[str]] = {}
    for run in summary.runs:
        if records.is_done(run) and records.coverage(run) != "full":
            datasets.setdefault(run.cell.dataset, []).append(records.data_text(run))
    return {key: records.distinct(texts) for key, texts in datasets.items()}


def _joined(texts: Iterable[str], any_done: bool) -> str:
    return "; ".join(records.distinct(texts)) or ("not recorded" if any_done else "no finished run")


def _dates(runs: Iterable[RunView]) -> str:
    texts = [
        str(records.section(run, "provenance").get(end) or "")[:10]
        for run in runs
        for end in ("started", "finished")
    ]
    days = sorted(text for text in texts if re.fullmatch(r"\d{4}-\d\d-\d\d", text))
    if not days:
        return ""
    return days[0] if days[0] == days[-1] else f"{days[0]} to {days[-1]}"


# --- Pretrained weights: tag and digest of the file, from the records ---


def weights_identity(run: RunView) -> tuple[str, str]:
    """Tag and short digest of a done run's weights; "" for what the record does not say."""
    weights = records.section(run, "weights")
    return one_line(weights.get("tag") or ""), short_digest(weights.get("sha256") or "")


def weights_note(runs: Iterable[RunView]) -> list[str]:
    """``pretrained weights: deit_tiny_patch16_224.fb_in1k (sha256 1a2b3c4d5e6f), …``; no line without a done run.

    A tag that runs loaded from different files is marked: their numbers differ by more than the method.
    """
    done = [weights_identity(run) for run in runs if records.is_done(run)]
    if not done:
        return []
    counts = Counter(pair for pair in done if all(pair))
    texts = []
    for tag in dict.fromkeys(tag for tag, _ in counts):
        digests = {digest: number for (other, digest), number in counts.items() if other == tag}
        if len(digests) == 1:
            texts.append(f"{tag} (sha256 {next(iter(digests))})")
            continue
        files = ", ".join(f"{digest} in {number}" for digest, number in digests.items())
        texts.append(f"{tag} (WARNING, different files in different runs: sha256 {files})")
    if lacking := len(done) - counts.total():
        texts.append(f"not recorded in {lacking} of {len(done)} runs")
    return [f"pretrained weights: {', '.join(texts)}"]
