"""Which pretrained weights a table's numbers began with: tag and digest of the file, from the records."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from tables import records
from tables.formats import one_line
from tables.records import RunView

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
