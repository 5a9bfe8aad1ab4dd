"""One run from start to result. ``run_cell`` is the only function a launcher calls."""

from __future__ import annotations

import contextlib
import logging
import traceback
from collections.abc import Iterator
from dataclasses import replace

from benchmark.atomic import remove_leftovers
from benchmark.config.compute_setup import World, require_divisible
from benchmark.config.datasets import is_own
from benchmark.config.grid import Cell
from benchmark.config.places import Places
from benchmark.config.resolve import Config, load_profile, resolve
from benchmark.data import locate
from benchmark.data.mini.sets import write
from benchmark.data.picture_check import refuse_unreadable
from benchmark.data.splits import missing_files
from benchmark.errors import DataError, RunError, SuiteError
from benchmark.records import damage, lock
from benchmark.records.heartbeat import Heartbeat, RunInterrupt, StopRequest
from benchmark.records.lock import LockHeld
from benchmark.records.logs import log_to_folder
from benchmark.records.run_folder import RunFolder, locate_run, read_result, set_aside
from benchmark.records.status import stale_reason
from benchmark.records.submission import may_write_outcome, write_outcome
from benchmark.training import leftovers
from benchmark.training.attempt import RunAttempt
from benchmark.training.rendezvous import Meeting, Over
from benchmark.training.request import Infrastructure
from benchmark.training.tasks import Dataset
from dcal.weights.load import WeightsError

logger = logging.getLogger("benchmark")


def run_cell(
    cell: Cell,
    seed: int,
    profile: str,
    places: Places,
    *,
    overrides: dict[str, object] | None = None,
    infrastructure: Infrastructure | None = None,
    stop: StopRequest | None = None,
) -> dict | None:
    """Train and evaluate one cell with one seed, or go on with it; returns its result.

    A finished run of the same settings is returned as it is. Raises SuiteError for everything that is the input's
    fault, and RunInterrupt after a requested stop; both are recorded in the run folder.

    Of several ranks all call this. Rank 0 holds the run, writes everything and returns the result; the others return
    None, also where rank 0 found nothing to do or failed before they joined it. Once joined, all raise if one does.
    """
    config = resolve(cell, seed, load_profile(profile), overrides or {})
    infrastructure = infrastructure or Infrastructure()
    world = infrastructure.world or World()
    require_divisible(config, world.size, infrastructure.tuning.accumulate)
    folder = locate_run(config, places.runs)
    stop = stop or StopRequest()
    folder.make()
    damage.require_readable(folder)
    with Meeting(folder, world, stop) as meeting:
        attempt = RunAttempt(config, folder, places, infrastructure, stop, meeting)
        if world.rank:
            return _follow(attempt)
        mended = damage.set_locks_aside(folder)
        held = _claimed(folder, infrastructure.owner, stop)
        folder = replace(folder, verify=held.verify)
        try:
            mended += damage.set_files_aside(folder)
            with (
                log_to_folder(folder, quiet=infrastructure.quiet),
                Heartbeat(folder, stop, parent=infrastructure.parent) as heartbeat,
            ):
                for text in mended:
                    logger.warning("%s", text)
                return _lead(replace(attempt, folder=folder, heartbeat=heartbeat))
        finally:
            _give_back(folder, held)


def _claimed(folder: RunFolder, owner: str, stop: StopRequest) -> lock.RunLock:
    if not owner:
        return lock.acquire(folder.path)
    try:
        return lock.acquire_after(folder.path, owner, lambda: stop.reason)
    except lock.LockHeld as error:
        if stop.reason:  # a cluster's notice while it waited: it may wait again
            raise RunInterrupt(f"{stop.reason} while it waited for the run: {error}") from None
        raise


def _give_back(folder: RunFolder, held: lock.RunLock) -> None:
    """Where the disk was too full to say how the run ended, a dead claim stays and says that it did not end well."""
    if folder.result.exists() or folder.outcome.exists():
        held.release()
    else:
        held.close()


def _follow(attempt: RunAttempt) -> None:
    """What a rank other than 0 does: its part of the work, and no files."""
    logger.setLevel(logging.ERROR)  # what every rank would say, rank 0 says
    with (
        contextlib.suppress(Over),
        recorded(attempt.folder, attempt.infrastructure.owner, attempt.meeting),
    ):
        attempt.meeting.connect()  # first of all: from here on rank 0 hears of an error
        dataset = _load_data(attempt.config, attempt.places)
        fingerprint = locate.fingerprint(dataset.root, dataset.key)
        attempt.run(dataset, fingerprint)


