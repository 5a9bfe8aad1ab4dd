"""Fixtures for tests that train: mini pictures written once, places, a small disk."""

import shutil
import subprocess

import pytest

from benchmark.config.places import MINI_WEIGHTS, Places


@pytest.fixture
def places(tmp_path, mini_pictures):
    """A fresh runs folder over the shared pictures; the path has a space in it."""
    return Places(tmp_path / "my runs", mini_pictures, MINI_WEIGHTS, generated=True)


@pytest.fixture
def own_pictures(tmp_path, mini_pictures):
    """A copy of the mini CUB that a test may damage, as official pictures of a user's."""
    root = tmp_path / "own"
    shutil.copytree(mini_pictures / "CUB_200_2011", root / "CUB_200_2011")
    return Places(tmp_path / "runs", root, MINI_WEIGHTS, generated=False)


@pytest.fixture
def small_disk(tmp_path):
    """A real file system of 1 MiB: room for a log and not for a checkpoint."""
    mounted = tmp_path / "disk"
    mounted.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(mounted)], capture_output=True
    )
    if done.returncode:
        pytest.skip("needs the right to mount a small file system")
    yield mounted
    subprocess.run(["umount", str(mounted)], check=True)


@pytest.fixture(scope="session")
def nearly_done(tmp_path_factory, mini_pictures):
    """A run (small_runs.py) that was killed when all that was left was to write the final numbers; to be copied."""
    import small_runs

    from benchmark.training import attempt

    places = Places(
        tmp_path_factory.mktemp("nearly done") / "runs", mini_pictures, MINI_WEIGHTS, generated=True
    )

    def act():
        small_runs.killed(attempt, "make_result", after=False)
        small_runs.run_once(places)

    assert small_runs.in_a_process(act) == small_runs.KILLED
    return places
