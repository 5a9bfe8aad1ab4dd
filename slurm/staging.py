"""Copy of a dataset on a node's own disk; the first job on a node makes it."""

from __future__ import annotations

import fcntl
import logging
import os
import re
import shutil
import time
from pathlib import Path
from typing import IO

from benchmark.atomic import explained, folder_content, write_json
from benchmark.config.datasets import DATASETS
from benchmark.data import locate
from benchmark.errors import DataError, RunError
from benchmark.records.heartbeat import RunInterrupt, StopRequest
from benchmark.records.run_folder import read_json

logger = logging.getLogger("benchmark")
POLL_SECONDS = 0.5
_COMPLETE = ".copied.json"  # hidden, because other files beside generated sets are taken for a user's data


def stage_data(scratch: str, dataset: str, data: Path, stop: StopRequest | None = None) -> Path:
    """Data folder below ``scratch`` with a copy of a dataset, which is made if this node has none.

    scratch: path on the node's disk, variables not expanded. dataset: key. data: folder that has the dataset.
    stop: request that ends the copying.

    The name of the copy contains the fingerprint of the data, so changed data are copied again. Runs on the same node
    share the copy; one waits while another copies. The copy stays for the next job: the site empties scratch.

    Raises DataError if the dataset is not in ``data``; RunError if scratch names an unknown variable, cannot be written
    or is full; RunInterrupt at a stop request. The incomplete copy is removed then.
    """
    stop = stop or StopRequest()
    source = locate.locate(dataset, data)
    if source is None:
        raise DataError(
            f"no {dataset} in {data} on this node: is DATA on a file system that compute nodes see?"
        )
    folder = _expand(scratch) / f"dcal-{os.getuid()}"
    fingerprint = locate.fingerprint(source, dataset)
    target = folder / f"{source.name}-{fingerprint[:16]}"
    with explained(target):
        folder.mkdir(parents=True, exist_ok=True)
        with open(folder / f".{target.name}.lock", "w") as lock:
            _lock(lock, stop)
            if read_json(target / _COMPLETE) != folder_content(target, _COMPLETE):
                shutil.rmtree(target, ignore_errors=True)
                _copy(source, target, DATASETS[dataset].folders[0], stop)
    return target


def _lock(lock: IO[str], stop: StopRequest) -> None:
    """Wait while another job copies; the kernel frees the lock however that job ends."""
    while True:
        try:
            return fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            _check_stop(stop, "while another job copied its data to scratch")
            time.sleep(POLL_SECONDS)


def _check_stop(stop: StopRequest, step: str) -> None:
    """Raise Stopped at a stop request. step: what was going on, in words."""
    if stop.reason:
        raise RunInterrupt(f"{stop.reason} {step}; nothing was computed yet")


def _copy(source: Path, target: Path, name: str, stop: StopRequest) -> None:
    start = time.monotonic()
    partial = target.with_name(f".{target.name}.half")
    shutil.rmtree(partial, ignore_errors=True)  # of a job that was killed while copying

    def copy_file(file: str, copy: str) -> None:
        _check_stop(stop, "while its data were copied to scratch")
        shutil.copy2(file, copy)

    try:
        shutil.copytree(source, partial / name, copy_function=copy_file)
    except shutil.Error as error:  # it has a list of files; the first one is enough
        shutil.rmtree(partial, ignore_errors=True)
        first = error.args[0][0]
        raise RunError(
            f"copying {source} to scratch failed at {first[0]}: {first[2]}. Make room there, or leave scratch out of "
            "the cluster file to read the data where they are"
        ) from error
    except (OSError, RunInterrupt):
        shutil.rmtree(partial, ignore_errors=True)
        raise
    write_json(partial / _COMPLETE, folder_content(partial, _COMPLETE))
    os.rename(partial, target)
    logger.info("%s copied to %s in %.0f s", source, target, time.monotonic() - start)


def _expand(scratch: str) -> Path:
    path = os.path.expandvars(scratch)
    if unknown := re.search(r"\$\{?\w+", path):
        raise RunError(
            f"scratch = {scratch!r}: the job has no variable {unknown[0]}; name a folder that its nodes have"
        )
    if not os.path.isabs(path):
        raise RunError(f"scratch = {scratch!r} is {path!r} here: expected an absolute path")
    return Path(path)
