"""Log and history files of a run."""

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
def log_to_folder(folder: RunFolder, *, quiet: bool) -> Iterator[None]:
    """Context in which log messages are appended to the run folder's log.txt and, unless quiet, shown on stderr.

    Errors only go to the file: they are also raised, and the caller shows them.
    """
    logger = logging.getLogger("benchmark")
    logger.setLevel(logging.INFO)
    with explained(folder.log):
        handlers: list[logging.Handler] = [logging.FileHandler(folder.log, encoding="utf-8")]
    handlers[0].addFilter(lambda _: _may_write(folder))
    if not quiet:
        console = logging.StreamHandler(sys.stderr)
        console.addFilter(lambda record: record.levelno < logging.ERROR)
        handlers.append(console)
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
    """Return True while this process holds the run. After that its messages must not enter the log."""
    try:
        folder.verify()
    except SuiteError:
        return False
    return True


def write_history(folder: RunFolder, history: list[dict]) -> None:
    """Write history.jsonl, one line per epoch. It is always rewritten, so a resumed run adds no line twice."""
    lines = "".join(json.dumps(entry) + "\n" for entry in history)
    write_file(folder.history, lambda stream: stream.write(lines.encode()), verify=folder.verify)
