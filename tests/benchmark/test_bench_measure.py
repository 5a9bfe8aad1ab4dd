"""Time and memory of a function in a process of its own (no torch: every process would load it)."""

import mmap

import numpy as np
import pytest

from benchmark.errors import RunError
from benchmark.timing.measure import available_bytes, measure, measure_memory, time_in_turns

MIB = 2**20


# Measured in a process of its own, which finds them by this module's name.
def holds_memory(meter, before, during):
    """Touches `before` bytes, and after the start `during` bytes that are given back at once."""
    kept = np.ones(before, np.uint8)
    meter.start()
    with meter.span("touching"), mmap.mmap(-1, during) as held:
        held.write(b"1" * during)
    return {"kept": int(kept[0])}


def fails(meter):
    meter.start()
    raise ValueError("this is what it said")


def never_starts(meter):
    return {}


def test_memory_counts_what_is_touched_after_the_start_even_if_given_back():
    measured = measure(holds_memory, before=150 * MIB, during=90 * MIB)
    assert 90 * MIB <= measured.memory_bytes < 240 * MIB  # write() is given a copy
    assert measured.seconds["touching"] > 0
    assert measured.result == {"kept": 1}


def gives_back_and_takes_again(meter, size):
    """Holds a block, gives it back, and takes as much again after the start."""
    kept = [np.ones(size, np.uint8) for _ in range(2)]
    del kept[0]
    meter.start()
    kept.append(np.ones(size, np.uint8))
    return {"kept": len(kept)}


def test_memory_at_once_counts_every_block_whatever_was_free_before():
    assert measure_memory(gives_back_and_takes_again, size=8 * MIB) == pytest.approx(8 * MIB, rel=0.1)


def test_a_function_that_fails_is_an_error_with_its_last_words():
    with pytest.raises(RunError, match="this is what it said"):
        measure(fails)
    with pytest.raises(RunError, match=r"meter\.start"):
        measure(never_starts)


def test_free_memory_is_a_number_of_bytes():
    assert 16 * MIB < available_bytes() < 2**50


def test_works_take_turns_every_other_round_backwards_and_the_first_calls_do_not_count():
    calls = []
    works = {name: lambda name=name: calls.append(name) for name in "ab"}
    seconds = time_in_turns(works, 3, finish=lambda: calls.append("|"))
    assert "".join(calls).replace("|", "") == "ab" + "ab" + "ba" + "ab"
    assert "".join(calls[2:6]) == "|a||"  # waited for before and after
    assert {name: len(found) for name, found in seconds.items()} == {"a": 3, "b": 3}
    assert min(seconds["a"] + seconds["b"]) > 0
