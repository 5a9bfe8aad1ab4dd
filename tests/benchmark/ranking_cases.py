"""Ranking problems that the suite and the textbook both solve, by hand or drawn, and how their answers are compared."""

from collections.abc import Callable
from dataclasses import dataclass, fields

import numpy as np
import pytest
import textbook
import torch

from benchmark.errors import DataError
from benchmark.evaluation.ranking import Items, rank_distances

REFUSED = (DataError, ValueError)
MEMORY = [1, 500, 20_000, 2**28]  # bytes that ranking features may use


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


# ---- drawn ------------------------------------------------------------------------------------------------


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


def feature_case(queries, gallery, seed, cameras=3, identities=4):
    """Distances by the textbook, in float64, and identities at random."""
    rng = np.random.default_rng(seed)
    rows = [[textbook.minus_cosine(a, b) for b in gallery.tolist()] for a in queries.tolist()]
    labels = lambda top, n: rng.integers(1, top, endpoint=True, size=n).tolist()  # noqa: E731
    q, g = len(queries), len(gallery)
    return Case(
        torch.tensor(rows, dtype=torch.float64),
        labels(identities, q),
        labels(cameras, q),
        labels(identities, g),
        labels(cameras, g),
    )
