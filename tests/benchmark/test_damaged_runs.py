"""A damaged run folder costs its own row, says what is wrong, and the next attempt sets the damage aside."""

import json
import os
import tempfile
from pathlib import Path

import pytest
from campaigns import damaged_run_folders as campaign
from campaigns.run_folder_mutations import file_mutations
from result_example import RESULT

from benchmark.__main__ import main
from benchmark.atomic import write_json
from benchmark.config import resolve
from benchmark.config.grid import select
from benchmark.config.places import Places
from benchmark.errors import DataError, RunError
from benchmark.records import damage, lock, status
from benchmark.records.progress import read_progress
from benchmark.records.run_folder import locate_run
from benchmark.records.submission import read_submission
from reports.__main__ import main as reports_main

CELL = select(["cub/deit_tiny/dcal"])[0]
BEAT = {"time": 1.0, "seconds": 2.0, "epoch": 3, "epochs": 8, "step": 1, "steps": 9}
OUTCOME = {"state": "failed", "message": "why", "time": "2026-01-01", "owner": ""}


@pytest.fixture
def asked():
    return resolve.resolve(CELL, 0, resolve.load_profile("mini"), {})


@pytest.fixture
def folder(tmp_path, asked):
    made = locate_run(asked, tmp_path / "runs")
    made.make()
    write_json(made.config, {"hash": asked.hash, "data_fingerprint": "f" * 64, "way": None})
    return made


def seen(asked, folder):
    places = Places.of("mini", folder.path.parents[4], None, None)
    view = status.view_run(asked, places, None)
    return view.state, view.reason


@pytest.mark.parametrize(
    ("outcome", "problem"),
    [
        ({**OUTCOME, "state": "finished"}, "state 'finished', expected failed or preempted"),
        ({**OUTCOME, "state": "done"}, "it says done, but there is no valid result.json"),
        ({**OUTCOME, "state": None}, "state is NoneType, expected str"),
        ({**OUTCOME, "message": 7}, "it has no message"),
        ({**OUTCOME, "owner": ["a"]}, "owner is list, expected str"),
        ([], "it is not an object"),
    ],
)
def test_an_outcome_that_no_attempt_wrote_is_damage(asked, folder, outcome, problem):
    write_json(folder.outcome, outcome)
    assert seen(asked, folder) == (
        "damaged",
        f"outcome.json is damaged: {problem}; the next launch sets it aside and goes on",
    )


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("config.json", '{"hash": 7}', "hash is int, expected str"),
        ("config.json", "{", "it is not readable JSON"),
        ("claim.1", "[1]", "it is not an object"),
        ("claim.1", '{"machine": {}, "host": 1}', "machine is dict, expected str"),
        ("submission.json", '{"job": 4}', "job is int, expected str"),
        ("submission.json", "null", "it is not an object"),
    ],
)
def test_files_that_tell_the_state_are_named_with_what_is_wrong(asked, folder, name, content, problem):
    (folder.path / name).write_text(content)
    state, reason = seen(asked, folder)
    assert (state, reason.startswith(f"{name} is damaged: {problem}; ")) == ("damaged", True), reason


@pytest.mark.parametrize(
    "kind", ["a folder", "a pipe", "a link to nothing", "a link to itself", "a device", "of 5 GiB"]
)
@pytest.mark.parametrize("name", ["claim.2", "result.json", "outcome.json", "config.json", "heartbeat.json"])
def test_something_else_where_a_file_is_expected(asked, folder, name, kind):
    write_json(folder.outcome, OUTCOME)
    mutations = dict(file_mutations(folder.path / name))
    mutations[f"{name} {kind}"]()
    state, reason = seen(asked, folder)
    if name == "heartbeat.json":
        assert (state, reason) == ("failed", "why")
    else:
        assert state == "damaged"
        assert reason.startswith(f"{name} is damaged: it ")


@pytest.mark.parametrize(
    "change",
    [
        {"epoch": None}, {"epoch": "3"}, {"epoch": [3]}, {"epoch": True}, {"seconds": float("nan")}, {"epochs": -1},
        {"time": None}, {"time": "now"}, {"steps": 10**400}, {"seconds": 10**400}, {"step": 1.5},
    ],
    ids=str,
)  # fmt: skip
def test_a_heartbeat_of_wrong_types_is_no_progress(folder, change):
    folder.heartbeat.write_text(json.dumps(BEAT | change))
    assert read_progress(folder) is None
    folder.heartbeat.write_text(json.dumps(BEAT))
    assert read_progress(folder).epoch == 3


def test_counts_beyond_any_training_can_be_divided(folder):
    folder.heartbeat.write_text(json.dumps(BEAT | {"epochs": 10**29, "steps": 10**29}))
    assert 0 <= read_progress(folder).share <= 1


@pytest.mark.parametrize("job", ["../*", "1; rm", "--all", "", "12_", "*"])
def test_a_job_that_is_no_number_is_no_submission(folder, job):
    stored = {"job": job, "name": "n", "hash": "h", "code": {}, "time": "t", "user": "u", "logs": "l"}
    write_json(folder.submission, stored | {"gpus": 1, "ranks": 1})
    assert read_submission(folder) is None
    write_json(folder.submission, stored | {"job": "12_3", "gpus": 1, "ranks": 1})
    assert read_submission(folder).job == "12_3"


