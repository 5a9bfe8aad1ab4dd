"""What a table reads of a run. Every field of a record beyond its metrics may be absent."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from benchmark.config.grid import Cell
from benchmark.records.provenance import code_difference
from tables.formats import one_line

if TYPE_CHECKING:
    import numpy as np


class RunView(Protocol):
    """One run as the tables see it; ``benchmark.records.status.collect`` returns such objects.

    state: missing, no-data, no-weights, queued, running, preempted, failed, damaged, stale or done.
    result: the record of a done run, else None. predictions: what it found for each test image or query, read when an
    array is asked for; then it raises RunError for a missing or torn file and KeyError for an array it lacks.
    """

    @property
    def cell(self) -> Cell: ...

    @property
    def seed(self) -> int: ...

    @property
    def state(self) -> str: ...

    @property
    def reason(self) -> str: ...

    @property
    def result(self) -> dict[str, Any] | None: ...

    @property
    def predictions(self) -> Mapping[str, np.ndarray] | None: ...


def is_done(run: RunView) -> bool:
    return run.state == "done" and isinstance(run.result, Mapping)


def section(run: RunView, name: str) -> Mapping[str, Any]:
    """A block of the record, e.g. ``data``; empty where the record has none."""
    value = (run.result or {}).get(name)
    return value if isinstance(value, Mapping) else {}


def metric(run: RunView, name: str) -> float | None:
    """A metric in percent; None where it is absent or not a finite number."""
    value = section(run, "metrics").get(name) if is_done(run) else None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        return None
    return float(value)


def coverage(run: RunView) -> str:
    """``full``, ``subset`` or ``generated``; ``unknown`` in records that do not say."""
    return one_line(section(run, "data").get("coverage") or "unknown")


def data_text(run: RunView) -> str:
    """The data in words, e.g. ``subset: 25 of 200 classes``."""
    found = coverage(run)
    return one_line(section(run, "data").get("text") or ("not recorded" if found == "unknown" else found))


def fingerprint(run: RunView) -> str:
    """What tells the data apart from other data; "" if not recorded."""
    return one_line(section(run, "data").get("fingerprint") or "")


def protocol(run: RunView) -> str:
    """How a Re-ID number was evaluated; "" if not recorded."""
    return one_line(section(run, "data").get("protocol") or "")


def version(run: RunView) -> str:
    """The version of a dataset that has several, e.g. ``V2``; "" if it has one or none is recorded."""
    return one_line(section(run, "data").get("version") or "")


def unanswered(run: RunView) -> str:
    """``3 of 80 queries have …`` where a Re-ID run could not count all of its queries, else ""."""
    left_out, queries = (_count(run, name) for name in ("queries_without_match", "queries"))
    if not left_out:
        return ""
    return f"{left_out:,} of {queries:,} queries have no right picture under another camera and are left out"


def ties(run: RunView) -> int:
    """How many right pictures lie at exactly the distance of a wrong one, over all queries."""
    return _count(run, "ties")


def _count(run: RunView, name: str) -> int:
    value = section(run, "evaluation").get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


def config_hash(run: RunView) -> str:
    return one_line((run.result or {}).get("config_hash") or "")


def commit(run: RunView, digits: int | None = None) -> str:
    """The commit of the code, ``-dirty`` appended where the tree had changes, ``-changes-unknown`` where the record
    says that it is not known; "" if not recorded.
    """
    found = section(run, "provenance")
    sha = one_line(found.get("commit") or "", 100)[:digits]
    if sha in ("", "unknown"):
        return sha
    ending = (
        "-changes-unknown" if found.get("dirty", False) is None else "-dirty" if found.get("dirty") else ""
    )
    return sha + ending


def changed_code(run: RunView) -> str:
    """How the code that ran differs from the code that was submitted to a cluster, or ""."""
    started = section(run, "provenance")
    submitted = started.get("submitted")
    return one_line(code_difference(submitted, started)) if isinstance(submitted, Mapping) else ""


def device(run: RunView) -> str:
    """``NVIDIA A100, bfloat16, 4 processes``; "" if not recorded."""
    found = section(run, "device")
    parts = [found.get("name") or found.get("type"), found.get("precision")]
    size = found.get("world_size")
    if isinstance(size, int) and size > 1:
        parts.append(f"{size} processes")
    return one_line(", ".join(str(part) for part in parts if part))


def seeds_text(seeds: Iterable[int]) -> str:
    """``seed 1`` or ``seeds 0, 2``."""
    numbers = sorted(seeds)
    return f"seed{'s' if len(numbers) > 1 else ''} {', '.join(map(str, numbers))}"


def distinct(texts: Iterable[str]) -> list[str]:
    """The non-empty texts, each once, in order of appearance."""
    return list(dict.fromkeys(text for text in texts if text))
