"""Counts over the paper's 34 comparisons: decided, open, and not comparable."""

import pytest
from synthetic_runs import done, other, with_answers, with_ranking

from benchmark.config.grid import TABLES
from tables.headline import VerdictCounts, headline
from tables.states import summarize


def pair(place, gain, *, base=60.0, seed=0, **kind):
    """Two done runs of a dataset and backbone with this gain, in the metric of their table."""
    table = next(key for key, grid in TABLES.items() if tuple(place.split("/")) in grid.pairs)
    result = []
    for method, top, first in (("baseline", base, 0), ("dcal", base + gain, 300)):
        cell_id = f"{place}/{method}"
        if place.split("/")[0] in ("cub", "cars", "aircraft"):
            result.append(with_answers(done(cell_id, seed, top, table=table, **kind), first))
        else:
            result.append(
                with_ranking(done(cell_id, seed, None, table=table, mAP=top, R1=80.0, **kind), first)
            )
    return result


def count(*runs, profile="paper", overrides=(), tables=tuple(TABLES)):
    return headline([summarize(table, profile, runs, overrides) for table in tables])


def test_the_paper_makes_34_comparisons():
    result = count()
    assert result.comparisons == 34
    assert result.claim == VerdictCounts(yes=0, no_difference=0, hurts=0, open=34)
    assert result.open_reasons == {"neither method is done": 34}
    assert result.these_runs is None


def test_each_verdict_is_counted_once_whatever_the_metric():
    runs = [
        *pair("cub/deit_tiny", 20.0),
        *pair("cars/deit_base", 0.5),
        *pair("aircraft/vit_base", -20.0),
        *pair("veri/deit_tiny", 15.0),
        *pair("msmt17/swin_tiny", 15.0),
        *pair("cub/swin_tiny", 20.0),
    ]
    result = count(*runs)
    assert result.claim == VerdictCounts(yes=4, no_difference=1, hurts=1, open=28)
    assert result.claim.total == result.comparisons == 34
    assert result.these_runs is None


def test_of_retrieval_the_mean_average_precision_decides():
    kind = {"table": "table2", "mAP": 60.0}
    before = with_ranking(done("market/vit_base/baseline", 0, None, R1=50.0, **kind))
    after = with_ranking(done("market/vit_base/dcal", 0, None, R1=99.0, **kind), first=300)
    assert (
        summarize("table2", "paper", [before, after]).gains["market", "vit_base", "R1"].verdict.outcome
        == "yes"
    )
    assert count(before, after).claim == VerdictCounts(yes=0, no_difference=1, hurts=0, open=33)


def test_open_comparisons_are_counted_by_reason():
    lone, _ = pair("cub/deit_small", 1.0)
    runs = [*pair("cub/deit_tiny", 20.0), *pair("cub/deit_tiny", 20.0, seed=1)[:1], lone]
    result = count(*runs)
    assert result.open_reasons == {
        "neither method is done": 32,
        "unequal seeds": 1,
        "only the baseline is done": 1,
    }
    assert result.claim.open == 34


@pytest.mark.parametrize("profile", ["mini", "quick"])
def test_other_profiles_decide_nothing(profile):
    runs = [*pair("cub/deit_tiny", 20.0), *pair("veri/deit_tiny", -15.0)]
    result = count(*runs, profile=profile)
    assert result.claim == VerdictCounts(yes=0, no_difference=0, hurts=0, open=34)
    assert result.open_reasons == {"not comparable": 34}
    assert result.these_runs == VerdictCounts(yes=1, no_difference=0, hurts=1, open=32)


def test_a_changed_recipe_decides_nothing():
    result = count(*pair("cub/deit_tiny", 20.0), overrides=["train.epochs=3"], tables=["table1"])
    assert result.claim.open == 15
    assert result.these_runs.yes == 1


@pytest.mark.parametrize("coverage", ["subset", "generated"])
def test_in_the_papers_profile_other_data_are_counted_apart(coverage):
    runs = [*pair("cub/deit_tiny", 20.0), *pair("cars/deit_tiny", 20.0, coverage=coverage)]
    result = count(*runs)
    assert result.claim == VerdictCounts(yes=1, no_difference=0, hurts=0, open=33)
    assert result.open_reasons == {"neither method is done": 32, "not comparable": 1}
    assert result.these_runs == VerdictCounts(yes=1, no_difference=0, hurts=0, open=0)


def test_the_line_says_the_counts():
    result = count(*pair("cub/deit_tiny", 20.0), other("cub/deit_small/dcal", 0, "failed"))
    assert result.text == (
        "the paper's claim, over 34 comparisons (dataset and backbone, in top-1 or mAP): confirmed in 1, no "
        "difference shown in 0, DCAL hurts in 0, open in 33 (neither method is done: 33)"
    )


def test_the_line_of_other_profiles_keeps_their_counts_apart():
    result = count(*pair("cub/deit_tiny", 20.0), profile="mini", tables=["table1"])
    claim, _, rest = result.text.partition(". ")
    assert "over 15 comparisons (dataset and backbone, in top-1): confirmed in 0" in claim
    assert claim.endswith("open in 15 (not comparable: 15)")
    assert rest.startswith("These runs alone, not comparable with the paper's: DCAL helps in 1,")


def test_an_unknown_verdict_is_not_lost():
    with pytest.raises(KeyError):
        VerdictCounts.from_outcomes(["yes", "perhaps"])
