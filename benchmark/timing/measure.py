"""Time and peak memory of a function, in a fresh process of its own (torch only where a GPU is measured)."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import importlib
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmark.errors import RunError
from benchmark.records.provenance import ROOT


def time_in_turns(
    works: Mapping[str, Callable[[], object]], repeats: int, finish: Callable[[], object] = lambda: None
) -> dict[str, list[float]]:
    """Seconds of every call of each work, after a first call that does not count.

    Every other round goes backwards: a machine that slows down favours nobody. finish: called before each reading of
    the clock, to wait for a GPU.
    """
    for work in works.values():
        work()
    seconds: dict[str, list[float]] = {name: [] for name in works}
    for repeat in range(repeats):
        for name in list(works)[:: -1 if repeat % 2 else 1]:
            finish()
            began = time.perf_counter()
            works[name]()
            finish()
            seconds[name].append(time.perf_counter() - began)
    return seconds


def waiting_for(device: str) -> Callable[[], object]:
    """What ``time_in_turns`` needs as finish: on a GPU a function returns before its work is done."""
    if device != "cuda":
        return lambda: None
    import torch

    return torch.cuda.synchronize


# What a measured function returns, and JSON carries: numbers, or one number a repeat.
Result = dict[str, float | list[float]]


@dataclass(frozen=True)
class Measurement:
    """seconds: of each span; memory_bytes: most memory above what was there at start(); result: what it returned."""

    seconds: dict[str, float]
    memory_bytes: int
    result: Result


class Meter:
    """Handed to the measured function, which says where its preparations end and names the spans of its work."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._peak: Peak | GPUPeak | None = None

    def start(self, device: str = "cpu") -> None:
        """What the process holds now, its input for one, does not count as memory of the work.

        device: ``cuda`` counts the GPU's memory in place of the process's.
        """
        self._peak = GPUPeak() if device == "cuda" else Peak()

    @contextlib.contextmanager
    def span(self, name: str) -> Iterator[None]:
        """Add the time of the block to the span of this name."""
        began = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - began

    def memory_bytes(self) -> int:
        """Most memory since start()."""
        if self._peak is None:
            raise RuntimeError("a measured function calls meter.start() before its work")
        return self._peak.above()


Work = Callable[..., Result]


# glibc gives every block of this size and more back to the system at once. Otherwise it keeps some of them for itself,
# and which ones changes from one process to the next.
GIVE_BACK = {"MALLOC_MMAP_THRESHOLD_": "65536"}


def measure(work: Work, **arguments: object) -> Measurement:
    """work(meter, **arguments) in a new process. work: a module's function; arguments: what JSON can carry.

    Raises RunError, with what the process said last, if it fails.
    """
    return _measure(work, arguments, {})


def measure_memory(work: Work, **arguments: object) -> int:
    """Bytes that the same work has in memory at once, above what was there at start(). Its times mean nothing."""
    return _measure(work, arguments, GIVE_BACK).memory_bytes


def _measure(work: Work, arguments: Mapping[str, object], variables: Mapping[str, str]) -> Measurement:
    task = json.dumps([work.__module__, work.__name__, arguments])
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))} | variables
    command = [sys.executable, "-m", "benchmark.timing.measure"]
    process = subprocess.run(command, input=task, cwd=ROOT, env=environment, capture_output=True, text=True)
    if process.returncode:
        output = process.stderr.strip()[-2000:] or "nothing; the system may have ended it for want of memory"
        raise RunError(
            f"measuring {work.__name__} ended with {process.returncode} where 0 was expected; it said: {output}"
        )
    return Measurement(**json.loads(process.stdout.splitlines()[-1]))


def available_bytes() -> int:
    """Memory that new processes may take: the system's, or what the control group (a cluster job, say) leaves.

    Where the system does not tell: half of what is built in.
    """
    try:
        free = [_kilobytes(Path("/proc/meminfo"), "MemAvailable")]
    except OSError:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    with contextlib.suppress(OSError, StopIteration):
        groups = Path("/proc/self/cgroup").read_text().splitlines()
        group_line = next(line for line in groups if line.startswith("0::"))
        folder = Path("/sys/fs/cgroup") / group_line[len("0::/") :]
        for group in (folder, *folder.parents):
            with contextlib.suppress(OSError, ValueError):  # no limit there, or the word max
                limit = int((group / "memory.max").read_text())
                free.append(limit - int((group / "memory.current").read_text()))
    return min(free)


class Peak:
    """The most memory this process holds from now on, above what it holds now.

    Linux forgets its high-water mark when told so. Elsewhere, and where that is forbidden, the mark covers the whole
    life of the process, and what stayed below the highest point of the preparations is not seen.
    """

    def __init__(self) -> None:
        # Memory that is free but still the process's would be taken again without being seen.
        gc.collect()
        with contextlib.suppress(AttributeError, OSError):  # glibc's own
            ctypes.CDLL(None).malloc_trim(0)
        try:
            Path("/proc/self/clear_refs").write_text("5")
            self._before = _kilobytes(Path("/proc/self/status"), "VmRSS")
            self._linux = True
        except OSError:
            self._before = _highest()
            self._linux = False

    def above(self) -> int:
        """Bytes."""
        peak = _kilobytes(Path("/proc/self/status"), "VmHWM") if self._linux else _highest()
        return max(0, peak - self._before)


class GPUPeak:
    """The most memory that torch holds on the GPU from now on, above what it holds now."""

    def __init__(self) -> None:
        import torch

        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        self._before = torch.cuda.memory_allocated()

    def above(self) -> int:
        """Bytes."""
        import torch

        torch.cuda.synchronize()
        return torch.cuda.max_memory_allocated() - self._before


def _kilobytes(path: Path, field: str) -> int:
    """A line "field:  123 kB" of a file under /proc, in bytes."""
    line = next(line for line in path.read_text().splitlines() if line.startswith(f"{field}:"))
    return 1024 * int(line.split()[1])


def _highest() -> int:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _serve() -> None:
    """The new process: a task from standard input, what was measured to the last line of standard output."""
    module, name, arguments = json.load(sys.stdin)
    work = getattr(importlib.import_module(module), name)
    meter = Meter()
    result = work(meter, **arguments)
    print(json.dumps(asdict(Measurement(meter.seconds, meter.memory_bytes(), result))))


if __name__ == "__main__":
    _serve()
