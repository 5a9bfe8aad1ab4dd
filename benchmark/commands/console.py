"""A command as its terminal sees it: what it prints, and its exit status where nobody reads on (no torch)."""

from __future__ import annotations

import os
import select
import sys
from collections.abc import Callable
from typing import TextIO

from benchmark.commands.exit_codes import READER_GONE, STOPPED
from benchmark.records.visible import escape_output


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
