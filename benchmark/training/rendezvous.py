"""How the ranks of one run find each other, learn why one of them failed, and part: through their run folder."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Iterator
from types import TracebackType

import torch
import torch.distributed as dist

from benchmark.atomic import write_json
from benchmark.config.compute_setup import World
from benchmark.errors import RunError, SuiteError
from benchmark.records import lock_files
from benchmark.records.heartbeat import RunInterrupt, StopRequest
from benchmark.records.run_folder import RunFolder, read_json
from benchmark.training.distributed import ProcessGroup, SingleProcess

# Longer than a cold start of Python on a busy network file system takes, or rank 0 waits for its predecessor's end.
WAIT_SECONDS = 1800
POLL_SECONDS = 0.1
# For the others to ask for the reason of a failure before rank 0, which keeps it, is gone.
PARTING_SECONDS = 10
_FAILURE = "failure"


class Over(Exception):
    """Rank 0 ended before the others joined: there is nothing for them to do, and rank 0 says why."""


class Meeting:
    """The ranks of one attempt. Rank 0 opens a port that the system chooses and announces it in the run folder.

    To be entered before anything that can fail and left last: if rank 0 leaves without having met the others, they are
    told that it is over. With one rank nothing of this happens.
    """

    def __init__(self, folder: RunFolder, world: World, stop: StopRequest) -> None:
        self.world, self._folder, self._stop = world, folder, stop
        self._file = folder.path / f".rendezvous.{world.attempt}"
        self._store: dist.TCPStore | None = None
        self._met = False

    def __enter__(self) -> Meeting:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        if self.world.size == 1:
            return
        with contextlib.suppress(SuiteError, OSError, RuntimeError):  # nothing here is worth hiding the error
            if self.world.rank:
                self._add("left")
            elif self._met:
                self._until("left", PARTING_SECONDS)
                self._file.unlink(missing_ok=True)
            else:
                write_json(self._file, {"over": f"{kind.__name__}: {error}" if kind else "done already"})
                if self._store:
                    self._store.set("over", "")
                    self._until("left", PARTING_SECONDS)
        self._store = None

    def connect(self) -> None:
        """Find the others' store. Raises Over if rank 0 has ended, RunError if it does not show up or be reached."""
        if self.world.size == 1:
            return
        if self.world.rank == 0:
            self._remove_forgotten()
            host = _address()
            self._store = _store(host, 0, master=True)
            write_json(self._file, {"host": host, "port": self._store.port})
            return
        waited_until = time.monotonic() + WAIT_SECONDS
        while not (announced := read_json(self._file)):
            if time.monotonic() > waited_until:
                raise RunError(
                    f"rank 0 of {self.world.size} did not announce itself in {self._file} within "
                    f"{WAIT_SECONDS // 60} minutes: see its log, and whether all machines see the same run folder"
                )
            time.sleep(POLL_SECONDS)
        if "over" in announced:
            raise Over(announced["over"])
        self._store = _store(announced["host"], announced["port"], master=False)
        self._add("here")

    @contextlib.contextmanager
    def group(self, device: torch.device) -> Iterator[SingleProcess]:
        """All ranks together, once each has come here. Raises RunInterrupt or RunError if not, Over."""
        if self.world.size == 1:
            yield SingleProcess()
            return
        self._wait_for_all()
        backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
        dist.init_process_group(backend, store=self._store, rank=self.world.rank, world_size=self.world.size)
        self._met = True
        peers, together = ProcessGroup(device), False
        try:
            yield peers
            peers.meet()  # nobody's connections close while another still needs them
            together = True
        except RunInterrupt:
            together = True
            raise
        finally:
            # After an error NCCL would wait for the rank that failed; there the end of the process ends the group.
            if together or device.type == "cpu":
                dist.destroy_process_group()

    def report(self, message: str) -> None:
        """Say why this rank failed, before the end of its process breaks the others' connections. The first counts."""
        if self._store:
            with contextlib.suppress(RuntimeError):
                self._store.compare_set(_FAILURE, "", message)

    def failure(self) -> str:
        """The first report, or "": there is none, or rank 0, which keeps it, is gone."""
        if self._store:
            with contextlib.suppress(RuntimeError):
                if self._store.check([_FAILURE]):
                    return self._store.get(_FAILURE).decode()
        return ""

    def goes_on(self) -> bool:
        """Whether this attempt is still the one that the run folder knows."""
        return self._file.exists()

    def _wait_for_all(self) -> None:
        """Rank 0 opens the door when everybody is in front of it."""
        if self.world.rank:
            self._wait_for_rank_0()
            return
        if not self._until("ready", WAIT_SECONDS, watch=True):
            raise RunError(
                f"{self._store.add('ready', 0)} of {self.world.size - 1} other ranks were ready within "
                f"{WAIT_SECONDS // 60} minutes, {self._store.add('here', 0)} had come: see the launcher's log of the "
                "others, and whether all machines see the same run folder"
            )
        self._store.set("begin", "")

    def _wait_for_rank_0(self) -> None:
        try:
            self._add("ready")
            while not self._store.check(["begin"]):
                if self._store.check(["over"]):
                    raise Over("rank 0 ended")
                time.sleep(POLL_SECONDS)
        except RuntimeError as error:
            if "over" in (read_json(self._file) or {}):
                raise Over("rank 0 ended") from error
            raise RunError(f"rank 0 was lost before training began: {error}") from error

    def _until(self, event: str, seconds: float, *, watch: bool = False) -> bool:
        """Whether it came true for all other ranks. watch: end for a reported failure or a request to stop."""
        end = time.monotonic() + seconds
        while self._store.add(event, 0) < self.world.size - 1:
            if watch and (message := self.failure()):
                raise RunError(message)
            if watch and self._stop.reason:
                raise RunInterrupt(f"{self._stop.reason} before training began")
            if time.monotonic() > end:
                return False
            time.sleep(POLL_SECONDS)
        return True

    def _add(self, event: str) -> None:
        if self._store:
            self._store.add(event, 1)

    def _remove_forgotten(self) -> None:
        """Announcements of attempts that were killed. One that somebody may still wait for is left alone."""
        for file in self._folder.path.glob(".rendezvous.*"):
            with contextlib.suppress(OSError):
                if lock_files.file_age(file) > WAIT_SECONDS:
                    file.unlink()


def _store(host: str, port: int, *, master: bool) -> dist.TCPStore:
    try:
        return dist.TCPStore(host, port, is_master=master, wait_for_workers=False)
    except RuntimeError as error:
        what = "cannot open a port" if master else f"cannot reach rank 0 at {host}, port {port}"
        raise RunError(f"{what}: {error}. The ranks of a run need TCP connections to each other") from error


def _address() -> str:
    """This machine's name, or its address where the name cannot be looked up."""
    name = socket.gethostname()
    with contextlib.suppress(OSError):
        socket.getaddrinfo(name, None)
        return name
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))  # sends nothing; the system picks the address it would send from
        return probe.getsockname()[0]
    return "127.0.0.1"
