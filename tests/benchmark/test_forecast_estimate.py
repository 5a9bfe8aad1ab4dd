"""A forecast's arithmetic, by numbers that a pencil gives, and what counts as one shape."""

import pytest

from benchmark.config import resolve
from benchmark.config.grid import all_cells, select
from benchmark.records import workload
from benchmark.records.estimate import Estimate, estimate, estimate_from_forecast, evaluation_count
from benchmark.records.forecasts import (
    Forecast,
    Machine,
    Pace,
    RankingTime,
    ReadingPace,
    entry,
    measurement_origin,
    ranking_key,
)
from benchmark.records.workload import reading_key, step_workload
from benchmark.timing import forecast_table

PACE = Pace(step_seconds=0.5, batch_seconds=0.2, memory_bytes=2**30, width=192, precision="bfloat16")
FAST = ReadingPace(per_second=100.0, text="its own", at_hand=True)


def asked(cell, profile="paper", **overrides):
    (found,) = select([cell])
    overrides = {name.replace("__", "."): value for name, value in overrides.items()}
    return resolve.resolve(found, 0, resolve.load_profile(profile), overrides)


def cub(method="dcal", **overrides):
    one = asked(f"cub/deit_tiny/{method}", **overrides)
    return one, workload.official_counts(one)


def test_a_run_is_its_steps_and_its_evaluations():
    # 375 steps of 0.5 s; 5,794 pictures in 363 batches of 0.2 s; 100 epochs with an evaluation each. Four workers read
    # the 16 pictures of a step within 0.04 s.
    found = estimate(*cub(), PACE, FAST, None, workers=4)
    assert found.epoch_seconds == pytest.approx(187.5)
    assert found.evaluation_seconds == pytest.approx(72.6)
    assert found.run_seconds == pytest.approx(26_010)
    assert (found.bound, found.memory_bytes, found.shared) == ("compute", 2**30, True)


def test_without_workers_reading_and_computing_add_up():
    found = estimate(*cub(), PACE, FAST, None, workers=0)
    assert found.epoch_seconds == pytest.approx(375 * (0.5 + 0.16))
    assert found.evaluation_seconds == pytest.approx(363 * (0.2 + 0.16))


def test_with_workers_the_slower_of_reading_and_computing_counts():
    slow = ReadingPace(per_second=10.0, text="its own", at_hand=True)
    found = estimate(*cub(), PACE, slow, None, workers=2)
    assert found.epoch_seconds == pytest.approx(375 * 16 / 10 / 2)
    assert found.bound == "input"


def test_partners_of_a_second_batch_are_read_too():
    one = cub(model__pwca_pairing="loader")
    assert estimate(*one, PACE, FAST, None, workers=0).epoch_seconds == pytest.approx(375 * (0.5 + 0.32))
    alone = cub("baseline", model__pwca_pairing="loader")
    assert estimate(*alone, PACE, FAST, None, workers=0).epoch_seconds == pytest.approx(375 * (0.5 + 0.16))


def test_several_ranks_train_no_faster_unless_their_share_was_measured():
    alone = estimate(*cub(), PACE, FAST, None, workers=4, ranks=4)
    assert alone.epoch_seconds == pytest.approx(187.5)
    assert alone.evaluation_seconds == pytest.approx(91 * 0.2)  # 363 batches by four
    assert not alone.shared
    share = Pace(0.15, 0.1, 2**28, 192, "bfloat16")
    found = estimate(*cub(), PACE, FAST, None, workers=4, ranks=4, share=share)
    assert found.epoch_seconds == pytest.approx(375 * 0.15)
    assert (found.shared, found.memory_bytes) == (True, 2**28)


def test_ranking_is_read_off_the_line_through_two_widths():
    ranking = RankingTime(narrow=192, narrow_seconds=2.0, wide=768, wide_seconds=8.0)
    assert ranking.seconds(192) == pytest.approx(2)
    assert ranking.seconds(480) == pytest.approx(5)
    assert ranking.seconds(1536) == pytest.approx(16)
    noisy = RankingTime(192, 2.0, 768, 1.9)
    assert noisy.seconds(1536) == pytest.approx(2)


