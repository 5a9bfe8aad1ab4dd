"""Decoding processes of a loader: bounded waiting for batches, error messages for lost processes, and their end."""

from __future__ import annotations

import contextlib
import logging
import queue
import re
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from multiprocessing.queues import Queue
from typing import Protocol, TypeVar

import cv2
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, _utils, get_worker_info
from torch.utils.data.dataloader import _BaseDataLoaderIter, _MultiProcessingDataLoaderIter

from benchmark.errors import RunError

logger = logging.getLogger("benchmark")

POLL_SECONDS = 1.0  # between two checks of the stop request while waiting for a batch
WARN_SECONDS = 60.0  # without a batch: logged once for each wait
# Waiting longer for a batch is an error: a disk that answers is faster. Other ranks wait for this one for at most 30
# minutes (the limit of torch.distributed).
WAIT_SECONDS = 20 * 60.0
CLOSE_SECONDS = 5.0  # time for the processes to end by themselves

SAME_COMMAND = "the same command goes on from the last checkpoint"


class StopWhileWaiting(Exception):
    """Error: a stop was requested while waiting for a batch. The loader cannot be used any more."""


class DecodingLoader(DataLoader):
    """A DataLoader that does not wait for ever.

    plan: indices of each batch.
    workers: number of decoding processes; 0 decodes in this process.
    stopping: returns whether a stop was requested; called while waiting for a batch.
    source: where the batches are read from, for messages.
    """

    def __init__(
        self,
        dataset: Dataset,
        plan: Iterable[list],
        collate: Callable[[list], object],
        workers: int,
        stopping: Callable[[], object],
        source: str,
    ) -> None:
        self.stopping, self.source = stopping, source
        super().__init__(
            dataset,
            batch_sampler=plan,
            num_workers=workers,
            collate_fn=collate,
            worker_init_fn=_start_worker,
            persistent_workers=workers > 0,
            pin_memory=torch.cuda.is_available(),
            # Otherwise it draws from torch's global state in every epoch, and a resumed run would differ.
            generator=torch.Generator(),
        )

    def _get_iterator(self) -> _BaseDataLoaderIter:
        return _BatchIterator(self) if self.num_workers else super()._get_iterator()

    def close(self) -> None:
        """End the processes, also those that do not respond."""
        iterator, self._iterator = self._iterator, None
        if iterator is not None:
            iterator.end()


def _start_worker(_: int) -> None:
    # Only the run's main process handles signals: a worker that died of one would end the run.
    for name in ("SIGINT", "SIGTERM", "SIGUSR1", "SIGUSR2"):
        signal.signal(getattr(signal, name), signal.SIG_IGN)
    cv2.setNumThreads(0)
    torch.set_num_threads(1)


class _BatchIterator(_MultiProcessingDataLoaderIter):
    def __init__(self, loader: DecodingLoader) -> None:
        self._stopping, self._source = loader.stopping, loader.source
        super().__init__(loader)
        if not self._pin_memory:
            self._start_reader()

    def _start_reader(self) -> None:
        """Fetch batches in a thread, as torch does to pin them: fetching blocks if a decoding process is suspended.

        The attributes have the names of torch's thread for pinning, so torch ends the thread.
        """
        self._data_queue, self._pin_memory_thread_done_event = queue.Queue(), threading.Event()
        ends = (self._worker_result_queue, self._data_queue, self._pin_memory_thread_done_event)
        self._pin_memory_thread = threading.Thread(
            target=_fetch_batches, args=ends, name="batches", daemon=True
        )
        self._pin_memory_thread.start()

    def _get_data(self) -> object:
        """Wait for the next batch. torch's own method waits without a limit and only notices dead processes."""
        start, warned = time.monotonic(), False
        while True:
            try:
                arrived, data = self._try_get_data(POLL_SECONDS)
            except RuntimeError as error:
                raise RuntimeError(self._death() or str(error)) from error
            if arrived and isinstance(data, Exception):
                time.sleep(POLL_SECONDS)  # the death of a process may be known only then
                text = self._death() or str(data)
                message = f"a batch of a decoding process was lost ({text}): {_FEWER_WORKERS}; {SAME_COMMAND}"
                raise RunError(_loss_reason(text) or message) from data
            if arrived:
                return data
            if self._stopping():
                raise StopWhileWaiting
            if not self._pin_memory_thread.is_alive():
                raise RuntimeError("Pin memory thread exited unexpectedly")
            waited = time.monotonic() - start
            if waited > WAIT_SECONDS:
                raise RunError(
                    f"no batch arrived within {WAIT_SECONDS / 60:.0f} minutes, though {self._processes()}: the disk or "
                    f"network file system that holds {self._source} does not answer, or a process is suspended. See to "
                    f"that, or decode in the run's own process (WORKERS=0); {SAME_COMMAND}"
                )
            if waited > WARN_SECONDS and not warned:
                warned = True
                logger.warning(
                    "no batch for %.0f s, though %s: waiting for %s up to %.0f minutes", waited, self._processes(),
                    self._source, WAIT_SECONDS / 60,
                )  # fmt: skip

    def _death(self) -> str:
        """Message about a dead process, in torch's words, or "". torch's own error may have been suppressed."""
        for process in self._workers:
            if code := process.exitcode:
                ending = f"is killed by signal: {signal.strsignal(-code)}" if code < 0 else ""
                return f"DataLoader worker (pid {process.pid}) {ending or f'exited unexpectedly with exit code {code}'}"
        return ""

    def _processes(self) -> str:
        count = len(self._workers)
        return "the decoding process lives" if count == 1 else f"all {count} decoding processes live"

    def end(self) -> None:
        """End the processes. They ignore SIGTERM, which multiprocessing would send before waiting for ever."""
        try:
            with contextlib.suppress(RuntimeError):  # one of them was killed
                self._workers_done_event.set()
                for requests in self._index_queues:
                    requests.put(None)
                deadline = time.monotonic() + CLOSE_SECONDS
                for process in self._workers:
                    process.join(max(0.0, deadline - time.monotonic()))
        finally:
            if self._worker_pids_set:  # from now on the death of a process is no error
                _utils.signal_handling._remove_worker_pids(id(self))
                self._worker_pids_set = False
            for process in self._workers:
                if process.is_alive():
                    process.kill()
                    process.join(POLL_SECONDS)
            self._shutdown_workers()


