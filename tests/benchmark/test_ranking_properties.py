"""What must hold of any ranking, for cases that hypothesis makes up."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from ranking_cases import Case, assert_as_in_the_textbook, assert_same

from benchmark.evaluation.ranking import Ranking


@st.composite
def cases(draw, distinct=False):
    """Small whole distances, tied or a permutation; three identities, distractors (0), three cameras."""
    q, g = draw(st.integers(1, 4)), draw(st.integers(1, 10))
    row = st.permutations(range(g)) if distinct else st.lists(st.integers(-2, 3), min_size=g, max_size=g)
    several = lambda low, high, n: draw(st.lists(st.integers(low, high), min_size=n, max_size=n))  # noqa: E731
    rows = draw(st.lists(row, min_size=q, max_size=q))
    dtype = draw(st.sampled_from([torch.float32, torch.float64]))
    return Case(
        torch.tensor(rows).to(dtype), several(1, 3, q), several(1, 3, q), several(0, 3, g), several(1, 3, g)
    )


thorough = settings(max_examples=80, deadline=None)

INCREASING = {  # exact in float32 for whole numbers from -2 to 9
    "doubled": lambda d: 2 * d,
    "a quarter": lambda d: d / 4,
    "shifted": lambda d: d + 1024,
    "cubed": lambda d: d**3,
    "powers of two": lambda d: torch.tensor([[2**x for x in row] for row in d.tolist()], dtype=d.dtype),
    "stretched above zero": lambda d: torch.where(d > 0, 8 * d, d),
    "in float64": lambda d: d.double(),
}


def means(ranking):
    """mAP and CMC[1 … 12], nothing without a valid query."""
    return [ranking.mean_ap(), *(ranking.cmc(k) for k in range(1, 13))] if ranking.valid.any() else []


@pytest.mark.parametrize("name", INCREASING)
@thorough
@given(case=cases())
def test_an_increasing_function_of_the_distances_changes_nothing(name, case):
    assert_same(case.changed(distances=INCREASING[name](case.distances)).ranked(), case.ranked())


@thorough
@given(case=cases(), data=st.data())
def test_permuted_queries_have_permuted_results(case, data):
    order = data.draw(st.permutations(range(len(case.query_identities))))
    permuted = case.changed(
        distances=case.distances[order],
        query_identities=[case.query_identities[i] for i in order],
        query_cameras=[case.query_cameras[i] for i in order],
    ).ranked()
    ranking = case.ranked()
    assert_same(permuted, Ranking(ranking.ap[order], ranking.first_hit[order], ranking.ties[order]))
    assert means(permuted) == pytest.approx(means(ranking), rel=1e-12)


@thorough
@given(case=cases(distinct=True), data=st.data())
def test_a_permuted_gallery_changes_nothing_without_ties(case, data):
    order = data.draw(st.permutations(range(len(case.identities))))
    permuted = case.changed(
        distances=case.distances[:, order],
        identities=[case.identities[j] for j in order],
        cameras=[case.cameras[j] for j in order],
    )
    assert_same(permuted.ranked(), case.ranked())


@thorough
@given(case=cases(), data=st.data())
def test_a_distractor_behind_everything_changes_nothing(case, data):
    at = data.draw(st.integers(0, len(case.identities)))
    far = torch.full((len(case.distances), 1), 100, dtype=case.distances.dtype)
    more = case.changed(
        distances=torch.cat([case.distances[:, :at], far, case.distances[:, at:]], dim=1),
        identities=[*case.identities[:at], 0, *case.identities[at:]],
        cameras=[*case.cameras[:at], 1, *case.cameras[at:]],
    )
    assert_same(more.ranked(), case.ranked())


@thorough
@given(case=cases(), data=st.data())
def test_distances_of_dropped_items_change_nothing(case, data):
    distances = case.distances.clone()
    for i, query in enumerate(zip(case.query_identities, case.query_cameras, strict=True)):
        for j, item in enumerate(zip(case.identities, case.cameras, strict=True)):
            if query == item:
                distances[i, j] = data.draw(st.integers(-5, 5))
    assert_same(case.changed(distances=distances).ranked(), case.ranked())


@thorough
@given(case=cases())
def test_a_query_with_nothing_to_find_changes_no_mean(case):
    more = case.changed(
        distances=torch.cat([case.distances[:1], case.distances]),
        query_identities=[99, *case.query_identities],
        query_cameras=[1, *case.query_cameras],
    ).ranked()
    assert not more.valid[0]
    assert means(more) == pytest.approx(means(case.ranked()), rel=1e-12)


@thorough
@given(case=cases())
def test_cmc_never_falls_and_ends_at_100(case):
    ranking = case.ranked()
    if not ranking.valid.any():
        return
    curve = [ranking.cmc(k) for k in range(1, len(case.identities) + 1)]
    assert all(a <= b for a, b in itertools.pairwise(curve))
    assert 0 <= curve[0] <= curve[-1] == ranking.cmc(10**6) == 100


@thorough
@given(case=cases())
def test_ap_lies_above_0_and_up_to_1_for_what_is_valid_and_is_0_elsewhere(case):
    ranking = case.ranked()
    assert (ranking.ap[ranking.valid] > 0).all()
    assert (ranking.ap <= 1).all()
    invalid = ~ranking.valid
    assert not ranking.ap[invalid].any()
    assert not ranking.first_hit[invalid].any()
    assert not ranking.ties[invalid].any()
    assert (ranking.first_hit[ranking.valid] >= 1).all()


@thorough
@given(case=cases(), data=st.data())
def test_a_right_item_moved_nearer_never_lowers_ap(case, data):
    pairs = [
        (i, j)
        for i, identity in enumerate(case.query_identities)
        for j in range(len(case.identities))
        if case.identities[j] == identity and case.cameras[j] != case.query_cameras[i]
    ]
    if not pairs:
        return
    i, j = data.draw(st.sampled_from(pairs))
    nearer = case.distances.clone()
    nearer[i, j] -= data.draw(st.integers(1, 6))
    before, after = case.ranked(), case.changed(distances=nearer).ranked()
    assert after.ap[i] >= before.ap[i] - 1e-12
    assert after.first_hit[i] <= before.first_hit[i]
    others = np.arange(len(case.distances)) != i
    np.testing.assert_array_equal(after.ap[others], before.ap[others])


@thorough
@given(case=cases())
def test_a_perfect_ranking_has_100(case):
    identities = torch.tensor(case.identities)
    right = torch.tensor(case.query_identities)[:, None] == identities
    ranking = case.changed(distances=case.distances + 50.0 * ~right).ranked()
    if ranking.valid.any():
        assert means(ranking) == pytest.approx([100] * 13, rel=1e-12)
        assert not ranking.ties.any()


@thorough
@given(case=cases(), data=st.data())
def test_new_labels_for_identities_and_cameras_change_nothing(case, data):
    """No label means something by itself: not 0, not -1, however large."""
    label = st.one_of(st.integers(-3, 3), st.integers(-(10**12), 10**12))
    identity = data.draw(st.lists(label, min_size=4, max_size=4, unique=True))
    camera = data.draw(st.lists(label, min_size=4, max_size=4, unique=True))
    relabelled = case.changed(
        query_identities=[identity[x] for x in case.query_identities],
        query_cameras=[camera[x] for x in case.query_cameras],
        identities=[identity[x] for x in case.identities],
        cameras=[camera[x] for x in case.cameras],
    )
    assert_same(relabelled.ranked(), case.ranked())


@thorough
@given(case=cases(), split=st.integers(1, 4))
def test_any_case_in_any_blocks_is_ranked_as_in_the_textbook(case, split):
    assert_as_in_the_textbook(case.ranked(split), case.by_textbook())
