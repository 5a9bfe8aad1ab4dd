"""Collection of the messages that C decoders (libjpeg, libpng) print to stderr about a picture (no torch).

libjpeg fills what it cannot decode with grey, reports success, and prints a message without a file name. While a
picture is decoded, the C library's variable ``stderr`` points to a stream in memory. File descriptor 2 and Python's
sys.stderr are not changed, so messages of other threads (heartbeat, progress bar) are not affected. If another thread
prints through C's ``stderr`` during both times that a picture is decoded, its text is taken for the decoder's.
"""

from __future__ import annotations

import ctypes
import logging
import os
import sys
import threading
from collections.abc import Callable
from typing import TypeVar

logger = logging.getLogger("benchmark")
T = TypeVar("T")
_VARIABLE = "__stderrp" if sys.platform == "darwin" else "stderr"


class DecoderMessages:
    """Collector of the decoder messages of a process; several threads may decode at once."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._decoding = self._waiting = 0  # threads that decode; threads that wait to decode alone
        self._alone = False
        self._stream = _MemoryStream()

    def reset_after_fork(self) -> None:
        """Reset after a fork: the other threads of the parent do not exist in the child."""
        self._stream.end_capture()
        if self._stream.usable:
            self.__init__()

    def collect(self, decode: Callable[[], T]) -> tuple[T, list[str]]:
        """Result of ``decode``, and the lines printed during it: none for a sound picture.

        If something was printed, ``decode`` is called again while no other thread decodes, so that the lines belong to
        this picture.
        """
        self._begin(alone=False)
        try:
            start = self._stream.known_size
            result = decode()
            has_output = self._stream.size() > start
        finally:
            self._end()
        if not has_output:
            return result, []
        self._begin(alone=True)
        try:
            start = self._stream.size()
            result = decode()
            return result, self._stream.lines(start)
        finally:
            self._end()

    def _begin(self, alone: bool) -> None:
        """Wait until this thread may decode, with others or alone, and start capturing."""
        with self._condition:
            self._waiting += alone
            while self._alone or (self._decoding if alone else self._waiting):
                self._condition.wait()
            self._waiting -= alone
            self._alone = alone
            if not self._decoding:
                self._stream.start_capture()
            self._decoding += 1

    def _end(self) -> None:
        with self._condition:
            self._decoding -= 1
            self._alone = False
            if not self._decoding:
                self._stream.end_capture()
                self._condition.notify_all()


class _MemoryStream:
    """A C stream in memory, to which the C library's ``stderr`` can point."""

    def __init__(self) -> None:
        self._buffer, self._size = ctypes.c_void_p(), ctypes.c_size_t()
        self._variable = self._original = self._stream = None
        try:
            library = ctypes.CDLL(None)
            self._variable = ctypes.c_void_p.in_dll(library, _VARIABLE)
            self._flush, self._open = library.fflush, library.open_memstream
            self._flush.argtypes, self._open.restype = [ctypes.c_void_p], ctypes.c_void_p
            self._stream = self._open(ctypes.byref(self._buffer), ctypes.byref(self._size))
        except (OSError, ValueError, AttributeError) as error:
            logger.warning(
                "what JPEG and PNG decoders print about damaged pictures cannot be collected on this system (%s), "
                "expected glibc or macOS: it goes to stderr and names no file",
                error,
            )

    @property
    def usable(self) -> bool:
        """Whether this system supports capturing."""
        return bool(self._stream)

    @property
    def known_size(self) -> int:
        """Number of bytes printed until the last call of ``size``."""
        return self._size.value

    def start_capture(self) -> None:
        if self._stream:
            self._original, self._variable.value = self._variable.value, self._stream

    def end_capture(self) -> None:
        if self._original:
            self._variable.value, self._original = self._original, None

    def size(self) -> int:
        """Number of bytes printed so far."""
        if self._stream:
            self._flush(self._stream)
        return self._size.value

    def lines(self, start: int) -> list[str]:
        """Lines printed from byte ``start`` on."""
        length = self.size() - start
        if length <= 0:
            return []
        text = ctypes.string_at(self._buffer.value + start, length).decode(errors="replace")
        return [line.strip() for line in text.splitlines() if line.strip()]


_messages = DecoderMessages()
collect = _messages.collect
os.register_at_fork(after_in_child=_messages.reset_after_fork)
