"""Shared by all tests: where real photographs and weights lie, one thread for torch, no deadlines, processes."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from filelock import FileLock
from hypothesis import settings
from xdist.scheduler import LoadFileScheduling

from benchmark.config.datasets import DATASETS

# Nothing is timed: a busy machine must not fail a test.
settings.register_profile("suite", deadline=None)
settings.load_profile("suite")

# Read by torch when it is imported; tests that do without torch stay without it.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MKL_NUM_THREADS", "1")


def pytest_xdist_auto_num_workers(config) -> int:
    """One process more than cores, since tests on a cluster mostly wait; none for a few files, which start faster."""
    if all(".py" in argument for argument in config.args):
        return 0
    return len(os.sched_getaffinity(0)) + 1


def pytest_xdist_make_scheduler(config, log) -> LoadFileScheduling:
    """A file's tests stay in one process, with its fixtures; so do all files that need the one cluster."""
    return _ByFile(config, log)


class _ByFile(LoadFileScheduling):
    def _split_scope(self, nodeid: str) -> str:
        file = super()._split_scope(nodeid)
        return "cluster" if file.endswith("_on_cluster.py") else file


@pytest.fixture(scope="session")
def write_once(request, tmp_path_factory) -> Callable[[str, Callable[[Path], object]], Path]:
    """A function of a name and of what fills a folder: returns the folder, filled by the first process that wants it.

    Tests must not change what is in it.
    """
    base = tmp_path_factory.getbasetemp()
    if hasattr(request.config, "workerinput"):  # one of several processes, whose own folders have one parent
        base = base.parent

    def write(name: str, fill: Callable[[Path], object]) -> Path:
        folder, filled = base / name, base / f"{name}.filled"
        with FileLock(base / f"{name}.lock"):
            if not filled.exists():
                folder.mkdir(exist_ok=True)  # another process may have failed in the middle
                fill(folder)
                filled.touch()
        return folder

    return write


@pytest.fixture(scope="session")
def mini_pictures(write_once):
    """The generated sets, written once a session; tests must not change them."""
    from benchmark.data.mini.sets import write_all

    return write_once("mini pictures", write_all)


@pytest.fixture(scope="session")
def shared() -> Path:
    """Folder of real photographs and weights, which are never committed: $DCAL_SHARED or ../shared."""
    default = Path(__file__).resolve().parents[2] / "shared"
    folder = Path(os.environ.get("DCAL_SHARED") or default)
    if not folder.is_dir():
        pytest.skip(f"needs real photographs and weights: no folder {folder} (set DCAL_SHARED)")
    return folder


@pytest.fixture(autouse=True)
def own_datasets_are_forgotten() -> Iterator[None]:
    """What a test registers as a user's own dataset ends with it."""
    known = set(DATASETS)
    yield
    for key in set(DATASETS) - known:
        del DATASETS[key]


@pytest.fixture
def sweep(tmp_path) -> Iterator[Path]:
    """A folder of made-up runs in every state (mini_sweep.py); while the test lasts, the running ones run."""
    import mini_sweep  # numpy with it: after the threads are set above

    runs = mini_sweep.unpack(tmp_path / "sweep")
    with mini_sweep.alive(runs):
        yield runs
