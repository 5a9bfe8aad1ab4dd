"""The hardest queries of a retrieval run equal a literal search, whatever the record lacks."""

import mini_sweep
import pytest

from benchmark.errors import SettingsError
from benchmark.records import status
from reports.errors.examples import hardest_queries


def swept(sweep, name, profile="paper"):
    return status.collect(profile=profile, runs_dir=sweep, seeds=mini_sweep.SEEDS[:1], patterns=[name])


def test_the_hardest_are_those_with_the_lowest_average_precision(sweep):
    baseline, dcal = swept(sweep, "veri/deit_tiny")
    ap, first = dcal.predictions["both_ap"].tolist(), dcal.predictions["both_first_hit"].tolist()
    answerable = [place for place in range(len(ap)) if first[place] > 0]
    expected = sorted(answerable, key=lambda place: (ap[place], place))[:10]
    result = hardest_queries(dcal, baseline)
    assert [query.index for query in result.queries] == expected
    assert [query.ap for query in result.queries] == [100 * ap[place] for place in expected]
    other = baseline.predictions["both_ap"]
    assert [query.other_ap for query in result.queries] == [100 * other[place] for place in expected]
    assert len(answerable) == len(ap) - 3
    assert result.notes == ()


def test_what_was_found_instead_is_what_ranks_before_the_first_right_picture(sweep):
    _, dcal = swept(sweep, "market/deit_tiny", "mini")
    nearest = dcal.predictions["both_nearest"].tolist()
    queries = hardest_queries(dcal, count=80).queries
    assert {query.first_hit for query in queries} >= {1, 2}
    for query in queries:
        assert query.wrong == tuple(nearest[query.index][: query.first_hit - 1])
        assert query.other_ap is None


def test_a_record_without_ranked_lists_says_so(sweep):
    _, dcal = swept(sweep, "veri/deit_tiny")
    without = {name: array for name, array in dcal.predictions.items() if name != "both_nearest"}
    vars(dcal)["predictions"] = without  # the cached property
    result = hardest_queries(dcal)
    assert result.queries[0].wrong is None
    assert "holds no ranked lists" in result.notes[0]


def test_a_run_with_other_queries_is_not_compared_with(sweep):
    _, dcal = swept(sweep, "veri/deit_tiny")
    baseline, _ = swept(sweep, "market/deit_small")
    result = hardest_queries(dcal, baseline)
    assert result.queries[0].other_ap is None
    assert "market/deit_small/baseline/seed0 has other queries" in result.notes[0]


def test_a_torn_file_of_the_other_run_leaves_the_queries(sweep):
    baseline, dcal = swept(sweep, "veri/deit_tiny")
    baseline.folder.predictions.write_bytes(b"torn")
    result = hardest_queries(dcal, baseline)
    assert len(result.queries) == 10
    assert "veri/deit_tiny/baseline/seed0 is not compared with" in result.notes[0]


def test_a_run_that_is_not_done_has_none(sweep):
    assert hardest_queries(swept(sweep, "duke/deit_tiny/dcal")[0]) is None


def test_classification_is_refused(sweep):
    with pytest.raises(SettingsError, match="fine-grained"):
        hardest_queries(swept(sweep, "cub/deit_tiny/dcal")[0])
