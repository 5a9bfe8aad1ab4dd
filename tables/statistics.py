"""How sure a mean over test images is: the paired percentile bootstrap (no torch).

Efron and Tibshirani, *An Introduction to the Bootstrap* (1993), chapter 13: the images are drawn anew with replacement,
the mean is taken each time, and the interval is what holds the middle 95 % of those means.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np

LEVEL = 95  # percent
# Chance then moves a limit by 4 % of the mean's standard error (std): 0.015 points where that error is 0.35, and a
# table shows 0.1. Half of that would take four times the repeats, and Table 2 with three seeds seconds instead of one.
REPEATS = 4000
_AT_ONCE = 1 << 17  # places drawn together: 1 MiB, which stays in a core's cache


@dataclass(frozen=True)
class Interval:
    """Both limits in points (percent of the test images or queries)."""

    low: float
    high: float


def mean_interval(differences: np.ndarray, compared: str) -> Interval:
    """The interval of the mean of ``differences`` (n,), one a test image, in the unit they come in.

    Whole numbers, as yes/no outcomes give them, are drawn by level: how often each value turns up in a sample is
    multinomial, so the means have exactly the distribution that drawing image by image gives them, in a fraction of
    the time. compared: names what is compared; it alone sets the random numbers. Raises ValueError for no images.
    """
    if differences.ndim != 1 or not differences.size:
        raise ValueError(f"differences have shape {differences.shape}: expected (n,) with n of at least 1")
    random = np.random.default_rng(zlib.crc32(compared.encode("utf-8")))
    draw = means_by_level if np.issubdtype(differences.dtype, np.integer) else means_by_image
    outside = (100 - LEVEL) / 200
    low, high = np.quantile(draw(differences, random), [outside, 1 - outside])
    return Interval(float(low), float(high))


def means_by_level(differences: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """(REPEATS,) means of samples of ``differences`` (n,), by how often each distinct value is drawn."""
    levels, counts = np.unique(differences, return_counts=True)
    drawn = random.multinomial(counts.sum(), counts / counts.sum(), size=REPEATS)
    return drawn @ levels / differences.size


def means_by_image(differences: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """(REPEATS,) means of samples of ``differences`` (n,), image by image."""
    means = np.empty(REPEATS)
    rows = max(1, _AT_ONCE // differences.size)
    for start in range(0, REPEATS, rows):
        count = min(rows, REPEATS - start)
        places = random.integers(0, differences.size, size=(count, differences.size))
        # The places are all valid: "clip" only spares the check.
        means[start : start + count] = differences.take(places, mode="clip").mean(axis=1)
    return means


# --- Whether two methods answer the same yes/no questions equally often: McNemar's test, exact ---


def exact_p(before: np.ndarray, after: np.ndarray) -> float:
    """The two-sided p of two (n,) bool arrays of right answers to the same questions; 1.0 where they never differ."""
    gained = int(np.count_nonzero(after & ~before))
    lost = int(np.count_nonzero(before & ~after))
    return fair_coin_p(min(gained, lost), gained + lost)


def fair_coin_p(fewer: int, tosses: int) -> float:
    """How likely ``tosses`` fair coins fall at least as unevenly as ``fewer`` on one side.

    Whole numbers of any size throughout, and one division at the end: nothing overflows or loses digits.
    """
    if 2 * fewer >= tosses:
        return 1.0
    ways = total = 1
    for heads in range(fewer):
        ways = ways * (tosses - heads) // (heads + 1)
        total += ways
    # Both tails: 2 · total / 2^tosses. The two tails cannot overlap here.
    return total / (1 << (tosses - 1))
