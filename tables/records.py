"""Fields of a run's record that the tables show. Every field but the metrics may be absent."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from benchmark.records.provenance import code_difference
from benchmark.records.status import RunView
from tables.formats import one_line


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
    return _data_field(run, "coverage") or "unknown"


def data_text(run: RunView) -> str:
    """The data in words, e.g. ``subset: 25 of 200 classes``."""
    kind = coverage(run)
    return _data_field(run, "text") or ("not recorded" if kind == "unknown" else kind)


def fingerprint(run: RunView) -> str:
    """Fingerprint of the data; "" if not recorded."""
    return _data_field(run, "fingerprint")


def protocol(run: RunView) -> str:
    """Evaluation protocol of a Re-ID run; "" if not recorded."""
    return _data_field(run, "protocol")


def version(run: RunView) -> str:
    """Version of a dataset that has several, e.g. ``V2``; "" if it has one or none is recorded."""
    return _data_field(run, "version")


def _data_field(run: RunView, name: str) -> str:
    return one_line(section(run, "data").get(name) or "")


def unmatched_queries_text(run: RunView) -> str:
    """``3 of 80 queries have …`` for a Re-ID run with queries that cannot count, else ""."""
    unmatched, queries = (_count(run, name) for name in ("queries_without_match", "queries"))
    if not unmatched:
        return ""
    return f"{unmatched:,} of {queries:,} queries have no right picture under another camera and are left out"


def ties(run: RunView) -> int:
    """Number of right images at exactly the distance of a wrong one, over all queries."""
    return _count(run, "ties")


def _count(run: RunView, name: str) -> int:
    value = section(run, "evaluation").get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


def config_hash(run: RunView) -> str:
    return one_line((run.result or {}).get("config_hash") or "")


def commit(run: RunView, digits: int | None = None) -> str:
    """Commit of the code; "" if not recorded.

    It ends with ``-dirty`` where the tree had changes, with ``-changes-unknown`` where the record says that this is not
    known. digits: length of the hash, None for all of it.
    """
    provenance = section(run, "provenance")
    sha = one_line(provenance.get("commit") or "", 100)[:digits]
    if sha in ("", "unknown"):
        return sha
    dirty = provenance.get("dirty", False)
    return sha + ("-changes-unknown" if dirty is None else "-dirty" if dirty else "")


def run_code_difference(run: RunView) -> str:
    """Difference between the code that ran and the code that was submitted to a cluster; "" for none."""
    started = section(run, "provenance")
    submitted = started.get("submitted")
    return one_line(code_difference(submitted, started)) if isinstance(submitted, Mapping) else ""


def device(run: RunView) -> str:
    """``NVIDIA A100, bfloat16, 4 processes``; "" if not recorded."""
    fields = section(run, "device")
    parts = [fields.get("name") or fields.get("type"), fields.get("precision")]
    size = fields.get("world_size")
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
