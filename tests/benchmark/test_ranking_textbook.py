"""Ranking against a literal textbook and against sums done by hand."""

import itertools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
import textbook
import torch
from ranking_cases import REFUSED, Case, assert_as_in_the_textbook, assert_same, items, one_query_case

from benchmark.errors import DataError
from benchmark.ranking import Ranking, rank_distances, rank_features

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


@dataclass(frozen=True)
class Regime:
    """Ranges are inclusive. shows: what its answers, all together, must contain for the regime to be worth its name."""

    queries: tuple[int, int] = (1, 8)
    gallery: tuple[int, int] = (6, 60)
    identities: int = 5
    cameras: int = 3
    values: tuple[float, ...] = ()  # distances to draw from; a continuum without
    gap: float = 0.0  # distances are 1 plus different multiples of this, in float64
    distractors: float = 0.0  # share of the gallery with identity 0
    absent: float = 0.0  # share of the queries whose identity the gallery does not have
    camera_of_identity: bool = False  # every gallery image of an identity in one camera
    once: bool = False  # one image an identity in the gallery
    shows: Callable = lambda answers: sum(a.first_hit > 0 for a in answers) > len(answers) / 2


REGIMES = {
    "plain": Regime(),
    "one to five items": Regime(
        gallery=(1, 5), identities=2, cameras=2, shows=lambda a: has_empty_and_valid(a)
    ),
    "all distances equal": Regime(values=(0.25,), shows=lambda a: share_tied(a) > 0.95),
    "three distances": Regime(values=(-0.5, -0.0, 0.0, 1.5), shows=lambda a: share_tied(a) > 0.8),
    "a dozen distances": Regime(
        values=tuple(k / 12 - 0.5 for k in range(12)),
        identities=9,
        shows=lambda a: 0.2 < share_tied(a) < 0.95,
    ),
    "nothing to find for half": Regime(absent=0.5, shows=lambda a: 0.3 < share_invalid(a) < 0.7),
    "matches in one camera only": Regime(
        camera_of_identity=True, cameras=2, shows=lambda a: 0.2 < share_invalid(a) < 0.8
    ),
    "one image an identity": Regime(once=True, shows=lambda a: max(sum(x.right) for x in a) == 1),
    "distractors": Regime(distractors=0.6),
    "distractors and ties": Regime(
        distractors=0.6, values=(0.0, 1.0, 2.0), shows=lambda a: share_tied(a) > 0.8
    ),
    "one camera": Regime(cameras=1, shows=lambda a: share_invalid(a) == 1),
    "many cameras": Regime(cameras=40),
    "nearly all right": Regime(identities=1, distractors=0.1, gallery=(20, 60), cameras=5),
    "closer than float32 tells apart": Regime(gap=2.0**-40, shows=lambda a: share_tied(a) == 0),
}


def share_tied(answers):
    """Share of the right items that are tied with a wrong one."""
    return sum(a.ties for a in answers) / max(sum(sum(a.right) for a in answers), 1)


def share_invalid(answers):
    return sum(a.first_hit == 0 for a in answers) / len(answers)


def has_empty_and_valid(answers):
    """Some query with nothing left, and some with something to find."""
    return any(not a.right for a in answers) and any(a.first_hit for a in answers)


def draw(regime, seed):
    rng = np.random.default_rng(seed)
    q, g = rng.integers(*regime.queries, endpoint=True), rng.integers(*regime.gallery, endpoint=True)
    identities = rng.integers(1, regime.identities, endpoint=True, size=g)
    if regime.once:
        identities = rng.permutation(g) + 1
    identities[rng.random(g) < regime.distractors] = 0
    cameras = rng.integers(1, regime.cameras, endpoint=True, size=g)
    if regime.camera_of_identity:
        cameras = 1 + identities % regime.cameras

    query_identities = rng.integers(
        1, identities.max() if regime.once else regime.identities, endpoint=True, size=q
    )
    query_identities[rng.random(q) < regime.absent] = 1000
    query_cameras = rng.integers(1, regime.cameras, endpoint=True, size=q)

    dtype = torch.float64 if regime.gap else (torch.float32, torch.float64)[seed % 2]
    if regime.values:
        distances = rng.choice(regime.values, size=(q, g))
    elif regime.gap:
        distances = 1 + regime.gap * np.stack([rng.permutation(g) for _ in range(q)])
    else:
        distances = rng.uniform(-1, 1, size=(q, g))
    return Case(
        torch.from_numpy(distances).to(dtype),
        query_identities.tolist(),
        query_cameras.tolist(),
        identities.tolist(),
        cameras.tolist(),
    )


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


