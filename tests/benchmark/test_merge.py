"""Runs of several folders as one sweep: which record is taken, and what is said of the ones passed over."""

import copy
import itertools
import json

import pytest
from result_example import RESULT

from benchmark.config import resolve
from benchmark.config.grid import select
from benchmark.errors import SettingsError
from benchmark.records import merge
from benchmark.records.run_folder import locate_run

CELL = "cub/deit_tiny/dcal"
ASKED = resolve.resolve(select([CELL])[0], 0, resolve.load_profile("quick"), {})
MONDAY, TUESDAY = "2026-03-02T10:00:00+00:00", "2026-03-03T10:00:00+00:00"


@pytest.fixture
def put(tmp_path):
    """``put("ann", top1=51.0)`` writes a finished run into Ann's folder and returns that folder."""

    def write(name, *, top1=51.0, finished=MONDAY, print_="f" * 64, hash_=ASKED.hash, without=()):
        result = copy.deepcopy(RESULT) | {"profile": "quick", "config_hash": hash_}
        result["metrics"]["top1"] = top1
        result["data"]["fingerprint"] = print_
        result["provenance"]["finished"] = finished
        for metric in without:
            del result["metrics"][metric]
        folder = locate_run(ASKED, tmp_path / name)
        folder.make()
        folder.result.write_text(json.dumps(result))
        return tmp_path / name

    return write


@pytest.fixture
def failed(tmp_path):
    """Writes a failed run."""

    def write(name, message="out of memory"):
        folder = locate_run(ASKED, tmp_path / name)
        folder.make()
        folder.config.write_text(json.dumps({"hash": ASKED.hash}))
        folder.outcome.write_text(json.dumps({"state": "failed", "message": message}))
        return tmp_path / name

    return write


def merged(*folders):
    return merge.collect(folders, profile="quick", patterns=[CELL])


def taken(*folders):
    """The folder that the one run comes from, however the folders are ordered."""
    found = {merged(*order).runs[0].folder.path for order in itertools.permutations(folders)}
    assert len(found) == 1, "the order of the folders decides"
    (path,) = found
    return next(folder for folder in folders if path.is_relative_to(folder))


def test_the_newest_valid_record_wins(put):
    ann, bob = put("ann", top1=51.0, finished=MONDAY), put("bob", top1=52.0, finished=TUESDAY)
    assert taken(ann, bob) == bob


def test_times_are_compared_as_times_not_as_text(put):
    ann = put("ann", top1=51.0, finished="2026-03-02T23:00:00-08:00")  # Tuesday, 07:00 UTC
    bob = put("bob", top1=52.0, finished="2026-03-03T06:00:00+00:00")
    assert taken(ann, bob) == ann


@pytest.mark.parametrize("finished", [None, "", "yesterday", 12])
def test_a_record_without_a_time_is_older_than_any_with_one(put, finished):
    ann, bob = put("ann", top1=51.0, finished=MONDAY), put("bob", top1=52.0, finished=finished)
    assert taken(ann, bob) == ann


def test_records_of_the_same_moment_are_chosen_from_in_any_order_alike(put):
    assert taken(put("ann", top1=51.0), put("bob", top1=52.0), put("cem", top1=53.0))


def test_of_copies_of_one_record_the_one_with_its_predictions_then_its_checkpoint_counts(put):
    ann, bob, cem = put("ann"), put("bob"), put("cem")
    locate_run(ASKED, ann).predictions.write_bytes(b"arrays")
    locate_run(ASKED, bob).checkpoint.write_bytes(b"weights")
    assert taken(ann, bob, cem) == ann
    assert taken(bob, cem) == bob


def test_a_done_run_beats_a_failed_one(put, failed):
    ann, bob = put("ann", finished=MONDAY), failed("bob")
    assert taken(ann, bob) == ann


def test_a_failed_run_beats_one_that_was_never_started(failed, tmp_path):
    (tmp_path / "ann").mkdir()
    found = merged(tmp_path / "ann", failed("bob")).runs[0]
    assert (found.state, found.reason) == ("failed", "out of memory")


