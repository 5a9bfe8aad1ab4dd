"""What a ranking refuses, and what leaves it nothing to say."""

import itertools

import pytest
import torch
from ranking_cases import MEMORY, REFUSED, items, one_query_case

from benchmark.errors import DataError
from benchmark.evaluation.ranking import rank_distances, rank_features

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
