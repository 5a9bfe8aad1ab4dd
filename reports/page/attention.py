"""Attention measure and heatmap rows of a pair as tables, from attention.json and heatmaps.json."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmark.records.run_folder import MAX_VALUE, read_json
from benchmark.records.status import RunView
from reports.heatmaps.pair_heatmaps import HEATMAPS
from reports.heatmaps.run_pairs import ATTENTION, missing_class_token
from reports.page import commands_to_run
from reports.page.html_table import HtmlCell, HtmlColumn, HtmlTable, number_cell, text_cell
from reports.page.inputs import Pair, ReportRequest
from tables.formats import MINUS, one_line

MAP_LABELS = {"baseline": "Baseline", "dcal": "+ DCAL (SA)", "glca": "GLCA"}


@dataclass(frozen=True)
class AttentionSection:
    """Section of a page about attention. table: None if nothing was measured; then notes say why.

    command: the command that measures it.
    """

    table: HtmlTable | None
    notes: tuple[str, ...]
    command: str = ""


def attention_section(request: ReportRequest, pair: Pair, runs: Sequence[RunView]) -> AttentionSection:
    """Show attention.json of the pair's figure folder, if it belongs to these runs."""
    if reason := missing_class_token(pair[1]):
        return AttentionSection(None, (f"No attention measure: {reason}",))
    path = request.figures(pair) / f"{ATTENTION}.json"
    command = commands_to_run.attention_command(request, pair)
    if not path.exists():
        return AttentionSection(None, ("Attention is not measured for these runs.",), command)
    record = read_json(path) or {}
    if not _same_runs(record.get("runs"), runs):
        return AttentionSection(None, ("Attention was measured of other runs than these.",), command)
    measures = _block(record, "measures")
    rows = tuple(_measure_row(measure) for measure in measures.values() if isinstance(measure, Mapping))
    if not rows:
        return AttentionSection(None, ("The record of the attention measure is damaged.",), command)
    columns = (
        HtmlColumn("Measure"),
        *(HtmlColumn(heading, "number", "Mean over the test pictures") for heading in MAP_LABELS.values()),
        HtmlColumn("DCAL − baseline", "number"),
        HtmlColumn("95 % interval", "number"),
    )
    pictures = record.get("pictures")
    caption = (
        f"Attention of the class token over {pictures if isinstance(pictures, int) else 'the'} test pictures"
    )
    return AttentionSection(
        HtmlTable("attention", caption, columns, rows, sortable=False), tuple(_notes(record))
    )


def _same_runs(identity: object, runs: Sequence[RunView]) -> bool:
    """Return whether the measured weights are those of a finished seed."""
    seeds: dict[int, dict[str, RunView]] = {}
    for run in runs:
        if run.result is not None:
            seeds.setdefault(run.seed, {})[run.cell.method] = run
    return any(
        identity
        == {
            "baseline": methods["baseline"].result["final_weights_sha256"],
            "dcal": methods["dcal"].result["final_weights_sha256"],
            "data": methods["dcal"].result["data"]["fingerprint"],
        }
        for methods in seeds.values()
        if len(methods) == 2
    )


def _measure_row(measure: Mapping[str, object]) -> tuple[HtmlCell, ...]:
    difference = _block(measure, "difference")
    low, high = (_finite(difference.get(end)) for end in ("low", "high"))
    interval = HtmlCell("") if low is None or high is None else HtmlCell(f"{_signed(low)} to {_signed(high)}")
    return (
        text_cell(measure.get("meaning", ""), "prose"),
        *(number_cell(_finite(measure.get(name)), _plain) for name in MAP_LABELS),
        number_cell(_finite(difference.get("mean")), _signed),
        interval,
    )


