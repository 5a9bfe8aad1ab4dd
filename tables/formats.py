"""How numbers and foreign text look in a table: one decimal, explicit signs, one line."""

from __future__ import annotations

MINUS = "−"
METHOD_NAMES = {"baseline": "baseline", "dcal": "DCAL"}
SHORT = 12  # characters of a digest that tell it from others


def metric_word(metric: str) -> str:
    """A metric's name in a heading: ``top-1`` for ``top1``, others as they are."""
    return "top-1" if metric == "top1" else metric


def short_digest(digest: object) -> str:
    """The first characters of a digest, as tables show it."""
    return one_line(digest)[:SHORT]


def percent(value: float) -> str:
    """``84.6``: the paper's precision."""
    return f"{value:.1f}".replace("-", MINUS)


def signed(value: float) -> str:
    """``+2.5`` or ``−0.3``; what rounds to zero is ``0.0``, without a sign that means nothing."""
    text = f"{value:+.1f}"
    return "0.0" if text in ("+0.0", "-0.0") else text.replace("-", MINUS)


def with_spread(mean: str, std: float | None) -> str:
    """``84.6 ± 0.2``, or the mean alone where one seed gives no spread."""
    return mean if std is None else f"{mean} ± {std:.1f}"


def p_value(p: float) -> str:
    """``0.031``, and ``<0.001`` for what would print as nothing."""
    return "<0.001" if p < 0.001 else f"{p:.3f}"


def one_line(text: object, limit: int | None = None) -> str:
    """Text on one line, without control characters, cut to ``limit`` characters with an ellipsis."""
    printable = "".join(letter if letter.isprintable() else " " for letter in str(text))
    line = " ".join(printable.split())
    if limit is not None and len(line) > limit:
        return line[: limit - 1].rstrip() + "…"
    return line
