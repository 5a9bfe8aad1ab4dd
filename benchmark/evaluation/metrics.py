"""Classification accuracy from per-image predictions."""

from __future__ import annotations

import numpy as np


def accuracy(correct: np.ndarray) -> float:
    """Share of True over the whole test set, in percent, from exact counts. correct: (n,) bool."""
    if correct.size == 0:
        raise ValueError("accuracy of no images is undefined")
    return 100.0 * int(np.count_nonzero(correct)) / correct.size
