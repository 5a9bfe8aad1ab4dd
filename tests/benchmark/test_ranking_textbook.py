"""Ranking against a literal textbook, on random cases."""

import itertools

import numpy as np
import pytest
import textbook
import torch
from ranking_cases import REGIMES, Case, Regime, assert_as_in_the_textbook, assert_same, draw, items

from benchmark.evaluation.ranking import rank_distances

# ---- the textbook itself ------------------------------------------------------------------------------------


def test_textbook_ap_is_the_mean_precision_at_the_hits_for_every_pattern_of_up_to_8_items():
    """Written a second way; nothing is removed and nothing tied."""
    for length in range(1, 9):
        for pattern in itertools.product([False, True], repeat=length):
            identities = [1 if right else 2 for right in pattern]
            answer = textbook.one_query(range(length), 1, 1, identities, [2] * length)
            assert answer.right == list(pattern)
            precisions = [found / rank for rank, found in enumerate(itertools.accumulate(pattern), start=1)]
            at_hits = list(itertools.compress(precisions, pattern))
            assert answer.ap == pytest.approx(sum(at_hits) / max(len(at_hits), 1), abs=1e-15)
            assert answer.ties == 0


def test_textbook_on_a_case_done_by_hand():
    # By distance: 0.1 right identity, own camera: removed
    #              0.2 other identity, own camera: rank 1, wrong
    #              0.3 right, camera 2:            rank 2, hit 1: 1/2
    #              0.3 wrong, camera 2:            rank 3, as near as the hit before it
    #              0.5 right, camera 3:            rank 4, hit 2: 2/4
    answer = textbook.one_query([0.5, 0.3, 0.1, 0.2, 0.3], 7, 1, [7, 7, 7, 8, 9], [3, 2, 1, 1, 2])
    assert answer.right == [False, True, False, True]
    assert (answer.ap, answer.first_hit, answer.ties) == (0.5, 2, 1)
    assert textbook.cmc([answer], 6) == [0, 100, 100, 100, 100, 100]
    assert textbook.minus_cosine([3.0, 4.0], [10.0, 0.0]) == pytest.approx(-0.6, abs=1e-15)


# ---- random cases -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", REGIMES)
def test_random_cases_are_ranked_as_in_the_textbook(name):
    """60 cases each, every one in one block and in blocks of one, two and three queries."""
    seen = []
    for seed in range(60):
        case = draw(REGIMES[name], seed)
        answers, ranking = case.by_textbook(), case.ranked()
        assert_as_in_the_textbook(ranking, answers, f"{name}, seed {seed}")
        for split in (1, 2, 3):
            assert_same(case.ranked(split), ranking)
        seen += answers
    assert REGIMES[name].shows(seen)


def test_blocks_of_different_sizes_from_a_generator():
    case = draw(Regime(queries=(23, 23), values=(0.0, 0.5, 1.0)), 0)
    blocks = (block for block in case.distances.split([1, 9, 2, 11]))
    assert_as_in_the_textbook(rank_distances(blocks, case.queries(), case.gallery()), case.by_textbook())


@pytest.mark.parametrize("values", [(), (0.0, 1.0, 2.0)])
def test_hundreds_of_queries_and_items(values):
    regime = Regime(
        queries=(120, 120), gallery=(400, 400), identities=20, cameras=6, distractors=0.2, values=values
    )
    case = draw(regime, 1)
    assert_as_in_the_textbook(case.ranked(), case.by_textbook())


def test_ranks_beyond_16_bits():
    """Three right items among 70,000, the last two of them behind rank 65,536."""
    count = 70_000
    distances = torch.stack([torch.arange(count), torch.arange(count).flip(0)]).float()
    identities = [2] * count
    for item in (5, 66_000, 69_999):
        identities[item] = 1
    case = Case(distances, [1, 1], [1, 1], identities, [2] * count)
    assert_as_in_the_textbook(case.ranked(), case.by_textbook())
    assert case.ranked().first_hit.tolist() == [6, 1]
    assert case.ranked().ap[0] == pytest.approx((1 / 6 + 2 / 66_001 + 3 / 70_000) / 3, rel=1e-12)


@pytest.mark.parametrize("right", range(1, 7))
def test_every_placement_of_the_right_items_among_seven(right):
    """AP from the hits' ranks r_1 < r_2 < …: mean of i/r_i."""
    placements = list(itertools.combinations(range(1, 8), right))
    rows = []
    for ranks in placements:
        rows.append([*ranks, *(rank for rank in range(1, 8) if rank not in ranks)])
    n = len(rows)
    case = Case(torch.tensor(rows).float(), [1] * n, [1] * n, [1] * right + [2] * (7 - right), [2] * 7)
    ranking = case.ranked()
    expected = [sum(i / r for i, r in enumerate(ranks, start=1)) / right for ranks in placements]
    np.testing.assert_allclose(ranking.ap, expected, rtol=0, atol=1e-12)
    assert ranking.first_hit.tolist() == [ranks[0] for ranks in placements]


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int32, np.int64])
def test_identities_and_cameras_of_any_integer_type(dtype):
    case = draw(REGIMES["plain"], 2)
    queries = items(case.query_identities, case.query_cameras, dtype)
    gallery = items(case.identities, case.cameras, dtype)
    assert_as_in_the_textbook(rank_distances([case.distances], queries, gallery), case.by_textbook())
