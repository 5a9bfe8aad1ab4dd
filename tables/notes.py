"""The words around the numbers: the warning on top, the header block, the notes below."""

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
from tables import records, verdicts
from tables.formats import one_line
from tables.gains import GainSummary
from tables.headline import headline
from tables.paired import plain
from tables.records import RunView
from tables.states import TableSummary, shown_metrics

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
    """The table's title and what its numbers are, e.g. ``… — top-1 accuracy in %``."""
    words = {"top1": "top-1 accuracy"}
    names = records.distinct(
        words.get(metric, metric)
        for dataset in TABLES[table].datasets
        for metric in shown_metrics(table, dataset)
    )
    *first, last = names
    return f"{TABLES[table].title} — {' and '.join(filter(None, (', '.join(first), last)))} in %"


def warning(summary: TableSummary, overrides: Iterable[str] = ()) -> str:
    """Why the numbers, or some of them, must not be compared with the paper's; "" where they may be."""
    last = f" {CUB_IN_IMAGENET}." if shows_real_cub(summary) else ""
    changed = one_line(", ".join(overrides))
    if not summary.comparable:
        why = NOT_COMPARABLE.get(
            summary.profile,
            f"the paper's recipe was changed ({changed})"
            if changed
            else f"profile {one_line(summary.profile)} is not the paper's recipe",
        )
        return f"These numbers are NOT comparable with the paper's: {why}.{last}"
    parts = []
    incomplete = _incomplete_datasets(summary)
    if incomplete:
        named = "; ".join(f"{DATASETS[key].column}: {', '.join(texts)}" for key, texts in incomplete.items())
        parts.append(
            "Some of these numbers are NOT comparable with the paper's, because they were not measured "
            f"on the full data ({named})."
        )
    if changed:
        parts.append(f"Another reading of the paper's recipe than the default: {changed}.")
    return " ".join(parts) + (last if parts else "")


def header(
    summary: TableSummary, overrides: Iterable[str] = (), folders: Iterable[str] = ()
) -> list[tuple[str, str]]:
    """What was measured with what: (label, text) pairs. Facts that no record states read "not recorded".

    overrides: ``name=value`` of the settings changed; of one that decides an open reading of the paper, the reading.
    folders: of the runs, named where there are several.
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
    changed = [f"{run.cell.id}/seed{run.seed} {text}" for run in done if (text := records.changed_code(run))]
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
    """How to read the numbers, and what is special about this table's."""
    lines = [MEASURED, "gain: DCAL minus baseline, paired by seed", *of_metrics(summary)]
    lines += _without_glca(summary.key)
    lines += _unpublished(summary.key)
    lines += weights_note(summary.runs)
    if any(cell.difference is not None for cell in summary.cells.values()):
        lines.append(DIFFERENCE)
    lines += [f"{gain.dataset}/{gain.backbone}: {gain.note}" for gain in _unequal(summary)]
    lines += _verdicts(summary)
    if shows_real_cub(summary):
        lines.append(CUB_IN_IMAGENET)
    return lines


def of_metrics(summary: TableSummary) -> list[str]:
    """What the metrics of a table are, and how Re-ID was evaluated."""
    metrics = {plain(metric) for *_, metric in summary.cells}
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
        lines += _retrieval(summary)
    return lines


def _without_glca(table: str) -> list[str]:
    rows = [BACKBONES[key] for key in TABLES[table].backbones if not BACKBONES[key].glca]
    return [
        f"{row.title}: as in the paper, DCAL is PWCA alone there; inference is the baseline's" for row in rows
    ]


def _unpublished(table: str) -> list[str]:
    lines = []
    for dataset in TABLES[table].datasets:
        given = paper.metrics(table, dataset)
        lacking = [metric for metric in shown_metrics(table, dataset) if metric not in given]
        lines += [f"{DATASETS[dataset].column} {metric}: the paper gives none here" for metric in lacking]
    return lines


