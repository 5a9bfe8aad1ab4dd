"""What an attempt at a run leaves when it does not end with a result."""

from __future__ import annotations

import contextlib
import logging
import traceback
from collections.abc import Iterator

from benchmark.errors import RunError, SuiteError
from benchmark.records.heartbeat import Stopped
from benchmark.records.lock import Busy
from benchmark.records.outcome import is_free_for, write_outcome
from benchmark.records.run_folder import RunFolder
from benchmark.training.rendezvous import Meeting, Over
from dcal.weights.load import WeightsError

logger = logging.getLogger("benchmark")


@contextlib.contextmanager
def recorded(folder: RunFolder, owner: str, meeting: Meeting) -> Iterator[None]:
    """Record a stop or an error that leaves the block; what is the input's fault leaves it as a SuiteError.

    owner: the launcher's name of the attempt. Of several ranks' errors the first one counts: it breaks the others'
    connections, and what they see of it says nothing. Of a process that has lost the run nothing is recorded: however
    it ends, it leaves the block as Busy.
    """
    try:
        with _lost_first(folder, meeting):
            yield
    except (Over, Busy):
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


@contextlib.contextmanager
def _lost_first(folder: RunFolder, meeting: Meeting) -> Iterator[None]:
    """What happens to a process that has lost its run follows from that, and is no outcome of the run."""
    try:
        yield
    except BaseException as error:
        try:
            folder.verify()
        except Busy as lost:
            logger.error("%s", lost)
            meeting.report(str(lost))
            raise lost from error
        except SuiteError:
            pass  # not known; the error itself says more
        raise


def _failed(folder: RunFolder, message: str, owner: str, meeting: Meeting) -> None:
    rank = meeting.world.rank
    said = f"rank {rank}: {message}" if rank else message
    meeting.report(said)
    # Rank 0 writes what is reported, unless it is gone or waits for a GPU that will never answer.
    if rank == 0 or (meeting.goes_on() and not folder.outcome.exists() and is_free_for(folder, owner)):
        _write(folder, "failed", said, owner)


def _write(folder: RunFolder, state: str, message: str, owner: str) -> None:
    with contextlib.suppress(SuiteError):  # the disk may be full; the error itself still reaches the launcher
        write_outcome(folder, state, message, owner)
