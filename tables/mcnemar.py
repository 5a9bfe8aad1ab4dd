"""Whether two methods answer the same yes/no questions equally often: McNemar's test, exact (no torch).

McNemar, *Psychometrika* 12 (1947). Only the images that one method gets right and the other wrong tell them apart;
if neither is better, each such image is a fair coin.
"""

from __future__ import annotations

import numpy as np


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
