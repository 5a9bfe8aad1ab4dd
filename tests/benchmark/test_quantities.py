"""Durations, amounts and long lists as text."""

import pytest

from benchmark.config.parse import abridged, amount, duration, hours, memory, natural_number


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "–"),
        (float("inf"), "unknown"),
        (float("nan"), "unknown"),
        (0, "0 s"),
        (0.52, "0.52 s"),
        (9.94, "9.9 s"),
        (9.96, "10 s"),
        (99, "99 s"),
        (100, "2 min"),
        (5940, "99 min"),
        (6000, "1 h 40 min"),
        (11_100, "3 h 05 min"),
        (36_300, "10 h 05 min"),
        (170_000, "47 h 13 min"),
        (183_600, "2 d 3 h"),
    ],
)
def test_durations(seconds, text):
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (0.0001, "< 0.001"), (0.0062, "0.0062"), (0.31, "0.31"), (15.24, "15.2"), (1204.4, "1,204")],
)
def test_hours(value, text):
    assert hours(value) == text


def test_memory_is_in_gibibytes():
    assert memory(3 * 2**29) == "1.50 GiB"


@pytest.mark.parametrize(("number", "text"), [(0, "0 runs"), (1, "1 run"), (1204, "1,204 runs")])
def test_amounts_have_their_plural(number, text):
    assert amount(number, "run") == text


@pytest.mark.parametrize(
    ("items", "shown", "text"),
    [
        (["a"], {}, "a"),
        (["a", "b", "c"], {}, "a and 2 more"),
        (["a", "b", "c"], {"limit": 3}, "a, b, c"),
        (["a", "b", "c"], {"limit": 2, "separator": "; "}, "a; b; and 1 more"),
        (list("abcd"), {"limit": 2}, "a, b and 2 more"),
    ],
)
def test_long_lists_are_abridged(items, shown, text):
    assert abridged(items, **shown) == text


@pytest.mark.parametrize(
    ("text", "digits", "number"),
    [
        ("0", 9, 0),
        ("0012", 9, 12),
        ("123456789", 9, 123_456_789),
        ("1234567890", 9, None),
        ("1234567890", 18, 1_234_567_890),
        ("", 9, None),
        ("-1", 9, None),
        ("1.5", 9, None),
        ("²", 9, None),
        ("٣", 9, None),
    ],
)
def test_whole_numbers_are_decimal_digits_alone(text, digits, number):
    assert natural_number(text, digits) == number