def _lead(attempt: RunAttempt) -> dict:
    """What rank 0, or the only one, does."""
    config, folder = attempt.config, attempt.folder
    with recorded(folder, attempt.infrastructure.owner, attempt.meeting):
        result, damage = read_result(folder)
        if damage:
            folder.verify()
            logger.warning("%s: it is set aside as %s", damage, set_aside(folder.result, "damaged").name)
        dataset = _load_data(config, attempt.places)
        fingerprint = locate.fingerprint(dataset.root, dataset.key)
        _refuse_stale(config, folder, result, fingerprint)
        if result is not None:
            leftovers.remove(folder, result)
            logger.info("%s is done already", config.run_id)
            return result
        folder.verify()
        folder.outcome.unlink(missing_ok=True)
        remove_leftovers(folder.path)
        if is_own(dataset.key) and not folder.has_checkpoint:
            _look_at(dataset, attempt)
        attempt.meeting.connect()
        return attempt.run(dataset, fingerprint)


def _load_data(config: Config, places: Places) -> Dataset:
    if places.generates(config.cell.dataset):
        write(places.data, (config.cell.dataset,))
    dataset = locate.load_dataset(config.cell.dataset, places.data, config.settings.data)
    missing = missing_files(dataset.root, dataset.pictures, limit=5)
    if missing:
        raise DataError(
            f"{dataset.root}: pictures named in the lists are missing, first of all {', '.join(missing)}. "
            "`make check-data` lists them; fetch the dataset again"
        )
    return dataset


def _look_at(dataset: Dataset, attempt: RunAttempt) -> None:
    """A user's own pictures, which no list describes, before the hours: what is left out, and whether all decode."""
    for note in dataset.notes:
        logger.warning("%s", note)
    logger.info("decoding all %s pictures once, before training", f"{len(dataset.pictures):,}")
    refuse_unreadable(dataset, attempt.infrastructure.threads, lambda: attempt.stop.reason)


def _refuse_stale(config: Config, folder: RunFolder, result: dict | None, fingerprint: str) -> None:
    """A record of other settings or data is neither used nor overwritten."""
    why = stale_reason(config, folder, result, fingerprint)
    if why:
        raise RunError(
            f"{folder.path} holds a run {why}. It is kept: RERUN=stale (--rerun stale) sets it aside and runs the cell "
            "anew; another RUNS folder leaves it where it is"
        )


# --- What an attempt at a run leaves when it does not end with a result ---


@contextlib.contextmanager
def recorded(folder: RunFolder, owner: str, meeting: Meeting) -> Iterator[None]:
    """Record a stop or an error that leaves the block; what is the input's fault leaves it as a SuiteError.

    owner: the launcher's name of the attempt. Of several ranks' errors the first one counts: it breaks the others'
    connections, and what they see of it says nothing. Of a process that has lost the run nothing is recorded: however
    it ends, it leaves the block as LockHeld.
    """
    try:
        with _lost_first(folder, meeting):
            yield
    except (Over, LockHeld):
        raise
    except RunInterrupt as error:
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
        text = f"{type(error).__name__}: {error}"
        if (
            meeting.world.size > 1 and "by peer" in text
        ):  # gloo's "Connection closed by peer" or "reset by peer"
            text = "another rank ended without a word: it was killed, or its machine was lost"
        _failed(folder, text, owner, meeting)
        raise


@contextlib.contextmanager
def _lost_first(folder: RunFolder, meeting: Meeting) -> Iterator[None]:
    """What happens to a process that has lost its run follows from that, and is no outcome of the run."""
    try:
        yield
    except BaseException as error:
        try:
            folder.verify()
        except LockHeld as lost:
            logger.error("%s", lost)
            meeting.report(str(lost))
            raise lost from error
        except SuiteError:
            pass  # not known; the error itself says more
        raise


def _failed(folder: RunFolder, message: str, owner: str, meeting: Meeting) -> None:
    rank = meeting.world.rank
    text = f"rank {rank}: {message}" if rank else message
    meeting.report(text)
    # Rank 0 writes what is reported, unless it is gone or waits for a GPU that will never answer.
    if rank == 0 or (meeting.goes_on() and not folder.outcome.exists() and may_write_outcome(folder, owner)):
        _write(folder, "failed", text, owner)


def _write(folder: RunFolder, state: str, message: str, owner: str) -> None:
    with contextlib.suppress(SuiteError):  # the disk may be full; the error itself still reaches the launcher
        write_outcome(folder, state, message, owner)
