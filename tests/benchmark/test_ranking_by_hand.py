"""Ranking against sums done by hand."""

import numpy as np
import pytest
import torch
from ranking_cases import Case, one_query_case

from benchmark.evaluation.ranking import Ranking


def test_right_items_at_ranks_1_3_4_of_5():
    ranking = one_query_case([0.1, 0.2, 0.3, 0.4, 0.5], [1, 2, 1, 1, 3], [2, 2, 3, 2, 2]).ranked()
    by_hand = (1 / 1 + 2 / 3 + 3 / 4) / 3  # 29/36
    trapezoid = ((1 + 1) / 2 + (1 / 2 + 2 / 3) / 2 + (2 / 3 + 3 / 4) / 2) / 3  # 55/72, of some MATLAB code
    interpolated = (1 + 3 / 4 + 3 / 4) / 3  # 5/6: the best precision at this recall or a higher one
    assert ranking.ap[0] == pytest.approx(by_hand, abs=1e-12)
    assert ranking.mean_ap() == pytest.approx(80.5555555556, abs=1e-9)
    assert ranking.mean_ap() - 100 * trapezoid == pytest.approx(4.1666666667, abs=1e-9)
    assert ranking.mean_ap() - 100 * interpolated == pytest.approx(-2.7777777778, abs=1e-9)
    assert ranking.first_hit.tolist() == [1]


@pytest.mark.parametrize(
    ("ranks", "ap", "trapezoid"),
    [
        ([1], 1.0, 1.0),
        ([2], 1 / 2, (0 + 1 / 2) / 2),  # the trapezoid starts from the precision 0 of rank 1
        ([5], 1 / 5, (0 + 1 / 5) / 2),
        ([1, 2, 3, 4, 5], 1.0, 1.0),
        ([1, 5], (1 + 2 / 5) / 2, (1 + (1 / 4 + 2 / 5) / 2) / 2),
        ([4, 5], (1 / 4 + 2 / 5) / 2, ((0 + 1 / 4) / 2 + (1 / 4 + 2 / 5) / 2) / 2),
        ([2, 3, 5], (1 / 2 + 2 / 3 + 3 / 5) / 3, (1 / 4 + (1 / 2 + 2 / 3) / 2 + (2 / 4 + 3 / 5) / 2) / 3),
    ],
)
def test_ap_of_five_items_is_the_sum_and_not_the_trapezoid(ranks, ap, trapezoid):
    identities = [1 if rank in ranks else 2 for rank in range(1, 6)]
    ranking = one_query_case([0.1, 0.2, 0.3, 0.4, 0.5], identities, [2] * 5).ranked()
    assert ranking.ap[0] == pytest.approx(ap, abs=1e-12)
    assert (abs(ap - trapezoid) > 0.01) == (ap < 1)


def test_same_identity_and_camera_is_dropped_and_the_rest_moves_up():
    # Kept in order of distance: item 3 (wrong, own camera), item 0 (right), item 4 (wrong), item 1 (right).
    # Items 2 and 5 are the query's identity in its own camera: without them the hits are at ranks 2 and 4.
    case = one_query_case([0.5, 0.9, 0.1, 0.2, 0.6, 0.3], [1, 1, 1, 2, 3, 1], [2, 3, 1, 1, 2, 1])
    ranking = case.ranked()
    assert ranking.first_hit.tolist() == [2]
    assert ranking.ap[0] == pytest.approx((1 / 2 + 2 / 4) / 2, abs=1e-12)
    assert [ranking.cmc(k) for k in (1, 2, 3, 100)] == [0, 100, 100, 100]


def test_camera_alone_and_identity_alone_drop_nothing():
    # The wrong item in the query's camera stays at rank 1, the right one in another camera at rank 2.
    ranking = one_query_case([0.1, 0.2], [2, 1], [1, 2]).ranked()
    assert (ranking.first_hit.tolist(), ranking.ap.tolist()) == ([2], [0.5])


