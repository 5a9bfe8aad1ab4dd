"""The parser of all commands, and how it reads numbers and lists (no torch)."""

from __future__ import annotations

import argparse
import math
import os
import re
import select
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NoReturn, TextIO

from benchmark.config.parse import natural_number
from benchmark.errors import SettingsError, SuiteError
from benchmark.records.heartbeat import RunInterrupt
from benchmark.records.lock import LockHeld
from benchmark.records.terminal_text import escape_output

# Options that take a list: "0 1 2" as one word, or 0 1 2. Which of the words that follow belong to the list.
_LISTS = {"--seeds": re.compile(r"[\d,\s]*"), "--cells": re.compile(r"(?!-).*", re.DOTALL)}
# What make calls the options whose values argparse checks.
_VARIABLES = {
    "--runs": "RUNS",
    "--jobs": "JOBS",
    "--workers": "WORKERS",
    "--rerun": "RERUN",
    "--watch": "WATCH",
    "--device": "DEVICE",
    "--seed": "SEEDS",
    "--box-side": "BOX_SIDE",
    "--log-interval": "LOG",
    "--only": "ONLY",
    "--backbone": "BACKBONES",
    "--minutes": "MINUTES",
}


@dataclass(frozen=True)
class Command:
    """A verb of a program.

    run: takes the parsed options and returns the exit status; its docstring is the verb's help.
    add_arguments: adds the verb's own options to those that all verbs have.
    """

    run: Callable[[argparse.Namespace], int]
    add_arguments: Callable[[argparse.ArgumentParser], None] = lambda parser: None


class Parser(argparse.ArgumentParser):
    """A parser that takes lists as one word or as several, and refuses a value by the name that make has for it."""

    def parse_known_args(
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> tuple[argparse.Namespace, list[str]]:
        """As argparse's."""
        return super().parse_known_args(_joined(sys.argv[1:] if args is None else args), namespace)

    def error(self, message: str) -> NoReturn:
        """End with status 2: for a value with the reason alone, else with the usage, too."""
        match = re.match(r"argument (--[\w-]+): (?!expected|not allowed)(.*)", message, re.DOTALL)
        if not match:
            super().error(message)
        option, why = match.groups()
        name = f"{_VARIABLES[option]} ({option})" if option in _VARIABLES else option
        why = re.sub(r"^invalid choice: (.*) \(choose from (.*)\)$", r"found \1, expected one of \2", why)
        self.exit(2, f"error: {name}: {why}\n")


def _joined(words: Sequence[str]) -> list[str]:
    """``--seeds 0 1`` as ``--seeds "0 1"``."""
    joined: list[str] = []
    for word in words:
        belongs = _LISTS.get(joined[-2]) if len(joined) > 1 else None
        if belongs and not joined[-1].startswith("--") and belongs.fullmatch(word):
            joined[-1] += f" {word}"
        else:
            joined.append(word)
    return joined


PROCESSES = "a whole number of processes, 0 for none beside the run's own"
JOBS = "a whole number, since at least one run at a time is needed"


def whole_number(least: int, expected: str = "") -> Callable[[str], int]:
    """What argparse reads a number with that may not be smaller than ``least``. expected: the number in words."""

    def read(text: str) -> int:
        number = natural_number(text)
        if number is None or number < least:
            raise argparse.ArgumentTypeError(
                f"found {text!r}, expected {expected or f'a whole number from {least} on'}"
            )
        return number

    return read


def seconds(text: str) -> float:
    """What argparse reads a duration in seconds with."""
    return _number(text, "a number of seconds, 0 or more", lambda found: found >= 0)


def minutes(text: str) -> float:
    """What argparse reads a duration in minutes with."""
    return _number(text, "a number of minutes, more than 0", lambda found: found > 0)


def _number(text: str, expected: str, fits: Callable[[float], bool]) -> float:
    try:
        found = float(text)
    except ValueError:
        found = math.nan
    if not math.isfinite(found) or not fits(found):
        raise argparse.ArgumentTypeError(f"found {text!r}, expected {expected}")
    return found


def seeds(text: str) -> tuple[int, ...]:
    """``"0 1 2"`` to numbers. Raises SettingsError for anything else, and for none."""
    numbers = dict.fromkeys(natural_number(part, digits=18) for part in text.replace(",", " ").split())
    if not numbers or None in numbers:
        raise SettingsError(f"SEEDS={text!r}: expected whole numbers like '0 1 2'")
    return tuple(numbers)


def one_seed(text: str) -> int:
    """What argparse reads the seed of ``run`` with."""
    numbers = text.replace(",", " ").split()
    if len(numbers) > 1:
        raise argparse.ArgumentTypeError(f"found {text!r}, but one run has one seed: SEEDS=0")
    return whole_number(0)(text.strip())


def patterns(text: str) -> tuple[str, ...]:
    """``"cub/*/dcal cars"`` to patterns."""
    return tuple(text.replace(",", " ").split())


# --- Exit statuses of all commands, the same for every verb; the README of this folder has them as a table ---

COMPLETE = 0  # everything that was asked for is there
INCOMPLETE = 1  # something that was asked for is missing, failed, stale, without data or not as recorded
REFUSED = 2  # the input is wrong, or something that the command needs is not there
BUSY = 75  # EX_TEMPFAIL: another process holds the run
STOPPED = 130  # by Ctrl-C or a signal, after saving
READER_GONE = 141  # nobody reads the output on: as a shell shows a command that SIGPIPE ended, 128 + 13


def status_of(verb: Callable[[], int]) -> int:
    """Run a verb; returns its exit status. An error that a user can act on becomes one message on stderr."""
    try:
        return verb()
    except LockHeld as error:
        print(f"busy: {error}", file=sys.stderr)
        return BUSY
    except RunInterrupt as error:
        print(error, file=sys.stderr)
        return STOPPED
    except SuiteError as error:
        print(f"error: {error}", file=sys.stderr)
        return REFUSED
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return STOPPED


# --- A command as its terminal sees it: what it prints, and its exit status where nobody reads on ---


def exit_status(main: Callable[[], int | None]) -> int:
    """The exit status of a command's ``main``, whose last output is written before it is known.

    Control characters that it prints are shown, not obeyed: names and messages may come from anywhere.
    ``list | head -1`` closes the pipe early: that ends the command without a word, and so does Ctrl-C.
    """
    escape_output()
    try:
        try:
            return main() or 0
        finally:
            _flush()
    except KeyboardInterrupt:
        return STOPPED
    except BrokenPipeError:
        gone = [stream for stream in (sys.stdout, sys.stderr) if _reader_is_gone(stream)]
        if not gone:  # a broken connection of another kind: a fault to be seen
            raise
        for stream in gone:  # what is left in its buffer would fail once more at the interpreter's end
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
        return READER_GONE


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:  # closed by whoever started the command
            stream.flush()


def _reader_is_gone(stream: TextIO | None) -> bool:
    """Whether the stream is a pipe or a connection that nobody reads."""
    try:
        poll = select.poll()
        poll.register(stream.fileno(), select.POLLOUT)
        return any(event & (select.POLLERR | select.POLLHUP) for _, event in poll.poll(0))
    except (AttributeError, OSError, ValueError):  # none, not a file, or closed
        return False
