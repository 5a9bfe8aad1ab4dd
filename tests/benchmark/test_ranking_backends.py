"""The two ways ranks are counted agree item by item; blocks, devices' forms and memory change nothing."""

import numpy as np
import pytest
import torch

from benchmark.errors import DataError
from benchmark.evaluation import rank_counts, ranking
from benchmark.evaluation.ranking import Items, rank_distances, rank_features

SMOOTH = None  # values without ties
TIED = [-0.0, 0.0, 1.0, 2.0]
INFINITE = [-np.inf, -1.0, 0.0, 1.0, np.inf]


def draw_distances(rng, shape, values, dtype):
    drawn = rng.standard_normal(shape) if values is SMOOTH else rng.choice(values, size=shape)
    return drawn.astype(dtype)


def draw_items(rng, count, identities=3, cameras=2):
    return Items(rng.integers(identities, size=count), rng.integers(cameras, size=count))


def in_passes(distances, found):
    return [rank_counts.count_in_passes(row, *one) for row, one in zip(distances, found, strict=True)]


def assert_same(one, other):
    for (places, ties), (other_places, other_ties) in zip(one, other, strict=True):
        np.testing.assert_array_equal(places, other_places)
        assert ties == other_ties


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("values", [SMOOTH, TIED, INFINITE, [np.inf], [1.0]], ids=str)
def test_search_and_passes_find_the_same_ranks_and_ties(values, dtype):
    rng = np.random.default_rng(0)
    for _ in range(60):
        queries, gallery = rng.integers(1, 6), rng.integers(1, 50)
        distances = draw_distances(rng, (queries, gallery), values, dtype)
        found = []
        for _ in range(queries):
            kind = rng.integers(
                0, rng.integers(1, 5), size=gallery
            )  # right, removed, wrong; some kinds missing
            found.append((np.flatnonzero(kind == 0), np.flatnonzero(kind == 1)))
        searched = rank_counts.count_by_search(torch.from_numpy(distances), found)
        assert_same(in_passes(distances, found), searched)


def test_queries_with_many_and_with_few_right_items_go_together(monkeypatch):
    rng = np.random.default_rng(1)
    distances = torch.from_numpy(draw_distances(rng, (30, 80), TIED, np.float32))
    queries, gallery = draw_items(rng, 30, identities=9), draw_items(rng, 80, identities=6)
    usual = rank_distances([distances], queries, gallery)
    assert usual.ties.any()
    assert not usual.valid.all()
    sizes = [right.size for right, _ in map(ranking._Candidates(queries, gallery).matches, range(30))]
    for few in (-1, int(np.median(sizes))):  # all are searched; one half is
        monkeypatch.setattr(rank_counts, "MAX_PASSES", few)
        for name in ("ap", "first_hit", "ties"):
            other = getattr(rank_distances([distances], queries, gallery), name)
            np.testing.assert_array_equal(other, getattr(usual, name))


@pytest.mark.parametrize("few", [rank_counts.MAX_PASSES, -1], ids=["passes", "search"])
def test_memory_and_blocks_do_not_change_the_result(monkeypatch, few):
    """Features of ±½ in four places: every product is exact, however it is computed, and many are equal."""
    monkeypatch.setattr(rank_counts, "MAX_PASSES", few)
    rng = np.random.default_rng(2)
    features = np.zeros((75, 8), np.float32)
    for row in features:
        row[rng.choice(8, 4, replace=False)] = rng.choice([-0.5, 0.5], 4)
    both = torch.from_numpy(features)
    queries, gallery = draw_items(rng, 25), draw_items(rng, 50)
    whole = rank_features(both[:25], both[25:], queries, gallery)
    assert whole.ties.any()
    for other in (
        *(rank_features(both[:25], both[25:], queries, gallery, memory_bytes=n) for n in (1, 2_000, 60_000)),
        *(rank_distances((-both[:25] @ both[25:].T).split(n), queries, gallery) for n in (1, 7, 25)),
    ):
        for name in ("ap", "first_hit", "ties"):
            np.testing.assert_array_equal(getattr(other, name), getattr(whole, name))


def test_blocks_stay_within_the_memory():
    features = torch.ones(40, 3)
    blocks = list(map(len, ranking.distance_blocks(features, torch.ones(100, 3), memory_bytes=4 * 100 * 16)))
    assert blocks == [16, 16, 8]
    assert list(map(len, ranking.distance_blocks(features, torch.ones(100, 3), memory_bytes=1))) == [1] * 40


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_distances_rank_like_the_same_numbers_in_float32(dtype):
    rng = np.random.default_rng(3)
    distances = torch.from_numpy(draw_distances(rng, (20, 60), SMOOTH, np.float32)).to(dtype)
    queries, gallery = draw_items(rng, 20), draw_items(rng, 60)
    half, full = (
        rank_distances([block], queries, gallery) for block in (distances, distances.to(torch.float32))
    )
    np.testing.assert_array_equal(half.ap, full.ap)
    np.testing.assert_array_equal(half.ties, full.ties)


