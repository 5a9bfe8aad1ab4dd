"""A cluster's processes, found by its folder, and their end; as a program, the guard of a cluster."""

import os
import signal
import sys
import time
from pathlib import Path


def kill_all_of(folder: Path) -> None:
    """SIGKILL every process of the cluster in `folder`, until there is none left."""
    for _ in range(200):
        if not (found := _processes_of(folder)):
            return
        for pid in found:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        time.sleep(0.05)
    raise RuntimeError(f"processes of {folder} do not end: {sorted(found)}")


def _processes_of(folder: Path) -> set[int]:
    """Daemons, steps and jobs, told by their environment or open files, with all of their descendants.

    A step belongs to no daemon once that is killed, and a job's process may have left its step's session.
    """
    marker = f"SLURM_CONF={folder}/slurm.conf".encode()
    parents, found = {}, set()
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            state, parent = (entry / "stat").read_text().rpartition(")")[2].split()[:2]
            if state in "ZX":
                continue
            parents[int(entry.name)] = int(parent)
            if marker in (entry / "environ").read_bytes().split(b"\0") or (
                (entry / "comm").read_text().startswith(("slurm", "munge")) and _holds_file_in(entry, folder)
            ):
                found.add(int(entry.name))
        except OSError:  # it has ended meanwhile
            continue
    grown = True
    while grown:
        more = {pid for pid, parent in parents.items() if parent in found} - found
        found |= more
        grown = bool(more)
    above = os.getpid()
    while above:
        found.discard(above)
        above = parents.get(above, 0)
    return found


def _holds_file_in(process: Path, folder: Path) -> bool:
    for link in (process / "fd").iterdir():
        try:
            if os.readlink(link).startswith(f"{folder}/"):
                return True
        except OSError:
            continue
    return False


if __name__ == "__main__":
    # The guard of a cluster: its standard input ends when the process that started it does, however
    # that ended, and then no daemon or job may stay.
    sys.stdin.buffer.read()
    kill_all_of(Path(sys.argv[1]))
