"""Shared by all tests: where real photographs and weights lie, one thread for torch, no deadlines."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from benchmark.data.registry import DATASETS

# Nothing is timed: a busy machine must not fail a test.
settings.register_profile("suite", deadline=None)
settings.load_profile("suite")

# Read by torch when it is imported; tests that do without torch stay without it.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MKL_NUM_THREADS", "1")


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
