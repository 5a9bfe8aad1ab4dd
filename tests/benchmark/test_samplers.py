"""Batches are a function of seed and epoch, visit every picture once, and never hold one picture alone."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmark.data.pair_sampler import PartnerBatches
from benchmark.data.samplers import ShuffledBatches
from benchmark.errors import DataError


@given(
    pictures=st.integers(2, 300), batch=st.integers(2, 40), seed=st.integers(0, 5), epoch=st.integers(0, 5)
)
def test_every_picture_once_an_epoch_and_no_batch_of_one(pictures, batch, seed, epoch):
    sampler = ShuffledBatches(pictures, batch, seed)
    batches = list(sampler.epoch(epoch))
    assert sorted(index for part in batches for index in part) == list(range(pictures))
    assert len(batches) == sampler.length(epoch)
    assert all(2 <= len(part) <= max(batch, 3) for part in batches)


@given(pictures=st.integers(2, 200), batch=st.integers(2, 40), start=st.integers(0, 20))
def test_a_resumed_epoch_gives_the_remaining_batches(pictures, batch, start):
    sampler = ShuffledBatches(pictures, batch, seed=3)
    assert list(sampler.epoch(1, start)) == list(sampler.epoch(1))[start:]


def test_epochs_seeds_and_streams_differ_and_repeat():
    def order(seed, epoch, partners=False):
        sampler = ShuffledBatches(100, 16, seed)
        chosen = PartnerBatches(100, sampler, seed) if partners else sampler
        return [index for part in chosen.epoch(epoch) for index in part]

    assert order(0, 0) == order(0, 0)
    assert order(0, 0) != order(0, 1)
    assert order(0, 0) != order(1, 0)
    assert order(0, 0) != order(0, 0, partners=True)


@given(
    pictures=st.integers(2, 60), batch=st.integers(2, 20), epoch=st.integers(0, 3), start=st.integers(0, 9)
)
def test_partners_are_another_shuffle_with_batches_as_large_as_the_targets(pictures, batch, epoch, start):
    targets = ShuffledBatches(pictures, batch, seed=2)
    partners = PartnerBatches(pictures, targets, seed=2)
    whole = list(partners.epoch(epoch))
    assert [len(part) for part in whole] == [len(part) for part in targets.epoch(epoch)]
    assert sorted(index for part in whole for index in part) == list(range(pictures))
    assert list(partners.epoch(epoch, start)) == whole[start:]


def test_the_papers_epoch_on_cub_has_375_steps_and_drops_no_picture():
    sampler = ShuffledBatches(5994, 16, seed=0)
    assert sampler.length(0) == 375
    assert sum(sampler.sizes) == 5994


@pytest.mark.parametrize("pictures", [0, 1])
def test_too_few_pictures_are_refused(pictures):
    with pytest.raises(DataError, match="at least 2"):
        ShuffledBatches(pictures, 16, seed=0)