# ---- by hand ------------------------------------------------------------------------------------------------


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


# ---- features -----------------------------------------------------------------------------------------------

MEMORY = [1, 500, 20_000, 2**28]  # bytes


def feature_case(queries, gallery, seed, cameras=3, identities=4):
    """Distances by the textbook, in float64, and identities at random."""
    rng = np.random.default_rng(seed)
    rows = [[textbook.minus_cosine(a, b) for b in gallery.tolist()] for a in queries.tolist()]
    draw = lambda top, n: rng.integers(1, top, endpoint=True, size=n).tolist()  # noqa: E731
    q, g = len(queries), len(gallery)
    return Case(
        torch.tensor(rows, dtype=torch.float64),
        draw(identities, q),
        draw(cameras, q),
        draw(identities, g),
        draw(cameras, g),
    )


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("width", [2, 3, 16, 64])
def test_features_are_ranked_as_in_the_textbook_in_float64(width, dtype):
    """Lengths of 0.01 to 100, so that only normalised features rank like this.

    A query is left out where two gallery items are closer than 1e-5, about 100 roundings of float32: a few.
    """
    compared = drawn = 0
    for seed in range(3):
        generator = torch.Generator().manual_seed(100 * width + seed)
        features = torch.randn(60, width, generator=generator)
        features *= 10 ** (4 * torch.rand(60, 1, generator=generator) - 2)
        queries, gallery = features[:20].to(dtype), features[20:].to(dtype)
        case = feature_case(queries, gallery, seed)
        gaps = case.distances.sort(dim=1).values.diff(dim=1).min(dim=1).values
        apart = np.flatnonzero(gaps.numpy() > 1e-5)
        compared, drawn = compared + len(apart), drawn + len(gaps)
        answers = case.by_textbook()
        for memory in MEMORY:
            ranking = rank_features(queries, gallery, case.queries(), case.gallery(), memory_bytes=memory)
            kept = Ranking(ap=ranking.ap[apart], first_hit=ranking.first_hit[apart], ties=ranking.ties[apart])
            assert_as_in_the_textbook(kept, [answers[i] for i in apart], f"seed {seed}, {memory} bytes")
    assert compared > 0.8 * drawn


@pytest.mark.parametrize("memory", MEMORY)
def test_features_with_exact_cosines_tie_exactly(memory):
    """Vertices of the 24-cell, ±e_i and ½(±1, ±1, ±1, ±1), times powers of two: cosines 0, ±½, ±1 in float32."""
    axes = [[s * (i == j) for j in range(4)] for i in range(4) for s in (1.0, -1.0)]
    vertices = torch.tensor(axes + [list(signs) for signs in itertools.product([0.5, -0.5], repeat=4)])
    generator = torch.Generator().manual_seed(0)
    gallery = vertices.repeat(2, 1) * 2.0 ** torch.randint(-6, 7, (48, 1), generator=generator)
    queries = vertices * 2.0 ** torch.randint(-6, 7, (24, 1), generator=generator)
    case = feature_case(queries, gallery, 1)
    assert set(case.distances.unique().tolist()) == {-1.0, -0.5, 0.0, 0.5, 1.0}
    ranking = rank_features(queries, gallery, case.queries(), case.gallery(), memory_bytes=memory)
    assert_as_in_the_textbook(ranking, case.by_textbook())
    assert ranking.ties.sum() > 100


def test_features_point_by_point_by_hand():
    # Directions in degrees, query 0°: wrong at 10°, right at 20°, wrong at 90°, right at 180°, own camera at 5°.
    # Left in order: 10 wrong, 20 right (1/2), 90 wrong, 180 right (2/4). By length the order would be another one:
    # the item at 20° is a hundred times as long as the others, the one at 10° a hundredth.
    angles = torch.deg2rad(torch.tensor([180.0, 10, 5, 20, 90]))
    lengths = torch.tensor([[1.0], [0.01], [1.0], [100.0], [1.0]])
    gallery = torch.stack([angles.cos(), angles.sin()], dim=1) * lengths
    ranking = rank_features(
        torch.tensor([[3.0, 0.0]]), gallery, items([1], [1]), items([1, 2, 1, 1, 3], [2, 2, 1, 3, 1])
    )
    assert ranking.first_hit.tolist() == [2]
    assert ranking.ap[0] == pytest.approx((1 / 2 + 2 / 4) / 2, abs=1e-12)
    assert ranking.mean_ap() == pytest.approx(50, abs=1e-9)