def test_products_are_exact_where_training_allowed_less_and_what_it_allowed_stays():
    generator = torch.Generator().manual_seed(0)
    queries, gallery = torch.randn(300, 768, generator=generator), torch.randn(900, 768, generator=generator)
    backend = torch.backends.mkldnn.matmul
    before, exact = backend.fp32_precision, queries @ gallery.T
    [usual] = ranking.distance_blocks(queries, gallery, memory_bytes=2**28)
    try:
        backend.fp32_precision = "bf16"
        if torch.equal(queries @ gallery.T, exact):
            pytest.skip("products are exact on this processor, whatever is allowed")
        with torch.autocast("cpu", torch.bfloat16):
            [allowed] = ranking.distance_blocks(queries, gallery, memory_bytes=2**28)
        assert backend.fp32_precision == "bf16"
    finally:
        backend.fp32_precision = before
    assert torch.equal(allowed, usual)


def test_features_that_ask_for_gradients_are_ranked():
    features = torch.eye(4, requires_grad=True)
    ranked = rank_features(
        features[:2], features, Items(np.arange(2), np.zeros(2, int)), Items(np.arange(4), np.ones(4, int))
    )
    assert ranked.mean_ap() == 100


ONE, TWO = Items(np.array([1]), np.array([1])), Items(np.array([1, 2]), np.array([2, 2]))
NONE = Items(np.empty(0, int), np.empty(0, int))


@pytest.mark.parametrize(
    ("blocks", "queries", "gallery", "message"),
    [
        ([torch.zeros(1, 0)], ONE, NONE, "gallery is empty"),
        ([torch.zeros(0, 2)], NONE, TWO, "no queries"),
        ([torch.zeros(1, 3)], ONE, TWO, r"\(1, 3\).*2 gallery items"),
        ([torch.zeros(2)], ONE, TWO, r"\(2,\)"),
        ([torch.zeros(1, 2)] * 2, ONE, TWO, "after those of 1 queries"),
        ([], ONE, TWO, "of 0 queries for 1"),
        ([torch.zeros(1, 2, dtype=torch.int64)], ONE, TWO, "int64"),
        ([torch.tensor([[0.0, torch.nan]])], ONE, TWO, "1 of 2 distances of queries 0 to 0 are NaN"),
        (
            [torch.zeros(1, 2)],
            ONE,
            Items(np.array([1, 2]), np.array([2])),
            "2 gallery identities and 1 cameras",
        ),
        ([torch.zeros(1, 2)], ONE, Items(np.array([1.0, 2.0]), np.array([2, 2])), "float64"),
        ([torch.zeros(1, 2)], Items(np.array([[1]]), np.array([1])), TWO, r"query.*\(1, 1\)"),
    ],
)
def test_distances_that_cannot_be_ranked_are_refused(blocks, queries, gallery, message):
    with pytest.raises(DataError, match=message):
        rank_distances(blocks, queries, gallery)


@pytest.mark.parametrize(
    ("queries", "gallery", "message"),
    [
        (torch.ones(2, 3), torch.ones(2, 3), r"query features of shape \(2, 3\) for 1"),
        (torch.ones(1, 3), torch.ones(3, 3), r"gallery features of shape \(3, 3\) for 2"),
        (torch.ones(1, 3), torch.ones(2), r"gallery features of shape \(2,\)"),
        (torch.ones(1, 3), torch.ones(2, 4), "3 dimensions and gallery features 4"),
        (torch.ones(1, 3), torch.tensor([[1.0], [torch.nan]]).expand(2, 3), "1 of 2 gallery pictures"),
        (torch.full((1, 3), torch.inf), torch.ones(2, 3), "1 of 1 query pictures"),
    ],
)
def test_features_that_cannot_be_ranked_are_refused(queries, gallery, message):
    with pytest.raises(DataError, match=message):
        rank_features(queries, gallery, ONE, TWO)


def test_one_identity_all_over_a_gallery_of_equal_distances_is_ranked():
    """Half of 20,000 items right and all tied: comparing each with each would be 10^8 a query."""
    items = Items(np.ones(20_000, int), np.arange(20_000) % 2)
    ranked = rank_distances([torch.zeros(3, 20_000)], Items(np.ones(3, int), np.zeros(3, int)), items)
    np.testing.assert_array_equal(ranked.ap, 1)  # own camera's items are removed, nothing wrong is left
    np.testing.assert_array_equal(ranked.ties, 0)