def test_every_image_counts_not_one_an_identity_or_a_camera():
    # Ranks 1 to 3 are three images of one wrong identity: with one shot an identity the hit would be at rank 2.
    # Ranks 4 and 5 are right and from one camera: both are hits. AP = (1/4 + 2/5) / 2.
    ranking = one_query_case([0.1, 0.2, 0.3, 0.4, 0.5], [2, 2, 2, 1, 1], [2, 2, 3, 2, 2]).ranked()
    assert ranking.first_hit.tolist() == [4]
    assert ranking.ap[0] == pytest.approx((1 / 4 + 2 / 5) / 2, abs=1e-12)


def test_means_and_cmc_of_four_queries():
    """Gallery, identity/camera: a 1/1, b 1/2, c 2/1, d 2/2, e 3/1, f 0/1 (a distractor)."""
    distances = [
        [0.1, 0.2, 0.3, 0.4, 0.5, 0.6],  # 1/1: a dropped; b first.      Hit at 1.      AP 1
        [0.6, 0.5, 0.4, 0.3, 0.2, 0.1],  # 2/2: d dropped; f e c b a.    Hit at 3.      AP 1/3
        [0.1, 0.6, 0.3, 0.4, 0.2, 0.5],  # 1/3: a e c d f b.             Hits at 1, 6.  AP (1 + 2/6) / 2 = 2/3
        [0.1, 0.2, 0.3, 0.4, 0.5, 0.6],  # 3/1: e dropped.               Nothing to find
    ]
    case = Case(torch.tensor(distances), [1, 2, 1, 3], [1, 2, 3, 1], [1, 1, 2, 2, 3, 0], [1, 2, 1, 2, 1, 1])
    ranking = case.ranked()
    assert ranking.ap.tolist() == pytest.approx([1, 1 / 3, 2 / 3, 0], abs=1e-12)
    assert ranking.first_hit.tolist() == [1, 3, 1, 0]
    assert ranking.valid.tolist() == [True, True, True, False]
    assert ranking.mean_ap() == pytest.approx(
        100 * (1 + 1 / 3 + 2 / 3) / 3, abs=1e-9
    )  # 66.67, and not 50 over four
    # Two of three at once, the third at rank 3; five or six items are left to each, and 50 keeps the last value.
    cmc = [ranking.cmc(k) for k in (1, 2, 3, 4, 5, 6, 7, 50)]
    assert cmc == pytest.approx([200 / 3, 200 / 3, 100, 100, 100, 100, 100, 100], abs=1e-9)


def test_cmc_keeps_its_value_for_a_query_with_fewer_items_left():
    # Query 1/1: three items are dropped. Left: item 0, right, and item 4. Hit at rank 1.
    # Query 2/2: nothing is dropped, its one right item is the farthest of five. Hit at rank 5.
    # Query 2/1: its only image is in its own camera. Not valid.
    distances = torch.tensor([[0.1, 0.2, 0.3, 0.4, 0.5]] * 3)
    case = Case(distances, [1, 2, 2], [1, 2, 1], [1, 1, 1, 1, 2], [2, 1, 1, 1, 1])
    ranking = case.ranked()
    assert ranking.first_hit.tolist() == [1, 5, 0]
    assert [ranking.cmc(k) for k in (1, 2, 4, 5, 6, 1000)] == [50, 50, 50, 100, 100, 100]


def test_ties_are_taken_in_gallery_order():
    # Wrong and right at one distance: the one that comes first in the gallery comes first.
    wrong_first = one_query_case([0.5, 0.5], [2, 1], [2, 2]).ranked()
    right_first = one_query_case([0.5, 0.5], [1, 2], [2, 2]).ranked()
    assert (wrong_first.ap.tolist(), wrong_first.first_hit.tolist()) == ([0.5], [2])
    assert (right_first.ap.tolist(), right_first.first_hit.tolist()) == ([1.0], [1])
    assert wrong_first.ties.tolist() == right_first.ties.tolist() == [1]