def test_what_is_given_stays_as_it_was():
    generator = torch.Generator().manual_seed(3)
    queries, gallery = torch.randn(5, 8, generator=generator), torch.randn(9, 8, generator=generator)
    case = feature_case(queries, gallery, 0)
    given = [queries, gallery, case.distances]
    before = [tensor.clone() for tensor in given]
    case.ranked()
    rank_features(queries, gallery, case.queries(), case.gallery())
    assert all(torch.equal(a, b) for a, b in zip(before, given, strict=True))


# ---- bad input ----------------------------------------------------------------------------------------------

TWO, THREE = ([1, 2], [1, 2]), ([1, 2, 3], [2, 2, 2])


@pytest.mark.parametrize(
    ("blocks", "queries", "gallery"),
    [
        ([torch.zeros(2, 0)], TWO, ([], [])),  # an empty gallery
        ([], ([], []), THREE),  # no queries
        ([torch.zeros(0, 3)], ([], []), THREE),
        ([], TWO, THREE),  # queries without distances
        ([torch.zeros(1, 3)], TWO, THREE),  # too few rows
        ([torch.zeros(2, 3), torch.zeros(1, 3)], TWO, THREE),  # too many
        ([torch.zeros(3, 3)], TWO, THREE),
        ([torch.zeros(2, 2)], TWO, THREE),  # too few columns
        ([torch.zeros(2, 4)], TWO, THREE),  # too many
        ([torch.zeros(1, 3), torch.zeros(1, 4)], TWO, THREE),
        ([torch.zeros(2, 3)], ([1, 2], [1]), THREE),  # a camera is missing
        ([torch.zeros(2, 3)], TWO, ([1, 2, 3], [1, 2])),
        ([torch.zeros(2, 3)], TWO, ([1, 2], [1, 2, 3])),
    ],
)
def test_distances_and_items_that_do_not_fit_are_refused(blocks, queries, gallery):
    with pytest.raises(DataError):
        rank_distances(blocks, items(*queries), items(*gallery))


@pytest.mark.parametrize("at", list(itertools.product(range(2), range(3))))
def test_nan_distances_are_refused_wherever_they_are(at):
    """Also at an item that would be dropped, and in a row of a query with nothing to find."""
    distances = torch.zeros(2, 3)
    distances[at] = float("nan")
    for blocks in ([distances], distances.split(1)):
        with pytest.raises(DataError):
            rank_distances(blocks, items([1, 9], [1, 1]), items([1, 2, 1], [1, 1, 2]))


@pytest.mark.parametrize(
    ("queries", "gallery"),
    [((0, 4), (3, 4)), ((2, 4), (0, 4)), ((1, 4), (3, 4)), ((2, 4), (4, 4)), ((2, 4), (3, 5))],
)
def test_features_and_items_that_do_not_fit_are_refused(queries, gallery):
    query_items = items(*TWO) if queries[0] else items([], [])
    gallery_items = items(*THREE) if gallery[0] else items([], [])
    with pytest.raises(DataError):
        rank_features(torch.ones(queries), torch.ones(gallery), query_items, gallery_items)


@pytest.mark.parametrize("memory", MEMORY)
@pytest.mark.parametrize("which", [0, 1])
def test_nan_features_are_refused(which, memory):
    features = [torch.ones(2, 4), torch.ones(3, 4)]
    features[which][1, 2] = float("nan")
    with pytest.raises(DataError):
        rank_features(*features, items(*TWO), items(*THREE), memory_bytes=memory)


def test_a_mean_over_nothing_is_refused():
    ranking = one_query_case([0.1, 0.2], [1, 2], [1, 2]).ranked()  # its own camera only
    assert (ranking.ap.tolist(), ranking.first_hit.tolist(), ranking.valid.tolist()) == ([0.0], [0], [False])
    for mean in (ranking.mean_ap, lambda: ranking.cmc(1)):
        with pytest.raises(REFUSED):
            mean()


def test_a_gallery_of_dropped_items_alone_leaves_nothing_to_find():
    ranking = one_query_case([0.1, 0.2], [1, 1], [1, 1]).ranked()
    assert (ranking.first_hit.tolist(), ranking.ties.tolist(), ranking.valid.tolist()) == ([0], [0], [False])


@pytest.mark.parametrize("k", [0, -1])
def test_cmc_counts_from_1(k):
    with pytest.raises(ValueError):
        one_query_case([0.1], [1], [2]).ranked().cmc(k)
