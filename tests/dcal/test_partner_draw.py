"""Who is whose distractor."""

from collections import Counter
from itertools import permutations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare
from small_models import random_images, small_dcal

import dcal
from dcal.pwca import random_partners


@settings(deadline=None, max_examples=60)
@given(images=st.integers(2, 200), seed=st.integers(0, 2**31))
def test_everybody_has_one_partner_and_nobody_is_its_own(images, seed):
    torch.manual_seed(seed)
    partner = random_partners(images).tolist()
    assert sorted(partner) == list(range(images))
    assert all(i != other for i, other in enumerate(partner))


def test_all_derangements_are_equally_likely():
    """4 images have 9 derangements; chi-square on 1,800 draws from a fixed seed."""
    torch.manual_seed(0)
    drawn = Counter(tuple(random_partners(4).tolist()) for _ in range(1800))
    derangements = [p for p in permutations(range(4)) if all(i != other for i, other in enumerate(p))]
    assert len(derangements) == 9
    assert set(drawn) == set(derangements)
    assert chisquare([drawn[p] for p in derangements]).pvalue > 0.01


def test_a_batch_of_one_is_refused_with_what_to_do():
    model = small_dcal(pwca=dcal.PWCASettings())
    with pytest.raises(ValueError, match=r"batch of 1.*at least 2.*pairing='loader'"):
        model(random_images(1))


def test_partners_are_drawn_anew_in_every_step():
    model = small_dcal(pwca=dcal.PWCASettings())
    torch.manual_seed(0)
    images = random_images(8)
    assert not torch.equal(model(images).pwca.logits, model(images).pwca.logits)


def test_loader_pairing_takes_a_batch_of_one():
    model = small_dcal(pwca=dcal.PWCASettings(pairing="loader"))
    assert model(random_images(1), partner_images=random_images(1, seed=2)).pwca.logits.shape == (1, 5)


def test_loader_pairing_without_its_second_batch_is_refused():
    model = small_dcal(pwca=dcal.PWCASettings(pairing="loader"))
    with pytest.raises(ValueError, match="needs partner_images of shape"):
        model(random_images(2))


def test_loader_pairing_with_a_batch_of_another_size_is_refused():
    model = small_dcal(pwca=dcal.PWCASettings(pairing="loader"))
    with pytest.raises(ValueError, match=r"\(2, 3, 32, 32\), found \(3, 3, 32, 32\)"):
        model(random_images(2), partner_images=random_images(3))


def test_batch_pairing_with_a_second_batch_is_refused():
    model = small_dcal(pwca=dcal.PWCASettings())
    with pytest.raises(ValueError, match="partner_images belong to pairing='loader'"):
        model(random_images(2), partner_images=random_images(2))


def test_loader_pairing_gives_the_targets_outputs_alone():
    """The distractors' stream is a means: SA and GLCA say something about the targets only, and the same as ever."""
    plain = small_dcal(glca=dcal.GLCASettings())
    paired = small_dcal(glca=dcal.GLCASettings(), pwca=dcal.PWCASettings(pairing="loader"))
    expected = plain(random_images(3)).branches()
    found = paired(random_images(3), partner_images=random_images(3, seed=5)).branches()
    for name, branch in expected.items():
        torch.testing.assert_close(found[name].logits, branch.logits, rtol=0, atol=1e-5)


def test_a_partner_for_some_of_the_images_is_refused():
    model = small_dcal(pwca=dcal.PWCASettings())
    with pytest.raises(ValueError, match="partner"):
        model(random_images(4), partner=torch.tensor([1, 0]))


def test_a_partner_where_the_loader_pairs_is_refused():
    model = small_dcal(pwca=dcal.PWCASettings(pairing="loader"))
    with pytest.raises(ValueError, match="partner"):
        model(random_images(2), partner=torch.tensor([1, 0]), partner_images=random_images(2))