def test_a_stale_record_beats_neither_a_done_nor_a_failed_run(put, failed):
    stale = put("stale", top1=99.0, finished=TUESDAY, hash_="1" * 64)
    done, broken = put("ann", finished=MONDAY), failed("bob")
    assert taken(stale, done) == done
    assert taken(stale, broken) == broken
    assert merged(stale, done).conflicts == ()
    assert merged(stale).runs[0].state == "stale"


def test_different_numbers_are_a_conflict_that_names_both(put):
    ann, bob = put("ann", top1=51.0, finished=MONDAY), put("bob", top1=52.5, finished=TUESDAY)
    (said,) = merged(ann, bob).conflicts
    assert said.startswith(f"{CELL}/seed0: two valid records differ (top1 52.5 and 51.0)")
    assert f"taken is {locate_run(ASKED, bob).path}" in said
    assert f"not {locate_run(ASKED, ann).path}" in said


def test_different_data_are_a_conflict_although_the_numbers_agree(put):
    (said,) = merged(put("ann"), put("bob", print_="0" * 64)).conflicts
    assert "differ (other data)" in said


@pytest.mark.parametrize("older", ["ann", "bob"])
def test_a_metric_that_only_one_record_has_is_a_conflict(put, older):
    times = {name: MONDAY if name == older else TUESDAY for name in ("ann", "bob")}
    ann = put("ann", finished=times["ann"])
    bob = put("bob", finished=times["bob"], without=["glca_top1"])
    (said,) = merged(ann, bob).conflicts
    assert "glca_top1" in said
    assert "none" in said


def test_every_record_passed_over_is_told(put):
    folders = [put("ann", top1=51.0), put("bob", top1=52.0), put("cem", top1=53.0)]
    assert len(merged(*folders).conflicts) == 2


def test_equal_records_are_no_conflict(put):
    assert merged(put("ann", finished=MONDAY), put("bob", finished=TUESDAY)).conflicts == ()


def test_one_folder_is_what_it_is(put):
    found = merged(put("ann"))
    assert [view.state for view in found.runs] == ["done"]
    assert found.conflicts == ()


def test_places_are_those_of_the_folder_taken(put):
    ann, bob = put("ann", finished=MONDAY), put("bob", finished=TUESDAY)
    found = merged(ann, bob)
    assert found.places[found.runs[0].id].runs == bob


def test_each_run_is_chosen_by_itself(put, tmp_path):
    ann, bob = put("ann", finished=MONDAY), tmp_path / "bob"
    bob.mkdir()
    found = merge.collect([ann, bob], profile="quick", patterns=["cub/deit_tiny"], seeds=(0, 1))
    states = {view.id: view.state for view in found.runs}
    assert states.pop(f"{CELL}/seed0") == "done"
    assert len(states) == 3
    assert "done" not in states.values()


def test_cells_that_the_settings_make_no_sense_for_are_left_out_and_named(tmp_path, caplog):
    """Two epochs are fewer than re-identification's warm-up: what classification has stays readable."""
    overrides = {"train.epochs": 2}
    found = merge.collect(
        [tmp_path], profile="mini", patterns=["cub/deit_tiny", "market"], overrides=overrides
    )
    assert {run.cell.id for run in found.runs} == {"cub/deit_tiny/baseline", "cub/deit_tiny/dcal"}
    assert "market/deit_tiny/baseline, market/deit_tiny/dcal" in caplog.text
    assert "warmup_epochs=3 does not fit" in caplog.text


def test_settings_that_make_no_sense_for_any_cell_are_refused(tmp_path):
    with pytest.raises(SettingsError, match="warmup_epochs=3 does not fit"):
        merge.collect([tmp_path], profile="mini", patterns=["market"], overrides={"train.epochs": 2})


def test_a_setting_of_one_task_does_not_keep_the_others_table_from_being_read(tmp_path):
    found = merge.collect([tmp_path], profile="mini", table="table2", overrides={"data.class_limit": 3})
    assert len(found.runs) == 32
