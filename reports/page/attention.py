"""The attention measure of a pair, from its attention.json, or the command that measures it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmark.records.run_folder import MAX_VALUE, read_json
from benchmark.records.status import RunView
from reports.heatmaps.run_pairs import no_class_token
from reports.heatmaps.test_images import NAME
from reports.page import commands_to_run
from reports.page.html_table import Column, Entry, Sheet, number, word
from reports.page.inputs import Asked, Pair
from tables.formats import MINUS, one_line

ATTENTION = "attention"  # as reports.heatmaps.attention_run has it, which loads torch
WHO = {"baseline": "Baseline", "dcal": "+ DCAL (SA)", "glca": "GLCA"}


@dataclass(frozen=True)
class Attention:
    """sheet: None where nothing was measured; then notes say why, and command what would measure it."""

    sheet: Sheet | None
    notes: tuple[str, ...]
    command: str = ""


def attention(asked: Asked, pair: Pair, runs: Sequence[RunView]) -> Attention:
    """What attention.json in the pair's figure folder says, if it is of these runs."""
    if reason := no_class_token(pair[1]):
        return Attention(None, (f"No attention measure: {reason}",))
    path = asked.figures(pair) / f"{ATTENTION}.json"
    command = commands_to_run.attention(asked, pair)
    if not path.exists():
        return Attention(None, ("Attention is not measured for these runs.",), command)
    record = read_json(path) or {}
    if not _of_these(record.get("runs"), runs):
        return Attention(None, ("Attention was measured of other runs than these.",), command)
    measures = _block(record, "measures")
    rows = tuple(_row(found) for found in measures.values() if isinstance(found, Mapping))
    if not rows:
        return Attention(None, ("The record of the attention measure is damaged.",), command)
    columns = (
        Column("Measure"),
        *(Column(heading, "number", "Mean over the test pictures") for heading in WHO.values()),
        Column("DCAL − baseline", "number"),
        Column("95 % interval", "number"),
    )
    pictures = record.get("pictures")
    caption = (
        f"Attention of the class token over {pictures if isinstance(pictures, int) else 'the'} test pictures"
    )
    return Attention(Sheet("attention", caption, columns, rows, sortable=False), tuple(_notes(record)))


def _of_these(found: object, runs: Sequence[RunView]) -> bool:
    """Whether the measured weights are those of a finished seed."""
    by_seed: dict[int, dict[str, RunView]] = {}
    for run in runs:
        if run.result is not None:
            by_seed.setdefault(run.seed, {})[run.cell.method] = run
    return any(
        found
        == {
            "baseline": methods["baseline"].result["final_weights_sha256"],
            "dcal": methods["dcal"].result["final_weights_sha256"],
            "data": methods["dcal"].result["data"]["fingerprint"],
        }
        for methods in by_seed.values()
        if len(methods) == 2
    )


def _row(found: Mapping[str, object]) -> tuple[Entry, ...]:
    gap = _block(found, "difference")
    low, high = (_finite(gap.get(end)) for end in ("low", "high"))
    interval = Entry("") if low is None or high is None else Entry(f"{_signed(low)} to {_signed(high)}")
    return (
        word(found.get("meaning", ""), "prose"),
        *(number(_finite(found.get(who)), _plain) for who in WHO),
        number(_finite(gap.get("mean")), _signed),
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


def _block(found: Mapping[str, object], name: str) -> Mapping[str, object]:
    value = found.get(name)
    return value if isinstance(value, Mapping) else {}


def _finite(value: object) -> float | None:
    fits = isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) <= MAX_VALUE
    return float(value) if fits else None


def _plain(value: float) -> str:
    return f"{value:.4g}".replace("-", MINUS)


def _signed(value: float) -> str:
    return f"{value:+.3g}".replace("-", MINUS)


# --- What a heatmap figure shows, as text, from its heatmaps.json; its values are foreign until they are escaped ---

RANKED_CAPTION = (
    "Ranked lists of the same queries: the first pictures of the gallery by each model, framed by whether they show "
    "the same identity."
)
_WHO = {"baseline": "Baseline", "dcal": "+ DCAL"}


@dataclass(frozen=True)
class Record:
    """files: names of the figure's files beside the record."""

    caption: str
    files: tuple[str, ...]
    rows: tuple[Mapping[str, object], ...]


def read(folder: Path) -> Record:
    """The record in a pair's figure folder; an empty one where it is not readable."""
    found = read_json(folder / f"{NAME}.json") or {}
    rows, files = found.get("rows"), found.get("files")
    return Record(
        str(found.get("caption", "")),
        tuple(name for name in files if isinstance(name, str)) if isinstance(files, list) else (),
        tuple(row for row in rows if isinstance(row, dict)) if isinstance(rows, list) else (),
    )


def sheet(record: Record) -> Sheet | None:
    """One row a picture: which, why it was picked, what it shows, and what each model says; None without rows."""
    if not record.rows:
        return None
    columns = (
        Column("Row"),
        Column("Picture"),
        Column("Picked because"),
        Column("True"),
        *map(Column, _WHO.values()),
    )
    rows = tuple(_heatmap_row(row) for row in record.rows)
    return Sheet("heatmap-rows", "What the rows show", columns, rows, sortable=False)


def _heatmap_row(row: Mapping[str, object]) -> tuple[Entry, ...]:
    true = row.get("true")
    return (
        word(row.get("letter", "")),
        word(row.get("file", ""), "prose"),
        word(row.get("rule", ""), "prose"),
        word(_true(true) if isinstance(true, Mapping) else "", "prose"),
        *(word(_said(said) if isinstance(said := row.get(who), Mapping) else "", "prose") for who in _WHO),
    )


def _true(true: Mapping[str, object]) -> str:
    if "class" in true:
        return str(true["class"])
    return ", ".join(f"{name} {value}" for name, value in true.items())


def _said(said: Mapping[str, object]) -> str:
    found = said.get("correct")
    correct = ("right" if found else "wrong") if isinstance(found, bool) else "nothing to find"
    if "predicted" in said:
        return f"{correct}: {said['predicted']}, confidence {_share(said.get('confidence'))}"
    if said.get("first_hit") is None:
        return correct
    return f"{correct} at rank 1; first hit at rank {said['first_hit']}, AP {_share(said.get('ap'))}"


def _share(value: object) -> str:
    return f"{value:.2f}" if isinstance(value, float) else "not recorded"
