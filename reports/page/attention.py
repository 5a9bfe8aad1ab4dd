"""The attention measure of a pair, from its attention.json, or the command that measures it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from benchmark.records.run_folder import LARGEST, read_json
from benchmark.records.status import RunView
from reports.heatmaps.run_pairs import no_class_token
from reports.page import commands_to_run
from reports.page.html_table import Column, Entry, Sheet, number, word
from reports.page.inputs import Asked, Pair
from tables.formats import MINUS, one_line

NAME = "attention"  # as reports.heatmaps.attention_run has it, which loads torch
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
    path = asked.figures(pair) / f"{NAME}.json"
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
    fits = isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) <= LARGEST
    return float(value) if fits else None


def _plain(value: float) -> str:
    return f"{value:.4g}".replace("-", MINUS)


def _signed(value: float) -> str:
    return f"{value:+.3g}".replace("-", MINUS)