def _verdicts(summary: TableSummary) -> list[str]:
    """The counts, and where a pair is done the rules and what they could not be applied to."""
    lines = [headline([summary]).text] if summary.gains else []
    gains = [gain for gain in summary.gains.values() if gain.measured.n]
    if gains:
        lines += [verdicts.INTERVAL_RULE, verdicts.P_RULE]
        apart = "" if summary.comparable else f"; {verdicts.HELPS_IN_THESE_RUNS}"
        lines.append(verdicts.HELPS_RULE + apart)
    if any(cell.difference is not None for cell in summary.cells.values()):
        lines.append(verdicts.REACHED_RULE)
    lacking: dict[str, list[GainSummary]] = {}
    for gain in gains:
        if gain.no_interval:
            lacking.setdefault(gain.no_interval.partition(":")[0], []).append(gain)
    for found in lacking.values():
        names = records.distinct(f"{gain.dataset}/{gain.backbone}" for gain in found)
        lines.append(f"no interval for {abridged(names)}: {one_line(found[0].no_interval)}")
    return lines


def _retrieval(summary: TableSummary) -> list[str]:
    """What the records say of the evaluation protocol, of dataset versions, and of queries that cannot count."""
    done = [run for run in summary.runs if records.is_done(run)]
    protocols = records.distinct(records.protocol(run) for run in done)
    lines = [f"evaluation: {protocol}" for protocol in protocols]
    for dataset in summary.datasets:
        own = [run for run in done if run.cell.dataset == dataset]
        column = DATASETS[dataset].column
        versions = records.distinct(records.version(run) for run in own)
        if versions:
            more = "; numbers of several versions must not be compared" if len(versions) > 1 else ""
            lines.append(f"{column}: version {' and '.join(versions)}{more}. {MSMT17_VERSIONS}")
        lines += [f"{column}: {text}" for text in records.distinct(map(records.unanswered, own))]
        if tied := max(map(records.ties, own), default=0):
            lines.append(
                f"{column}: up to {tied:,} right pictures a run at exactly the distance of a wrong one; "
                "gallery order decides there"
            )
    return lines


def shows_real_cub(summary: TableSummary) -> bool:
    """Whether the table holds a CUB number measured on photographs, not on generated pictures."""
    return any(key[0] == "cub" and set(cell.coverage) - {"generated"} for key, cell in summary.cells.items())


def _incomplete_datasets(summary: TableSummary) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for run in summary.runs:
        if records.is_done(run) and records.coverage(run) != "full":
            found.setdefault(run.cell.dataset, []).append(records.data_text(run))
    return {key: records.distinct(texts) for key, texts in found.items()}


def _unequal(summary: TableSummary) -> list[GainSummary]:
    seen = {(gain.dataset, gain.backbone, gain.note): gain for gain in summary.gains.values() if gain.note}
    return list(seen.values())


def _joined(texts: Iterable[str], any_done: bool) -> str:
    return "; ".join(records.distinct(texts)) or ("not recorded" if any_done else "no finished run")


def _dates(runs: Iterable[records.RunView]) -> str:
    texts = [
        str(records.section(run, "provenance").get(end) or "")[:10]
        for run in runs
        for end in ("started", "finished")
    ]
    days = sorted(text for text in texts if re.fullmatch(r"\d{4}-\d\d-\d\d", text))
    if not days:
        return ""
    return days[0] if days[0] == days[-1] else f"{days[0]} to {days[-1]}"


# --- Which pretrained weights a table's numbers began with: tag and digest of the file, from the records ---

DIGITS = 12  # of a SHA-256, enough to tell files apart by eye


def weights_of(run: RunView) -> tuple[str, str]:
    """A done run's (tag, digest), the digest cut to 12 digits; empty where the record does not say."""
    found = records.section(run, "weights")
    return one_line(found.get("tag") or ""), one_line(found.get("sha256") or "")[:DIGITS]


def weights_note(runs: Iterable[RunView]) -> list[str]:
    """``pretrained weights: deit_tiny_patch16_224.fb_in1k (sha256 1a2b3c4d5e6f), …``; no line without a done run.

    A tag that different runs loaded from different files is marked: their numbers differ by more than the method.
    """
    done = [weights_of(run) for run in runs if records.is_done(run)]
    if not done:
        return []
    counts = Counter(pair for pair in done if all(pair))
    texts = []
    for tag in dict.fromkeys(tag for tag, _ in counts):
        digests = {digest: number for (named, digest), number in counts.items() if named == tag}
        if len(digests) == 1:
            texts.append(f"{tag} (sha256 {next(iter(digests))})")
            continue
        told = ", ".join(f"{digest} in {number}" for digest, number in digests.items())
        texts.append(f"{tag} (WARNING, different files in different runs: sha256 {told})")
    if lacking := len(done) - counts.total():
        texts.append(f"not recorded in {lacking} of {len(done)} runs")
    return [f"pretrained weights: {', '.join(texts)}"]