@pytest.mark.parametrize(
    ("distances", "identities", "cameras", "ties"),
    [
        ([0.5, 0.5, 0.7], [1, 1, 2], [2, 3, 2], 0),  # right items tied with each other alone
        ([0.5, 0.7, 0.7], [1, 2, 3], [2, 2, 2], 0),  # wrong items tied with each other alone
        ([0.5, 0.5, 0.5], [1, 1, 2], [2, 3, 2], 2),  # both right items with the wrong one
        ([0.5, 0.5, 0.5], [1, 2, 3], [2, 2, 2], 1),  # one right item with two wrong ones: counted once
        ([0.5, 0.5, 0.7], [1, 1, 2], [2, 1, 2], 0),  # tied with a dropped item alone
        ([0.5, 0.5, 0.7], [1, 2, 1], [1, 2, 2], 0),  # a dropped item tied with a wrong one
        ([0.5, 0.5, 0.5], [2, 3, 1], [2, 2, 1], 0),  # nothing to find
        ([-0.0, 0.0, 0.5], [2, 1, 1], [2, 2, 2], 1),  # the two zeros are one distance
        ([0.1, 0.1, 0.9, 0.9], [1, 2, 2, 1], [2, 2, 2, 2], 2),  # two ties at two distances
    ],
)
def test_ties_counted_by_hand(distances, identities, cameras, ties):
    assert one_query_case(distances, identities, cameras).ranked().ties.tolist() == [ties]


def test_zeros_of_both_signs_are_taken_in_gallery_order():
    assert one_query_case([0.0, -0.0], [2, 1], [2, 2]).ranked().first_hit.tolist() == [2]
    assert one_query_case([0.0, -0.0], [1, 2], [2, 2]).ranked().first_hit.tolist() == [1]


def test_neighbouring_floats_are_no_tie():
    for dtype in (torch.float32, torch.float64):
        one = torch.ones(1, dtype=dtype)
        above = torch.nextafter(one, 2 * one)
        ranking = one_query_case([above.item(), 1.0], [2, 1], [2, 2], dtype=dtype).ranked()
        assert (ranking.first_hit.tolist(), ranking.ties.tolist()) == ([1], [0])


@pytest.mark.parametrize("label", [0, -1, -2])
def test_no_identity_or_camera_means_something_by_itself(label):
    # A wrong item, one in the query's camera, a right one: AP 1/2. The same in the camera of that label.
    for identity, camera in ((label, 1), (1, label), (label, label)):
        identities, cameras = [5, identity, identity], [camera, camera, 7]
        ranking = one_query_case([0.1, 0.2, 0.3], identities, cameras, identity, camera).ranked()
        assert (ranking.ap.tolist(), ranking.first_hit.tolist()) == ([0.5], [2])
        wrong = one_query_case([0.1, 0.2], [identity, 5], [camera, 7], 5, 8).ranked()
        assert (wrong.ap.tolist(), wrong.first_hit.tolist()) == ([0.5], [2])


def test_numbers_come_from_the_three_columns_alone():
    ranking = Ranking(
        ap=np.array([1.0, 0.0, 0.25]), first_hit=np.array([1, 0, 7]), ties=np.zeros(3, dtype=np.int64)
    )
    assert ranking.valid.tolist() == [True, False, True]
    assert ranking.mean_ap() == pytest.approx(62.5, abs=1e-12)
    assert [ranking.cmc(k) for k in (1, 6, 7, 8)] == [50, 50, 100, 100]


def test_columns_have_the_promised_types():
    for dtype in (torch.float32, torch.float64):
        ranking = one_query_case([0.5, 0.6], [1, 2], [2, 2], dtype=dtype).ranked()
        assert [c.dtype for c in (ranking.ap, ranking.first_hit, ranking.ties)] == [
            np.float64,
            np.int64,
            np.int64,
        ]
        assert ranking.valid.dtype == bool
        assert [c.shape for c in (ranking.ap, ranking.first_hit, ranking.ties, ranking.valid)] == [(1,)] * 4
