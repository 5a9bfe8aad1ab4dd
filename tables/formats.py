"""Format of numbers and foreign text in a table: one decimal, explicit signs, one line."""

from __future__ import annotations

MINUS = "−"
METHOD_NAMES = {"baseline": "baseline", "dcal": "DCAL"}
DIGEST_LENGTH = 12  # characters of a digest, enough to distinguish files by eye


def metric_word(metric: str) -> str:
    """Name of a metric in a heading: ``top-1`` for ``top1``, others unchanged."""
    return "top-1" if metric == "top1" else metric


def short_digest(digest: str) -> str:
    """The first characters of a digest, as tables show it."""
    return one_line(digest)[:DIGEST_LENGTH]


def percent(value: float) -> str:
    """``84.6``: the paper's precision."""
    return f"{value:.1f}".replace("-", MINUS)


def signed(value: float) -> str:
    """``+2.5`` or ``−0.3``; ``0.0`` without a sign for a value that rounds to zero."""
    text = f"{value:+.1f}"
    return "0.0" if text in ("+0.0", "-0.0") else text.replace("-", MINUS)


def mean_and_std(mean: str, std: float | None) -> str:
    """``84.6 ± 0.2``, or the mean alone where there is no standard deviation (one seed)."""
    return mean if std is None else f"{mean} ± {std:.1f}"


def p_value(p: float) -> str:
    """``0.031``, and ``<0.001`` for a value that would print as 0.000."""
    return "<0.001" if p < 0.001 else f"{p:.3f}"


def one_line(text: object, limit: int | None = None) -> str:
    """Text on one line, without control characters, cut to ``limit`` characters with an ellipsis."""
    printable = "".join(letter if letter.isprintable() else " " for letter in str(text))
    line = " ".join(printable.split())
    if limit is not None and len(line) > limit:
        return line[: limit - 1].rstrip() + "…"
    return line
