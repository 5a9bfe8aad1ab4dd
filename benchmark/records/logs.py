"""A run's log and history files (no torch)."""

from __future__ import annotations

import contextlib
import json
import logging
import sys
from collections.abc import Iterator

from benchmark.atomic import explained, write_file
from benchmark.errors import SuiteError
from benchmark.records.run_folder import RunFolder


@contextlib.contextmanager
def logged(folder: RunFolder, *, quiet: bool) -> Iterator[None]:
    """Log to the run folder's log.txt, and unless quiet to stderr. Appends: every attempt stays on record.

    Errors go to the file alone: each of them is raised, too, and shown by who called.
    """
    logger = logging.getLogger("benchmark")
    logger.setLevel(logging.INFO)
    with explained(folder.log):
        handlers: list[logging.Handler] = [logging.FileHandler(folder.log, encoding="utf-8")]
    handlers[0].addFilter(lambda _: _may_write(folder))
    if not quiet:
        shown = logging.StreamHandler(sys.stderr)
        shown.addFilter(lambda record: record.levelno < logging.ERROR)
        handlers.append(shown)
    for handler in handlers:
        handler.setFormatter(
            logging.Formatter("%(asctime)s %(levelname).1s %(message)s", "%Y-%m-%d %H:%M:%S")
        )
        logger.addHandler(handler)
    try:
        yield
    finally:
        for handler in handlers:
            logger.removeHandler(handler)
            handler.close()


def _may_write(folder: RunFolder) -> bool:
    """A log line of a process that has lost its run belongs to nobody's run."""
    try:
        folder.verify()
    except SuiteError:
        return False
    return True


def write_history(folder: RunFolder, history: list[dict]) -> None:
    """history.jsonl, one line an epoch; rewritten whole, so that a resumed run leaves no double lines."""
    lines = "".join(json.dumps(entry) + "\n" for entry in history)
    write_file(folder.history, lambda stream: stream.write(lines.encode()), verify=folder.verify)
