"""A dataset copied to a node's own disk, once a node, whoever comes first (no torch)."""

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
_COMPLETE = ".copied.json"  # hidden: what lies beside generated sets is otherwise taken for somebody's data


def staged(scratch: str, dataset: str, data: Path, stop: StopRequest | None = None) -> Path:
    """The data folder to read a dataset from: a copy below ``scratch``, made now if this node has none.

    The copy's name holds the data's fingerprint, so changed data are copied anew; runs on the same node share it,
    and one waits while another copies. It stays for the next job: emptying scratch is the site's business.
    Raises DataError if the dataset is not in ``data``, RunError if scratch names an unknown variable, cannot be
    written or is full, RunInterrupt if a stop is requested meanwhile; the half copy is removed then.
    """
    stop = stop or StopRequest()
    source = locate.locate(dataset, data)
    if source is None:
        raise DataError(
            f"no {dataset} in {data} on this node: is DATA on a file system that compute nodes see?"
        )
    where = _expanded(scratch) / f"dcal-{os.getuid()}"
    fingerprint = locate.fingerprint(source, dataset)
    target = where / f"{source.name}-{fingerprint[:16]}"
    with explained(target):
        where.mkdir(parents=True, exist_ok=True)
        with open(where / f".{target.name}.lock", "w") as lock:
            _lock(lock, stop)
            if read_json(target / _COMPLETE) != folder_content(target, _COMPLETE):
                shutil.rmtree(target, ignore_errors=True)
                _copy(source, target, DATASETS[dataset].folders[0], stop)
    return target


def _lock(lock: IO[str], stop: StopRequest) -> None:
    """Wait while another job copies; the kernel frees the lock, however its holder ends."""
    while True:
        try:
            return fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            _heed(stop, "while another job copied its data to scratch")
            time.sleep(POLL_SECONDS)


def _heed(stop: StopRequest, where: str) -> None:
    if stop.reason:
        raise RunInterrupt(f"{stop.reason} {where}; nothing was computed yet")


def _copy(source: Path, target: Path, name: str, stop: StopRequest) -> None:
    began = time.monotonic()
    half = target.with_name(f".{target.name}.half")
    shutil.rmtree(half, ignore_errors=True)  # of a job that was killed while copying

    def copy_one(file: str, copy: str) -> None:
        _heed(stop, "while its data were copied to scratch")
        shutil.copy2(file, copy)

    try:
        shutil.copytree(source, half / name, copy_function=copy_one)
    except shutil.Error as error:  # its list of files, of which the first says enough
        shutil.rmtree(half, ignore_errors=True)
        first = error.args[0][0]
        raise RunError(
            f"copying {source} to scratch failed at {first[0]}: {first[2]}. Make room there, or leave scratch out of "
            "the cluster file to read the data where they are"
        ) from error
    except (OSError, RunInterrupt):
        shutil.rmtree(half, ignore_errors=True)
        raise
    write_json(half / _COMPLETE, folder_content(half, _COMPLETE))
    os.rename(half, target)
    logger.info("%s copied to %s in %.0f s", source, target, time.monotonic() - began)


def _expanded(scratch: str) -> Path:
    path = os.path.expandvars(scratch)
    if unknown := re.search(r"\$\{?\w+", path):
        raise RunError(
            f"scratch = {scratch!r}: the job has no variable {unknown[0]}; name a folder that its nodes have"
        )
    if not os.path.isabs(path):
        raise RunError(f"scratch = {scratch!r} is {path!r} here: expected an absolute path")
    return Path(path)
