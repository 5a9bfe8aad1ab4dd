"""Exit statuses of all commands, the same for every verb; the README of this folder has them as a table (no torch)."""

from __future__ import annotations

import sys
from collections.abc import Callable

from benchmark.errors import SuiteError
from benchmark.records.heartbeat import Stopped
from benchmark.records.lock import Busy

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
    except Busy as error:
        print(f"busy: {error}", file=sys.stderr)
        return BUSY
    except Stopped as error:
        print(error, file=sys.stderr)
        return STOPPED
    except SuiteError as error:
        print(f"error: {error}", file=sys.stderr)
        return REFUSED
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return STOPPED