def test_dcal_ranks_by_each_feature_and_both_together_and_swin_by_one():
    ranking = RankingTime(192, 2.0, 768, 8.0)
    pace = Pace(0.5, 0.2, 0, 768, "float32")
    seconds = {}
    for cell in ("msmt17/vit_base/baseline", "msmt17/vit_base/dcal", "msmt17/swin_tiny/dcal"):
        one = asked(cell)
        found = estimate(one, workload.official_counts(one), pace, FAST, ranking, workers=8)
        seconds[cell] = found.evaluation_seconds - 1466 * 0.2  # 93,820 pictures by 64
    assert seconds["msmt17/vit_base/baseline"] == pytest.approx(8)
    assert seconds["msmt17/vit_base/dcal"] == pytest.approx(8 + 8 + 16)
    assert seconds["msmt17/swin_tiny/dcal"] == pytest.approx(8)


@pytest.mark.parametrize(("epochs", "every", "times"), [(100, 1, 100), (120, 40, 3), (8, 3, 3), (10, 20, 1)])
def test_the_last_epoch_is_evaluated_in_any_case(epochs, every, times):
    assert evaluation_count(epochs, every) == times


def test_official_counts_are_the_registry_s():
    found = workload.official_counts(asked("cub/deit_tiny/dcal"))
    assert (found.classes, found.train, found.steps, found.test) == (200, 5994, 375, 5794)
    merged, apart = asked("msmt17/vit_base/dcal"), asked("msmt17/vit_base/dcal", data__merge_val=False)
    assert workload.official_counts(merged).train == 30_248 + 2_373
    assert workload.official_counts(apart).train == 30_248
    assert workload.official_counts(merged).test == 11_659 + 82_161
    # 12,936 pictures of 751 identities: 17 or 18 each, so 4 groups of 4, and 3,004 groups by 16.
    assert workload.official_counts(asked("market/deit_tiny/dcal")).steps == 187
    limited = workload.official_counts(asked("cub/deit_tiny/dcal", "quick", data__class_limit=25))
    assert (limited.classes, limited.train, limited.test) == (25, 749, 724)


def test_counts_of_data_at_hand_are_what_the_run_s_own_sampler_makes(mini_pictures):
    from benchmark.data import locate
    from benchmark.training.tasks import TASKS

    for cell in ("cub/deit_tiny/dcal", "market/deit_tiny/dcal"):
        one = asked(cell, "mini")
        dataset = locate.load_dataset(one.cell.dataset, mini_pictures, one.settings.data)
        found = workload.count_dataset(one, dataset)
        sampler = TASKS[one.cell.task].sampler(dataset, one.settings.train, 0)
        assert found.steps == sum(1 for _ in sampler.epoch(0))
        assert found.test == len(dataset.test)
        assert found.train == len(dataset.train)
        assert not found.is_complete(workload.official_counts(one))


def test_runs_that_differ_in_what_costs_no_time_are_one_shape():
    shape = step_workload(asked("cub/deit_tiny/dcal"), 200)
    for same in ({"train__lr": 0.1}, {"train__epochs": 3}, {"evaluate__every": 7}, {"data__flip": 0.0}):
        assert step_workload(asked("cub/deit_tiny/dcal", **same), 200).key == shape.key
    for other in (
        {"train__batch_size": 8},
        {"data__crop": (224, 224)},
        {"model__glca_ratio": 0.3},
        {"model__pwca_blocks": 6},
        {"train__precision": "float32"},
        {"train__optimizer": "sgd"},
    ):
        assert step_workload(asked("cub/deit_tiny/dcal", **other), 200).key != shape.key
    assert step_workload(asked("cub/deit_tiny/dcal"), 100).key != shape.key
    assert step_workload(asked("cub/deit_tiny/dcal"), 200, "recompute=true").key != shape.key
    baseline = asked("cub/deit_tiny/baseline", model__glca_ratio=0.3)
    assert step_workload(baseline, 200).key == step_workload(asked("cub/deit_tiny/baseline"), 200).key


def test_datasets_of_equal_size_and_classes_are_one_shape():
    market, duke = (asked(f"{name}/deit_tiny/dcal") for name in ("market", "duke"))
    assert step_workload(market, 751).key == step_workload(duke, 751).key
    full = [(one, workload.official_counts(one)) for one in map(asked, (cell.id for cell in all_cells()))]
    assert len({step_workload(one, found.classes).key for one, found in full}) == 68


