"""How numbers and foreign text look in a table: one decimal, explicit signs, one line."""

from __future__ import annotations

MINUS = "−"
METRIC_WORDS = {"top1": "top-1"}


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
