"""Text of unknown origin on a terminal: control characters are escaped."""

from __future__ import annotations

import contextlib
import re
import sys
from typing import TextIO

# Control characters except tab and line ends, marks that change the writing direction, and surrogates.
_CONTROLS = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)


def escape_controls(text: str) -> str:
    """Escape control characters as in Python, ``\\x1b``; tabs and line ends stay."""
    return _CONTROLS.sub(lambda match: match[0].encode("unicode_escape").decode(), text)


def single_line(text: str) -> str:
    """Replace line ends by spaces, for output with one row per run."""
    return re.sub(r"\s*[\r\n\v\f\x1c-\x1e\x85\u2028\u2029]\s*", " ", text).strip()


class EscapingStream:
    """A text stream that escapes the control characters in what is written to it."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream

    def write(self, text: str) -> int:
        self.stream.write(escape_controls(text))
        return len(text)

    def __getattr__(self, name: str) -> object:
        return getattr(self.stream, name)


def escape_output() -> None:
    """Make stdout and stderr of this process escape control characters; for the start of a program."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is not None and not isinstance(stream, EscapingStream):
            with contextlib.suppress(AttributeError, ValueError):  # not a stream of text in bytes
                stream.reconfigure(errors="backslashreplace")
            setattr(sys, name, EscapingStream(stream))


def write_control(stream: TextIO, sequence: str) -> None:
    """Write a control sequence of the suite to a terminal, without escaping it."""
    (stream.stream if isinstance(stream, EscapingStream) else stream).write(sequence)