def _notes(record: Mapping[str, object]) -> list[str]:
    boxes, inside = _block(record, "boxes"), _block(_block(record, "measures"), "inside_box")
    layers = record.get("layers")
    texts = [
        record.get("title"),
        f"Blocks {layers[0]} to {layers[1]}." if isinstance(layers, list) and len(layers) == 2 else "",
        record.get("note"),
        f"Uniform attention would have {_plain(uniform)} inside the box."
        if (uniform := _finite(inside.get("uniform"))) is not None
        else "",
        boxes.get("scaling"),
    ]
    return [one_line(text, 600) for text in texts if text]


def _block(record: Mapping[str, object], name: str) -> Mapping[str, object]:
    """Return a nested object of a record; empty if it is missing or damaged."""
    value = record.get(name)
    return value if isinstance(value, Mapping) else {}


def _finite(value: object) -> float | None:
    """Return a recorded number; None for anything else."""
    valid = isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) <= MAX_VALUE
    return float(value) if valid else None


def _plain(value: float) -> str:
    return f"{value:.4g}".replace("-", MINUS)


def _signed(value: float) -> str:
    return f"{value:+.3g}".replace("-", MINUS)


# --- Rows of a heatmap figure as text, from heatmaps.json; its values are foreign text ---

RANKED_CAPTION = (
    "Ranked lists of the same queries: the first gallery pictures of each model; the colour of the frame tells whether "
    "they show the same identity."
)
_METHODS = {"baseline": "Baseline", "dcal": "+ DCAL"}


@dataclass(frozen=True)
class HeatmapRecord:
    """Record of a heatmap figure. files: names of the figure's files in the same folder."""

    caption: str
    files: tuple[str, ...]
    rows: tuple[Mapping[str, object], ...]


def read_heatmap_record(folder: Path) -> HeatmapRecord:
    """Read the record in a pair's figure folder; empty if it cannot be read."""
    record = read_json(folder / f"{HEATMAPS}.json") or {}
    rows, files = record.get("rows"), record.get("files")
    return HeatmapRecord(
        str(record.get("caption", "")),
        tuple(name for name in files if isinstance(name, str)) if isinstance(files, list) else (),
        tuple(row for row in rows if isinstance(row, dict)) if isinstance(rows, list) else (),
    )


def heatmap_table(record: HeatmapRecord) -> HtmlTable | None:
    """Show each picture, the rule that selected it, its true class, and each model's prediction; None without rows."""
    if not record.rows:
        return None
    columns = (
        HtmlColumn("Row"),
        HtmlColumn("Picture"),
        HtmlColumn("Selected by"),
        HtmlColumn("True"),
        *map(HtmlColumn, _METHODS.values()),
    )
    rows = tuple(_heatmap_row(row) for row in record.rows)
    return HtmlTable("heatmap-rows", "Rows of the heatmaps", columns, rows, sortable=False)


def _heatmap_row(row: Mapping[str, object]) -> tuple[HtmlCell, ...]:
    true = row.get("true")
    return (
        text_cell(row.get("letter", "")),
        text_cell(row.get("file", ""), "prose"),
        text_cell(row.get("rule", ""), "prose"),
        text_cell(_true_text(true) if isinstance(true, Mapping) else "", "prose"),
        *(
            text_cell(_prediction(facts) if isinstance(facts := row.get(name), Mapping) else "", "prose")
            for name in _METHODS
        ),
    )


def _true_text(true: Mapping[str, object]) -> str:
    if "class" in true:
        return str(true["class"])
    return ", ".join(f"{name} {value}" for name, value in true.items())


def _prediction(facts: Mapping[str, object]) -> str:
    """Format what a model predicts: class and confidence, or rank of the first true match."""
    correct = facts.get("correct")
    word = ("right" if correct else "wrong") if isinstance(correct, bool) else "no true match"
    if "predicted" in facts:
        return f"{word}: {facts['predicted']}, confidence {_share(facts.get('confidence'))}"
    if facts.get("first_hit") is None:
        return word
    return f"{word} at rank 1; first hit at rank {facts['first_hit']}, AP {_share(facts.get('ap'))}"


def _share(value: object) -> str:
    return f"{value:.2f}" if isinstance(value, float) else "not recorded"
