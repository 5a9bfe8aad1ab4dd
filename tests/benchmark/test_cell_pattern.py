"""Patterns over cells, and the name that was probably meant."""

import pytest

from benchmark.config.cell_pattern import LIKELY, full_pattern, matches, nearest_hint


@pytest.mark.parametrize(
    ("pattern", "full"),
    [("cub", "cub/*/*"), ("cub/deit_*/", "cub/deit_*/*"), ("*/*/dcal", "*/*/dcal"), ("*", "*/*/*")],
)
def test_a_pattern_without_its_tail_means_all_of_it(pattern, full):
    assert full_pattern(pattern) == full


@pytest.mark.parametrize(
    ("pattern", "selects"),
    [("cub", True), ("cub/*/dcal", True), ("cub/deit_tiny/dcal", True), ("CUB", False), ("cars", False)],
)
def test_a_pattern_selects_cells_by_their_whole_id(pattern, selects):
    assert matches("cub/deit_tiny/dcal", pattern) == selects


def test_the_nearest_names_are_named_and_far_ones_are_not():
    known = ("deit_tiny", "deit_small", "vit_base")
    assert nearest_hint("deit_tyni", known) == "; nearest: deit_tiny"
    assert nearest_hint("deit_tyni", known, count=2) == "; nearest: deit_tiny, deit_small"
    assert nearest_hint("deit", known, cutoff=LIKELY) == "; nearest: deit_tiny"
    assert nearest_hint("qqq", known) == ""
    assert (
        nearest_hint("vit_bas", {"vit_base": "ViT-Base"}, shown={"vit_base": "ViT-Base"})
        == "; nearest: ViT-Base"
    )
