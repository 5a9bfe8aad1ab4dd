"""Second batches of partners of the same class or of another; runs that would find none are refused."""

from collections import Counter

import pytest
from scipy.stats import chisquare

from benchmark.config.grid import select
from benchmark.config.resolve import load_profile, resolve
from benchmark.data.pair_sampler import ClassPartners, PartnerBatches, partner_batches, require_other_classes
from benchmark.data.samplers import IdentityBatches, ShuffledBatches
from benchmark.errors import DataError, SettingsError
from dcal.settings import PWCASettings

LABELS = [2, 0, 1, 0, 2, 0, 1, 2, 2]  # classes of 3, 2 and 4, in no order
EPOCHS = 400


def pairs(pairing, targets, epochs=range(EPOCHS)):
    """(picture, partner) of so many epochs."""
    partners = partner_batches(PWCASettings(pairing=pairing), LABELS, targets, seed=0)
    found = []
    for epoch in epochs:
        for batch, second in zip(targets.epoch(epoch), partners.epoch(epoch), strict=True):
            found += zip(batch, second, strict=True)
    return found


def probabilities(pairing, picture):
    fellows = [i for i in range(9) if i != picture and LABELS[i] == LABELS[picture]]
    others = [i for i in range(9) if LABELS[i] != LABELS[picture]]
    same = {"same": 1, "other": 0, "half": 0.5}[pairing]
    weights = dict.fromkeys(fellows, same / len(fellows)) | dict.fromkeys(others, (1 - same) / len(others))
    return {partner: weight for partner, weight in weights.items() if weight}


@pytest.mark.parametrize("pairing", ["same", "other", "half"])
def test_every_partner_is_drawn_as_often_as_it_should(pairing):
    """Chi-square for each of 9 pictures on its partners of 400 epochs; none but the allowed ones occur."""
    drawn = Counter(pairs(pairing, ShuffledBatches(9, 4, seed=0)))
    for picture in range(9):
        expected = probabilities(pairing, picture)
        found = {partner: count for (one, partner), count in drawn.items() if one == picture}
        assert set(found) == set(expected)
        counts, shares = zip(*((found[p], EPOCHS * share) for p, share in expected.items()), strict=True)
        assert len(counts) == 1 or chisquare(counts, shares).pvalue > 1e-3


def test_a_picture_that_comes_twice_in_an_epoch_draws_twice():
    """Re-identification fills a batch up: four pictures an identity, which here has four at most."""
    targets = IdentityBatches(LABELS, identities=3, instances=4, seed=0)
    drawn = pairs("other", targets, [0])
    assert len(drawn) == 12
    assert all(LABELS[one] != LABELS[other] for one, other in drawn)
    of_class_0 = [other for one, other in drawn if LABELS[one] == 0]
    assert len(set(of_class_0)) > 1


def test_partners_are_a_function_of_seed_and_epoch_and_go_on_in_mid_epoch():
    targets = ShuffledBatches(9, 2, seed=0)

    def order(seed, epoch, start=0):
        return list(ClassPartners(LABELS, targets, seed, 0.5).epoch(epoch, start))

    assert order(0, 1) == order(0, 1)
    assert order(0, 1) != order(0, 2)
    assert order(0, 1) != order(1, 1)
    assert order(0, 1, start=2) == order(0, 1)[2:]
    assert ClassPartners(LABELS, targets, 0, 0.5).length(0) == targets.length(0) == 4


def test_only_pairings_with_a_second_batch_bring_one():
    targets = ShuffledBatches(9, 2, seed=0)
    for settings in (None, PWCASettings(), PWCASettings(pairing="hardest")):
        assert partner_batches(settings, LABELS, targets, 0) is None
    assert partner_batches(PWCASettings(pairing="same", regulariser="kv_noise"), LABELS, targets, 0) is None
    assert isinstance(partner_batches(PWCASettings(pairing="loader"), LABELS, targets, 0), PartnerBatches)


@pytest.mark.parametrize(
    ("pairing", "labels", "why"),
    [
        ("same", [0, 0, 1, 2, 2], "1 of 3 training classes have one picture alone"),
        ("half", [0, 1], "2 of 2 training classes have one picture alone"),
        ("half", [0, 0], "the training set has one class"),
        ("other", [4, 4, 4], "the training set has one class"),
    ],
)
def test_classes_in_which_a_picture_has_no_partner_are_refused(pairing, labels, why):
    targets = ShuffledBatches(len(labels), 2, seed=0)
    with pytest.raises(DataError, match=why):
        partner_batches(PWCASettings(pairing=pairing), labels, targets, 0)


def test_of_other_classes_alone_each_may_have_one_picture():
    assert list(ClassPartners([0, 1, 2], ShuffledBatches(3, 3, 0), 0, same=0.0).epoch(0))


# ---- batches without another class --------------------------------------------------------------------------


class Fixed:
    """The same batches in every epoch."""

    def __init__(self, *batches):
        self.batches = batches

    def length(self, epoch):
        return len(self.batches)

    def epoch(self, epoch, start=0):
        return iter(self.batches[start:])


def required(batches, *, cell="cub/deit_tiny/dcal", ranks=1, parts=1, **model):
    named = {f"model.{name}": value for name, value in ({"pwca_pairing": "hardest"} | model).items()}
    config = resolve(select([cell])[0], 0, load_profile("mini"), named)
    require_other_classes(config, LABELS, Fixed(*batches), ranks, parts)


def test_a_batch_of_one_class_is_refused_before_training():
    with pytest.raises(SettingsError, match="in step 2 of epoch 1 the batch has pictures of one class alone"):
        required([[0, 1], [0, 4, 7]])
    required([[0, 1], [0, 4, 1]])


@pytest.mark.parametrize(("ranks", "parts"), [(2, 1), (1, 2)])
def test_so_is_a_share_or_a_part_of_a_batch(ranks, parts):
    required([[0, 4, 1, 0, 4, 1]], ranks=ranks, parts=parts)
    with pytest.raises(SettingsError, match="one of 2 parts of the batch"):
        required([[0, 4, 1, 0, 4, 7]], ranks=ranks, parts=parts)


@pytest.mark.parametrize(
    "asked",
    [{"pwca_pairing": "batch"}, {"pwca_blocks": 0}, {"pwca_regulariser": "kv_noise"}],
    ids=str,
)
def test_runs_that_look_at_no_class_are_not_held_up(asked):
    required([[0, 4]], **asked)


def test_batches_of_whole_identities_are_never_of_one():
    required([[0, 4]], cell="market/deit_tiny/dcal")
