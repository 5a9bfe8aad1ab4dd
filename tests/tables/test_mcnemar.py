"""McNemar's p against scipy's binomial test and against the binomial sum written out."""

from fractions import Fraction
from math import comb

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from tables.statistics import fair_coin_p, mcnemar_p


def written_out(fewer, tosses):
    """P(at most ``fewer`` heads) + P(at least ``tosses − fewer``), term by term, without rounding."""
    low = sum(comb(tosses, heads) for heads in range(fewer + 1))
    high = sum(comb(tosses, heads) for heads in range(tosses - fewer, tosses + 1))
    return float(min(Fraction(1), Fraction(low + high, 2**tosses)))


@pytest.mark.parametrize("tosses", range(1, 41))
def test_p_is_the_sum_of_both_tails(tosses):
    for fewer in range(tosses // 2 + 1):
        assert fair_coin_p(fewer, tosses) == written_out(fewer, tosses)


@pytest.mark.parametrize(
    ("gained", "lost"), [(10, 2), (200, 180), (464, 400), (3000, 2900), (5000, 5200), (6000, 4000)]
)
def test_p_is_scipys_for_thousands_of_images(gained, lost):
    expected = scipy.stats.binomtest(gained, gained + lost).pvalue
    assert fair_coin_p(min(gained, lost), gained + lost) == pytest.approx(expected, rel=1e-9)


def test_nothing_overflows():
    assert fair_coin_p(0, 20_000) == 0.0  # 2^−19999 is below every float
    assert fair_coin_p(10_000, 20_000) == 1.0


@given(st.lists(st.tuples(st.booleans(), st.booleans()), max_size=60))
def test_only_images_that_one_method_gets_right_count(answers):
    before, after = (np.array([pair[place] for pair in answers], dtype=bool) for place in (0, 1))
    gained = sum(b < a for b, a in answers)
    lost = sum(b > a for b, a in answers)
    expected = scipy.stats.binomtest(gained, gained + lost).pvalue if gained + lost else 1.0
    assert mcnemar_p(before, after) == pytest.approx(expected, rel=1e-9)
    assert mcnemar_p(before, after) == mcnemar_p(after, before)


def test_by_hand():
    # One image lost, five gained: 2 · (1 + 6) / 2^6.
    before = np.array([True] + [False] * 5 + [True] * 10)
    after = np.array([False] + [True] * 5 + [True] * 10)
    assert mcnemar_p(before, after) == 14 / 64
