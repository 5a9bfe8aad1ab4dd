"""The head of a ranked list against the textbook's order, ties and removed pictures included."""

import numpy as np
import pytest
import torch
from ranking_cases import items

from benchmark.evaluation.retrieval import nearest


def literal(distances, identity, camera, identities, cameras, count):
    """One query: a stable sort, then what is removed is left out."""
    order = sorted(range(len(distances)), key=lambda place: distances[place])
    kept = [p for p in order if not (identities[p] == identity and cameras[p] == camera)][:count]
    return kept + [-1] * (count - len(kept))


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("memory_bytes", [1, 2**28], ids=["one query at once", "all at once"])
def test_the_first_pictures_are_the_textbooks(seed, memory_bytes):
    random = np.random.default_rng(seed)
    queries, size, count = 7, int(random.integers(1, 40)), 10
    # Few distinct directions: most distances tie, and gallery order decides.
    directions = torch.eye(4)[torch.from_numpy(random.integers(0, 4, queries + size))]
    query_ids, query_cameras, ids, cameras = (
        random.integers(0, 3, number).tolist() for number in (queries, queries, size, size)
    )
    found = nearest(
        directions[:queries], directions[queries:], items(query_ids, query_cameras), items(ids, cameras), count,
        memory_bytes=memory_bytes,
    )  # fmt: skip
    distances = (-directions[:queries] @ directions[queries:].T).tolist()
    for query in range(queries):
        assert found[query].tolist() == literal(
            distances[query], query_ids[query], query_cameras[query], ids, cameras, count
        )


def test_untied_distances_come_in_ascending_order():
    torch.manual_seed(0)
    queries, gallery = torch.randn(5, 16), torch.randn(200, 16)
    found = nearest(queries, gallery, items([0] * 5, [0] * 5), items([1] * 200, [1] * 200), 10)
    cosine = (
        torch.nn.functional.normalize(queries.double()) @ torch.nn.functional.normalize(gallery.double()).T
    )
    assert found.tolist() == cosine.argsort(dim=1, descending=True)[:, :10].tolist()
