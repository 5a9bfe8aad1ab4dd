"""P×K batches: their make-up, coverage, true length, resumption and shares of several ranks."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmark.config.compute_setup import Shares
from benchmark.data.pair_sampler import PartnerBatches
from benchmark.data.samplers import IdentityBatches
from benchmark.errors import DataError


@st.composite
def training_sets(draw):
    """Labels in random order, and P and K that they allow."""
    counts = draw(st.lists(st.integers(1, 12), min_size=2, max_size=14))
    labels = draw(st.permutations([label for label, count in enumerate(counts) for _ in range(count)]))
    return labels, draw(st.integers(1, len(counts))), draw(st.integers(1, 5))


@settings(max_examples=200)
@given(case=training_sets(), seed=st.integers(0, 3), epoch=st.integers(0, 3))
def test_every_batch_is_p_distinct_identities_with_k_pictures_each(case, seed, epoch):
    labels, p, k = case
    sampler = IdentityBatches(labels, p, k, seed)
    batches = list(sampler.epoch(epoch))
    assert len(batches) == sampler.length(epoch) > 0
    for batch in batches:
        assert Counter(Counter(labels[index] for index in batch).values()) == {k: p}
        groups = [batch[start : start + k] for start in range(0, len(batch), k)]
        assert all(len({labels[index] for index in group}) == 1 for group in groups)


@settings(max_examples=200)
@given(case=training_sets(), epoch=st.integers(0, 3))
def test_no_identity_misses_an_epoch(case, epoch):
    labels, p, k = case
    seen = {labels[index] for batch in IdentityBatches(labels, p, k, 0).epoch(epoch) for index in batch}
    assert seen == set(labels)


@settings(max_examples=200)
@given(case=training_sets(), epoch=st.integers(0, 3))
def test_pictures_repeat_only_where_an_identity_has_too_few_or_fills_the_last_batch(case, epoch):
    labels, p, k = case
    batches = list(IdentityBatches(labels, p, k, 0).epoch(epoch))
    pictures = Counter(labels)
    for upto in (batches[:-1],):  # the last batch may hold identities for a second time
        times = Counter(index for batch in upto for index in batch)
        assert all(times[index] == 1 for index in times if pictures[labels[index]] >= k)
    for batch in batches:
        for start in range(0, len(batch), k):
            group = batch[start : start + k]
            assert len(set(group)) == min(k, pictures[labels[group[0]]])


@given(case=training_sets(), epoch=st.integers(0, 3), start=st.integers(0, 6))
def test_a_resumed_epoch_gives_the_remaining_batches(case, epoch, start):
    labels, p, k = case
    whole = list(IdentityBatches(labels, p, k, 1).epoch(epoch))
    assert list(IdentityBatches(labels, p, k, 1).epoch(epoch, start)) == whole[start:]


def test_epochs_and_seeds_differ_and_repeat():
    labels = [label for label in range(20) for _ in range(8)]

    def order(seed, epoch):
        return list(IdentityBatches(labels, 8, 4, seed).epoch(epoch))

    assert order(0, 0) == order(0, 0)
    assert order(0, 0) != order(0, 1)
    assert order(0, 0) != order(1, 0)


def test_an_epoch_on_a_set_like_market_visits_most_pictures():
    rng = np.random.default_rng(0)
    counts = rng.integers(2, 34, 751)  # 17 a person on average, as Market-1501
    labels = np.repeat(np.arange(751), counts)
    sampler = IdentityBatches(labels.tolist(), 16, 4, 0)
    for epoch in range(3):
        batches = list(sampler.epoch(epoch))
        visited = {index for batch in batches for index in batch}
        assert len(batches) == sampler.length(epoch)
        # Remainders of groups of four are dropped: at most 3 of an identity's pictures, 1.5 on average.
        assert len(visited) > 0.85 * len(labels)
        assert len(batches) * 64 == sum(len(batch) for batch in batches) <= 1.1 * len(labels)


@pytest.mark.parametrize("ranks", [2, 4, 8])
def test_ranks_share_every_batch_in_whole_identities(ranks):
    labels = [label for label in range(40) for _ in range(9)]
    for batch in IdentityBatches(labels, 8, 4, 3).epoch(2):
        parts = [Shares(rank, ranks, least=2).take(batch) for rank in range(ranks)]
        assert [index for part in parts for index in part] == batch
        for part in parts:
            assert len(part) == 32 // ranks
            assert Counter(labels[index] for index in part) == dict.fromkeys({labels[i] for i in part}, 4)


def test_more_identities_a_batch_than_there_are_is_refused():
    with pytest.raises(DataError, match=r"needs 16 identities .* the training set has 15"):
        IdentityBatches(list(range(15)) * 4, 16, 4, 0)


def test_identities_with_two_pictures_fill_groups_of_four_from_their_own():
    labels = [label for label in range(210) for _ in range(2)]
    batches = list(IdentityBatches(labels, 16, 4, 0).epoch(0))
    assert len(batches) == 14  # 13 of 16 identities, one for the two left over
    assert {labels[index] for batch in batches for index in batch} == set(range(210))


def test_independent_partners_come_in_batches_as_large_and_cover_the_set_evenly():
    labels = [label for label in range(10) for _ in range(5)]
    targets = IdentityBatches(labels, 8, 4, 0)
    partners = PartnerBatches(len(labels), targets, 0)
    for epoch in range(3):
        batches = list(partners.epoch(epoch))
        assert [len(batch) for batch in batches] == [32] * targets.length(epoch)
        times = Counter(index for batch in batches for index in batch)
        assert max(times.values()) - min(times[index] for index in range(50)) <= 1
        assert list(partners.epoch(epoch, 1)) == batches[1:]