def test_damage_is_set_aside_whole_and_what_is_sound_stays(folder):
    sound = folder.config.read_bytes()
    folder.outcome.mkdir()
    os.mkfifo(folder.log)
    folder.heartbeat.write_text('{"time": null}')
    (folder.path / "claim.1").mkdir()
    folder.submission.write_text("[]")
    said = damage.set_locks_aside(folder) + damage.set_files_aside(folder)
    assert sorted(text.partition(" ")[0] for text in said) == [
        "claim.1", "heartbeat.json", "log.txt", "outcome.json", "submission.json",
    ]  # fmt: skip
    assert folder.config.read_bytes() == sound
    assert not any(
        path.exists() for path in (folder.outcome, folder.log, folder.heartbeat, folder.submission)
    )
    assert len(list(folder.path.glob("*.damaged-*"))) == 5
    lock.acquire(folder.path).release()
    assert damage.set_files_aside(folder) == []


def test_a_path_that_is_no_folder_is_damage_and_a_launch_says_so(asked, folder):
    folder.config.unlink()
    folder.path.rmdir()
    folder.path.write_text("notes")
    state, reason = seen(asked, folder)
    assert state == "damaged"
    assert "is not a run folder: a part of its path is no folder" in reason
    assert not damage.is_repairable(folder)


@pytest.fixture
def open_to_all():
    """A folder that another user may enter, which pytest's own are not."""
    with tempfile.TemporaryDirectory() as name:
        os.chmod(name, 0o777)
        yield Path(name)


def listed(capsys, runs, *more):
    with campaign.another_user():
        found = main(["list", "--runs", str(runs), "--cells", "cub/deit_tiny", *more])
    return found, capsys.readouterr()


def test_what_may_not_be_read_costs_its_own_row_or_is_one_error(asked, open_to_all, capsys):
    runs = open_to_all / "runs"
    folder = locate_run(asked, runs)
    folder.make()
    folder.result.write_text(json.dumps(RESULT | {"profile": "mini", "config_hash": asked.hash}))
    assert "cub/deit_tiny/dcal/seed0      done" in listed(capsys, runs)[1].out
    for path in (folder.result, folder.path):
        path.chmod(0)
        status_, said = listed(capsys, runs)
        assert status_ == 0
        assert f"damaged     cannot read {path}: this user may not read it; ask its owner" in said.out
        assert "cub/deit_tiny/baseline/seed0  missing" in said.out
        with campaign.another_user(), pytest.raises(RunError, match="this user may not read it"):
            damage.require_readable(folder)
        path.chmod(0o755)
    runs.chmod(0)
    status_, said = listed(capsys, runs)
    assert (status_, said.out) == (2, "")
    assert said.err.startswith(
        f"error: cannot read {runs}/mini: this user may not read it; ask its owner for"
    )
    runs.chmod(0o755)
    data = open_to_all / "data"
    data.mkdir(mode=0)
    status_, said = listed(capsys, runs, "--profile", "quick", "--data", str(data))
    assert (status_, said.out) == (2, "")
    assert said.err.startswith(f"error: DATA: cannot read {data}: this user may not read it")


def test_a_name_that_no_file_system_can_hold_is_one_error(tmp_path, capsys):
    assert main(["list", "--runs", str(tmp_path / ("n" * 300))]) == 2
    assert "the name is too long for this file system" in capsys.readouterr().err


SAMPLE = (
    "result.json run = control characters",
    "predictions.npz both_predicted structured",
    "history.jsonl a pipe",
    "log.txt of 5 GiB",
    "the folder unreadable",
)


def test_a_sample_of_the_campaign_leaves_all_other_rows_as_they_are(open_to_all):
    run = "cub/deit_tiny/dcal/seed0"
    template = campaign.prepared(open_to_all)
    before = campaign.undamaged(open_to_all, run)
    every = dict(campaign.target_mutations(open_to_all / "runs" / "paper" / run))
    states = {}
    for what in SAMPLE:
        states[what], wrong = campaign.look(template, open_to_all, run, (what, every[what]), before)
        assert not wrong, (what, wrong)
    assert set(states.values()) == {"done", "damaged"}
    assert states["the folder unreadable"] == "damaged"
    assert states["log.txt of 5 GiB"] == "done"


def test_an_attempt_sets_damage_aside_and_goes_on(tmp_path):
    """Up to the data, which are not there: whatever comes first must not end in a traceback or wait."""
    from benchmark.training.request import Infrastructure
    from benchmark.training.run import run_cell

    folder = locate_run(resolve.resolve(CELL, 0, resolve.load_profile("quick"), {}), tmp_path)
    folder.make()
    os.mkfifo(folder.log)
    folder.outcome.mkdir()
    (folder.path / "claim.7").mkdir()
    places = Places(tmp_path, None, None, generated=False)
    with pytest.raises(DataError, match="no data folder is set"):
        run_cell(CELL, 0, "quick", places, infrastructure=Infrastructure(quiet=True))
    for name in ("log.txt", "outcome.json", "claim.7"):
        assert f"{name} is damaged: it is a " in folder.log.read_text()
    assert json.loads(folder.outcome.read_text())["state"] == "failed"


@pytest.mark.parametrize("verb", [["list"], ["evaluate"]])
@pytest.mark.parametrize(
    ("make", "words"), [(os.mkfifo, "is no folder"), (lambda path: None, "name is too long")]
)
def test_runs_that_are_no_folder_are_one_error(verb, make, words, tmp_path, capsys):
    runs = tmp_path / ("pipe" if make is os.mkfifo else "n" * 300)
    make(runs)
    assert main([*verb, "--runs", str(runs)]) == 2
    assert words in capsys.readouterr().err


def test_a_report_of_runs_with_an_impossible_name_is_one_error(tmp_path, capsys):
    assert reports_main(["page", "--no-pictures", "--runs", str(tmp_path / ("n" * 300))]) == 2
    assert "the name is too long for this file system" in capsys.readouterr().err
