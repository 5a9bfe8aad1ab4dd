"""What a heatmap figure shows, as text, from its heatmaps.json; its values are foreign until they are escaped."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmark.records.run_folder import read_json
from reports.heatmaps.test_images import NAME
from reports.page.html_table import Column, Entry, Sheet, word

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
    rows = tuple(_row(row) for row in record.rows)
    return Sheet("heatmap-rows", "What the rows show", columns, rows, sortable=False)


def _row(row: Mapping[str, object]) -> tuple[Entry, ...]:
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
