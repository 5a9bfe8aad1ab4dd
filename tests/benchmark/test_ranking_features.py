"""Features ranked as the textbook ranks their distances."""

import itertools

import numpy as np
import pytest
import torch
from ranking_cases import MEMORY, assert_as_in_the_textbook, feature_case, items

from benchmark.evaluation.ranking import Ranking, rank_features


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