def _fetch_batches(batches: Queue, fetched: queue.Queue, finished: threading.Event) -> None:
    """Pass on the batches of the decoding processes, or the error where one cannot be received."""
    while not finished.is_set():
        try:
            fetched.put(batches.get(timeout=CLOSE_SECONDS))
        except queue.Empty:
            continue
        except Exception as error:  # any error: the run raises it
            fetched.put(error)


class Closable(Protocol):
    """An object with decoding processes."""

    def close(self) -> None:
        """End them."""


Loader, Item = TypeVar("Loader", bound=Closable), TypeVar("Item")


@contextlib.contextmanager
def loader_session(loader: Loader) -> Iterator[Loader]:
    """Context in which a loader is used. Its processes end with it, and the loss of one is a RunError.

    torch raises the death of a process in the main thread, wherever that is at this moment.
    """
    try:
        yield loader
    except RuntimeError as error:
        if reason := _loss_reason(str(error)):
            raise RunError(reason) from error
        raise
    finally:
        loader.close()


class RankAgreement(Protocol):
    """Agreement between the ranks of a run (``training.distributed``)."""

    def any(self, *flags: bool) -> tuple[bool, ...]:
        """For each flag, whether any rank has set it."""


def next_batch(batches: Iterator[Item], ranks: RankAgreement) -> Item | None:
    """The next batch, None after the last one.

    Raises StopWhileWaiting on all ranks if a stop was requested on one of them before its batch arrived.
    """
    try:
        batch, stopping = next(batches, None), False
    except StopWhileWaiting:
        batch, stopping = None, True
    if ranks.any(stopping)[0]:
        raise StopWhileWaiting
    return batch


def share_memory(tensors: Iterable[Tensor]) -> None:
    """Move a batch's tensors into shared memory, in a decoding process. Raises RunError if there is no space.

    multiprocessing would do this in a thread, where an error loses the batch without a message.
    """
    if get_worker_info() is None:
        return
    try:
        for tensor in tensors:
            if tensor.numel():  # an empty tensor cannot be shared
                tensor.share_memory_()
    except RuntimeError as error:
        if "No space left" in str(error):
            raise RunError(NO_ROOM) from error
        raise RunError(
            f"a decoding process cannot hand its batch over ({error}): {_FEWER_WORKERS}; {SAME_COMMAND}"
        ) from error


_FEWER_WORKERS = "use fewer of them (WORKERS=1; WORKERS=0 decodes in the run's own process)"
NO_ROOM = (
    "/dev/shm, through which decoding processes hand over their batches, is full: give the container more "
    "(docker run --shm-size=2g), use fewer processes or none (WORKERS=1, WORKERS=0), or fewer runs at once (JOBS=1); "
    f"{SAME_COMMAND}"
)


def _loss_reason(text: str) -> str:
    """Why a decoding process was lost, from torch's error text; "" for another error."""
    if match := re.search(r"DataLoader worker \(pid (\d+)\) is killed by signal: ([\w ]+)", text):
        pid, name = match[1], match[2].strip()
        if name == "Bus error":  # a page of shared memory could not be allocated
            return NO_ROOM
        if name == "Killed":
            return (
                f"a decoding process (pid {pid}) was killed, probably by the system because memory ran out: "
                f"{_FEWER_WORKERS}, or fewer runs at once (JOBS=1), or ask for more memory; {SAME_COMMAND}"
            )
        return (
            f"a decoding process (pid {pid}) was ended by a signal ({name}): {_FEWER_WORKERS}; {SAME_COMMAND}"
        )
    if match := re.search(r"DataLoader worker \(pid(?:\(s\))? ([\d, ]+)\) exited unexpectedly", text):
        status = re.search(r"with exit code (-?\d+)", text)
        ending = f"with status {status[1]}" if status else "without a word, perhaps because memory ran out"
        return f"a decoding process (pid {match[1]}) ended {ending}: {_FEWER_WORKERS}; {SAME_COMMAND}"
    if "Too many open files" in text or "items of ancdata" in text:
        return (
            f"too many open files: decoding processes need a few for each of their batches. Raise the limit "
            f"(ulimit -n 4096) or {_FEWER_WORKERS}; {SAME_COMMAND}"
        )
    if "Pin memory thread exited" in text:
        problem = "the thread that pins batches in memory ended, perhaps because memory ran out"
        return f"{problem}: {_FEWER_WORKERS}; {SAME_COMMAND}"
    return ""
