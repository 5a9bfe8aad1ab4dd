"""How an attempt at a run ended that did not end with a result: outcome.json."""

from __future__ import annotations

import contextlib
import logging
import traceback
from collections.abc import Iterator

from benchmark import provenance
from benchmark.atomic import write_json
from benchmark.errors import RunError, SuiteError
from benchmark.records import RunFolder
from benchmark.rendezvous import Meeting, Over
from benchmark.stop import Stopped
from dcal.weights import WeightsError

logger = logging.getLogger("benchmark")


@contextlib.contextmanager
def recorded(folder: RunFolder, owner: str, meeting: Meeting) -> Iterator[None]:
    """Record a stop or an error that leaves the block; what is the input's fault leaves it as a SuiteError.

    owner: the launcher's name of the attempt. Of several ranks' errors the first one counts: it breaks the others'
    connections, and what they see of it says nothing.
    """
    try:
        yield
    except Over:
        raise
    except Stopped as error:
        if meeting.world.rank == 0:
            _write(folder, "preempted", str(error), owner)
        raise
    except (SuiteError, WeightsError) as error:
        logger.error("%s", error)
        _failed(folder, str(error), owner, meeting)
        raise error if isinstance(error, SuiteError) else RunError(str(error)) from error
    except BaseException as error:
        if first := meeting.failure():
            logger.error("%s", first)
            if meeting.world.rank == 0:
                _write(folder, "failed", first, owner)
            raise RunError(first) from error
        logger.error("%s", traceback.format_exc())
        said = f"{type(error).__name__}: {error}"
        if (
            meeting.world.size > 1 and "by peer" in said
        ):  # gloo's "Connection closed by peer" or "reset by peer"
            said = "another rank ended without a word: it was killed, or its machine was lost"
        _failed(folder, said, owner, meeting)
        raise


def _failed(folder: RunFolder, message: str, owner: str, meeting: Meeting) -> None:
    rank = meeting.world.rank
    said = f"rank {rank}: {message}" if rank else message
    meeting.report(said)
    # Rank 0 writes what is reported, unless it is gone or waits for a GPU that will never answer.
    if rank == 0 or (meeting.goes_on() and not folder.outcome.exists()):
        _write(folder, "failed", said, owner)


def _write(folder: RunFolder, state: str, message: str, owner: str) -> None:
    outcome = {"state": state, "message": message, "time": provenance.now(), "owner": owner}
    with contextlib.suppress(SuiteError):  # the disk may be full; the error itself still reaches the launcher
        write_json(folder.outcome, outcome)
