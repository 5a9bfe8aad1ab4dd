"""Confidence interval of a mean over test images (paired percentile bootstrap), and McNemar's exact test.

Bootstrap: Efron and Tibshirani, *An Introduction to the Bootstrap* (1993), chapter 13. The images are drawn again with
replacement, many times; the interval contains the middle 95 % of the means.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np

LEVEL = 95  # percent
# With 4,000 repeats, chance moves a limit by 4 % of the mean's standard error: by 0.015 points where that error is
# 0.35, and a table shows 0.1. Half of it would take four times the repeats: seconds instead of one for Table 2 with
# three seeds.
REPEATS = 4000
_BATCH_INDICES = 1 << 17  # drawn together: 1 MiB, which stays in a core's cache


@dataclass(frozen=True)
class Interval:
    """Limits in points (percent of the test images or queries)."""

    low: float
    high: float


def mean_interval(differences: np.ndarray, comparison: str) -> Interval:
    """Bootstrap interval of the mean of ``differences``, in their unit.

    differences: (n,), one for each test image.
    comparison: name of the comparison; it alone seeds the random numbers.

    Whole numbers, which yes/no outcomes give, are drawn by level: the count of each value in a sample is multinomial,
    so the means have exactly the distribution of drawing image by image, in a fraction of the time. Raises ValueError
    for another shape, and for no images.
    """
    if differences.ndim != 1 or not differences.size:
        raise ValueError(f"differences have shape {differences.shape}: expected (n,) with n of at least 1")
    random = np.random.default_rng(zlib.crc32(comparison.encode("utf-8")))
    draw = means_by_level if np.issubdtype(differences.dtype, np.integer) else means_by_image
    outside = (100 - LEVEL) / 200
    low, high = np.quantile(draw(differences, random), [outside, 1 - outside])
    return Interval(float(low), float(high))


def means_by_level(differences: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """(REPEATS,) means of samples of ``differences`` (n,), drawn as counts of each distinct value."""
    levels, counts = np.unique(differences, return_counts=True)
    samples = random.multinomial(counts.sum(), counts / counts.sum(), size=REPEATS)
    return samples @ levels / differences.size


def means_by_image(differences: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """(REPEATS,) means of samples of ``differences`` (n,), drawn image by image."""
    means = np.empty(REPEATS)
    rows = max(1, _BATCH_INDICES // differences.size)
    for start in range(0, REPEATS, rows):
        count = min(rows, REPEATS - start)
        indices = random.integers(0, differences.size, size=(count, differences.size))
        # All indices are valid: "clip" only avoids the check.
        means[start : start + count] = differences.take(indices, mode="clip").mean(axis=1)
    return means


# --- McNemar's exact test: whether two methods are right equally often ---


def mcnemar_p(before: np.ndarray, after: np.ndarray) -> float:
    """Two-sided p of two (n,) bool arrays, right or not for the same images; 1.0 where they never differ."""
    gained = int(np.count_nonzero(after & ~before))
    lost = int(np.count_nonzero(before & ~after))
    return fair_coin_p(min(gained, lost), gained + lost)


def fair_coin_p(fewer: int, tosses: int) -> float:
    """Probability that ``tosses`` fair coins fall at least as unevenly as ``fewer`` on one side.

    All steps are in whole numbers of any size, with one division at the end: nothing overflows or loses digits.
    """
    if 2 * fewer >= tosses:
        return 1.0
    ways = total = 1
    for heads in range(fewer):
        ways = ways * (tosses - heads) // (heads + 1)
        total += ways
    # Both tails: 2 · total / 2^tosses. The two tails cannot overlap here.
    return total / (1 << (tosses - 1))
