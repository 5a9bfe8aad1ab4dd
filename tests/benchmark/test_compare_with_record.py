"""An evaluation against a record: equal only bit for bit, and what counts as rounding."""

import numpy as np
import pytest

from benchmark.inference.compare import compare, computing_difference

NUMBERS = {"top1": 70.0, "queries": 12, "outputs_sha256 sa": "ab"}
ARRAYS = {
    "both_probability": np.linspace(0, 1, 50, dtype=np.float32),
    "both_predicted": np.arange(50, dtype=np.int32),
    "classes": np.array(["a", "b"]),
}


def compared(numbers=None, arrays=None, way="", recorded=ARRAYS):
    return compare(
        NUMBERS,
        NUMBERS | (numbers or {}),
        recorded,
        ARRAYS | (arrays or {}),
        precision="float32",
        computing_difference=way,
    )


def moved(by, places=slice(None)):
    values = ARRAYS["both_probability"].copy()
    values[places] += np.float32(by)
    return {"both_probability": values}


def test_the_same_numbers_and_arrays_are_equal():
    found = compared()
    assert found.verdict == "equal"
    assert found.text == "equal, bit for bit (3 numbers and 3 arrays)"


def test_the_last_bit_of_one_value_is_a_difference():
    values = ARRAYS["both_probability"].copy()
    values[7] = np.nextafter(values[7], np.float32(2))
    found = compared(arrays={"both_probability": values})
    assert found.verdict == "different"
    assert "both_probability: 1 of 50 differ, by 1.49e-08 at most" in found.text


@pytest.mark.parametrize(
    ("numbers", "said"),
    [
        ({"top1": np.nextafter(70.0, 71.0)}, "top1: recorded 70.0, found 70.00000000000001"),
        ({"top1": 70}, "top1: recorded 70.0, found 70"),
        ({"queries": 13}, "queries: recorded 12, found 13"),
        ({"sa_top1": 1.0}, "sa_top1: recorded None, found 1.0"),
        ({"outputs_sha256 sa": "cd"}, "outputs_sha256 sa: recorded ab, found cd"),
    ],
)
def test_any_number_that_is_not_the_recorded_one_is_a_difference(numbers, said):
    found = compared(numbers)
    assert found.verdict == "different"
    assert said in found.text


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"classes": np.array(["a", "c"])}, "classes: 1 of 2 differ"),
        ({"both_predicted": np.arange(50)}, "recorded int32 (50,), found int64 (50,)"),
        ({"both_predicted": np.arange(49, dtype=np.int32)}, "recorded int32 (50,), found int32 (49,)"),
    ],
)
def test_an_array_of_another_kind_is_never_rounding(arrays, said):
    found = compared(arrays=arrays, way="computed with name B instead of A")
    assert found.verdict == "different"
    assert said in found.text


def test_an_array_that_is_no_longer_found_is_a_difference_and_a_new_one_is_not():
    recorded = {"both_ap": np.zeros(3), **ARRAYS}
    assert "both_ap: recorded, but no longer found" in compared(recorded=recorded).text
    assert compared(arrays={"both_ap": np.zeros(3)}).verdict == "equal"


def test_small_differences_are_rounding_only_where_something_else_computed():
    small = moved(5e-4) | {"both_predicted": np.roll(ARRAYS["both_predicted"], 1)}
    assert compared({"outputs_sha256 sa": "cd", "top1": 70.9}, small).verdict == "different"
    elsewhere = compared(
        {"outputs_sha256 sa": "cd", "top1": 70.9}, small, way="computed with threads 2 instead of 1"
    )
    assert elsewhere.verdict == "rounding"
    assert "equal to rounding; computed with threads 2 instead of 1" in elsewhere.text
    assert "by 0.0005 at most" in elsewhere.text


@pytest.mark.parametrize(
    ("numbers", "arrays"),
    [({}, moved(2e-3)), ({}, moved(np.nan, 3)), ({"top1": 71.5}, {}), ({"queries": 13}, {})],
)
def test_large_differences_are_no_rounding_on_any_machine(numbers, arrays):
    assert compared(numbers, arrays, way="computed with name B instead of A").verdict == "different"


def test_what_was_computed_otherwise_is_named():
    recorded = {"name": "A", "threads": 1, "torch": "2.14"}
    assert computing_difference(recorded, recorded) == ""
    here = {"name": "A", "threads": 2, "torch": "2.15", "timm": "1.0"}
    expected = (
        "computed with threads 2 instead of 1, torch 2.15 instead of 2.14, timm 1.0 instead of an unknown one"
    )
    assert computing_difference(recorded, here) == expected