def stored(one, found, *, pace=PACE, pictures=FAST, ranking=None, workers=0, by=None):
    by = by or measurement_origin()
    key = reading_key(one.cell.dataset, one.settings.data, in_process=not workers)
    forecast = Forecast(
        Machine("cuda", "a GPU"),
        paces={step_workload(one, found.classes).key: entry(pace, None, by)},
        pictures={key: entry(pictures, None, by)},
    )
    if ranking:
        forecast.rankings[ranking_key(found)] = entry(ranking, None, by)
    return forecast


def test_a_forecast_that_lacks_a_part_says_nothing():
    one, found = cub()
    whole = stored(one, found)
    assert estimate_from_forecast(one, whole, found, workers=0) == estimate(
        one, found, PACE, FAST, None, workers=0
    )
    assert estimate_from_forecast(one, whole, found, workers=4) is None  # reading by workers was not measured
    assert estimate_from_forecast(one, whole, None, workers=0) is None
    assert estimate_from_forecast(one, whole, found, workers=0, tuning="accumulate=2") is None
    reid = asked("market/deit_tiny/dcal")
    of_reid = workload.official_counts(reid)
    assert estimate_from_forecast(reid, stored(reid, of_reid), of_reid, workers=0) is None
    ranked = stored(reid, of_reid, ranking=RankingTime(192, 1.0, 768, 2.0))
    assert estimate_from_forecast(reid, ranked, of_reid, workers=0) is not None


@pytest.mark.parametrize("stale", ["paces", "pictures", "rankings"])
def test_an_estimate_is_fresh_only_if_all_that_it_rests_on_is(stale):
    one = asked("market/deit_tiny/dcal")
    found = workload.official_counts(one)
    forecast = stored(one, found, ranking=RankingTime(192, 1.0, 768, 2.0))
    assert estimate_from_forecast(one, forecast, found, workers=0).fresh
    for measurement in getattr(forecast, stale).values():
        measurement["code"] = "another"
    assert not estimate_from_forecast(one, forecast, found, workers=0).fresh


def test_a_rank_s_share_has_to_be_fresh_too():
    one, found = cub()
    forecast = stored(one, found)
    share = step_workload(one, found.classes).share(4).key
    for by, fresh in ((measurement_origin(), True), (measurement_origin() | {"torch": "another"}, False)):
        forecast.paces[share] = entry(PACE, None, by)
        assert estimate_from_forecast(one, forecast, found, workers=0, ranks=4).fresh == fresh


def told(type="cuda", threads=0, seeds=3, published=frozenset({("cub", "deit_tiny")})):
    of = {
        "baseline": Estimate(10.0, 1.0, 3600.0, 2**30, "compute"),
        "dcal": Estimate(25.0, 2.0, 9000.0, 3 * 2**30, "input"),
    }
    found = {("cub", "deit_tiny"): of, ("market", "vit_base"): {"baseline": of["baseline"]}}
    return forecast_table.ForecastTable(Machine(type, "a device", threads), found, seeds, published)


def test_the_table_has_baseline_and_dcal_side_by_side_and_the_published_cost_beside():
    lines = [
        [part.strip() for part in line.split("|")[1:-1]] for line in forecast_table.table(told()).splitlines()
    ]
    heading, _, cub_row, market = lines
    assert heading[-1] == "paper, Tesla V100 GPU-hours"
    assert cub_row == [
        "CUB-200-2011 · DeiT-Tiny", "10 s", "25 s", "2.50", "60 min", "2 h 30 min", "1.00 GiB", "3.00 GiB", "1", "2.5",
        "compute, input", "8.4 / 15.2",
    ]  # fmt: skip
    assert market[1:5] == ["10 s", "–", "–", "60 min"]
    assert market[-1] == ""
    assert "V100" not in forecast_table.table(told(published=frozenset()))


def test_totals_are_all_runs_times_the_seeds_in_hours_of_their_kind():
    (line,) = forecast_table.totals(told())
    assert line.startswith("9 runs (3 seeds): 13.5 GPU-hours (baseline 6, dcal 7.5); one after another")
    assert line.endswith("13 h 30 min")
    (cores,) = forecast_table.totals(told("cpu", threads=2, seeds=1))
    assert cores.startswith("3 runs (1 seed): 9 core-hours (baseline 4, dcal 5)")
    nothing = forecast_table.ForecastTable(
        Machine("cuda", "a GPU"), {("cub", "deit_tiny"): {}}, 1, frozenset()
    )
    assert forecast_table.totals(nothing) == ["nothing can be forecast"]
