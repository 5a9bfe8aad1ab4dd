"""A ranking problem that the suite and the textbook both solve, and how their answers are compared."""

from dataclasses import dataclass, fields

import numpy as np
import pytest
import textbook
import torch

from benchmark.errors import DataError
from benchmark.ranking import Items, rank_distances

REFUSED = (DataError, ValueError)


@dataclass
class Case:
    """distances[i, j]: of query i to gallery item j; identities and cameras as lists."""

    distances: torch.Tensor
    query_identities: list[int]
    query_cameras: list[int]
    identities: list[int]
    cameras: list[int]

    def queries(self):
        return items(self.query_identities, self.query_cameras)

    def gallery(self):
        return items(self.identities, self.cameras)

    def ranked(self, split=None):
        """split: queries in each block; all in one without."""
        blocks = [self.distances] if split is None else self.distances.split(split)
        return rank_distances(iter(blocks), self.queries(), self.gallery())

    def by_textbook(self):
        rows = zip(self.distances.tolist(), self.query_identities, self.query_cameras, strict=True)
        return [textbook.one_query(*row, self.identities, self.cameras) for row in rows]

    def changed(self, **values):
        names = [field.name for field in fields(self)]
        return Case(**{name: values.get(name, getattr(self, name)) for name in names})


def items(identities, cameras, dtype=np.int64):
    return Items(np.array(identities, dtype=dtype), np.array(cameras, dtype=dtype))


def one_query_case(distances, identities, cameras, identity=1, camera=1, dtype=torch.float32):
    return Case(torch.tensor([distances], dtype=dtype), [identity], [camera], identities, cameras)


def assert_as_in_the_textbook(ranking, answers, where=""):
    ap = [answer.ap for answer in answers]
    np.testing.assert_allclose(ranking.ap, ap, rtol=0, atol=1e-12, err_msg=where)
    np.testing.assert_array_equal(ranking.first_hit, [a.first_hit for a in answers], err_msg=where)
    np.testing.assert_array_equal(ranking.ties, [a.ties for a in answers], err_msg=where)
    np.testing.assert_array_equal(ranking.valid, [any(a.right) for a in answers], err_msg=where)
    if any(answer.first_hit for answer in answers):
        assert ranking.mean_ap() == pytest.approx(textbook.mean_ap(answers), rel=1e-12, abs=0), where
        curve = textbook.cmc(answers, 50)
        for k in (1, 5, 10, 50):
            assert ranking.cmc(k) == pytest.approx(curve[k - 1], rel=1e-12, abs=0), f"{where}, k = {k}"
    else:
        with pytest.raises(REFUSED):
            ranking.mean_ap()
        with pytest.raises(REFUSED):
            ranking.cmc(1)


def assert_same(a, b):
    np.testing.assert_array_equal(a.ap, b.ap)
    np.testing.assert_array_equal(a.first_hit, b.first_hit)
    np.testing.assert_array_equal(a.ties, b.ties)
