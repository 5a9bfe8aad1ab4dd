"""A result is valid or it is nothing."""

import copy
import json

import pytest
from result_example import REID_RESULT, RESULT

from benchmark.errors import RunError
from benchmark.records import run_folder


@pytest.fixture
def folder(tmp_path):
    made = run_folder.RunFolder(tmp_path / "mini" / RESULT["run"])
    made.make()
    return made


def test_a_valid_result_is_read_back(folder):
    run_folder.write_result(folder, RESULT)
    assert run_folder.read_result(folder) == (RESULT, "")


def test_no_result_is_not_damage(folder):
    assert run_folder.read_result(folder) == (None, "")


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("", "not readable"),
        ('{"schema": 1', "not readable"),
        ("[]", "it is not an object"),
        ("[" * 100_000, "not readable"),
        ("{}", "schema is missing"),
    ],
)
def test_a_torn_result_is_never_trusted(folder, content, problem):
    folder.result.write_text(content)
    result, damage = run_folder.read_result(folder)
    assert result is None
    assert problem in damage


def without(path):
    def change(result):
        *parents, last = path.split(".")
        for name in parents:
            result = result[name]
        del result[last]

    return change


def with_value(path, value):
    def change(result):
        *parents, last = path.split(".")
        for name in parents:
            result = result[name]
        result[last] = value

    return change


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (without("metrics.top1"), "metrics.top1 is missing"),
        (without("data.fingerprint"), "data.fingerprint is missing"),
        (without("final_weights_sha256"), "final_weights_sha256 is missing"),
        (with_value("metrics.top1", "53"), "metrics.top1 is str"),
        (with_value("metrics.top1", 153.0), "not a percentage"),
        (with_value("metrics.top5", -1.0), "metrics.top5 is -1.0, expected no negative number"),
        (with_value("metrics.top1", 10**400), "metrics.top1 is not finite"),
        (with_value("best.top1", float("nan")), "best.top1 is not finite"),
        (with_value("cost.train_seconds", float("inf")), "cost.train_seconds is not finite"),
        (with_value("cost.attempts", 10**400), "cost.attempts is not finite, or larger than 1e+30"),
        (with_value("metrics.new", "53"), "metrics.new is str"),
        (with_value("cost.attempts", -1), "cost.attempts is -1, expected no negative number"),
        (with_value("seed", True), "seed is bool"),
        (with_value("schema", 99), "schema 99"),
        (with_value("metrics", []), "metrics. is not an object"),
        (with_value("run", "cub/deit_base/dcal/seed0"), "belongs to cub/deit_base/dcal/seed0"),
    ],
)
def test_a_result_that_breaks_the_schema_is_never_trusted(folder, change, problem):
    broken = copy.deepcopy(RESULT)
    change(broken)
    folder.result.write_text(json.dumps(broken))
    result, damage = run_folder.read_result(folder)
    assert result is None
    assert problem in damage


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (without("metrics.mAP"), "metrics.mAP is missing"),
        (without("metrics.R10"), "metrics.R10 is missing"),
        (without("evaluation.ties"), "evaluation.ties is missing"),
        (without("data.version"), "data.version is missing"),
        (with_value("metrics.sa_mAP", "40"), "metrics.sa_mAP is str"),
        (with_value("best.mAP", None), "best.mAP is NoneType"),
        (with_value("cell", "berries/deit_tiny/dcal"), "no known dataset"),
    ],
)
def test_a_retrieval_result_that_breaks_its_schema_is_never_trusted(change, problem):
    assert run_folder.result_problem(REID_RESULT) == ""
    broken = copy.deepcopy(REID_RESULT)
    change(broken)
    assert problem in run_folder.result_problem(broken)


def test_an_invalid_result_is_not_written(folder):
    broken = copy.deepcopy(RESULT)
    del broken["config_hash"]
    with pytest.raises(RunError, match="config_hash is missing"):
        run_folder.write_result(folder, broken)
    assert not folder.result.exists()


def test_setting_aside_loses_nothing(folder):
    folder.result.write_text("one")
    first = run_folder.set_aside(folder.result, "damaged")
    folder.result.write_text("two")
    second = run_folder.set_aside(folder.result, "damaged")
    assert (first.read_text(), second.read_text()) == ("one", "two")
