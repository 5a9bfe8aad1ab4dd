"""Pairs of finished mini runs to draw, trained once a session: a moment of CUB, and of Market-1501."""

import shutil
from pathlib import Path

import pytest
from drawn_runs import OVERRIDES


@pytest.fixture(scope="session")
def trained(write_once):
    """Folder of runs with both pairs; tests must not change it."""
    return write_once("runs to draw", _train)


def _train(runs):
    import torch

    from benchmark.config.grid import select
    from benchmark.config.places import Places
    from benchmark.training.request import Infrastructure
    from benchmark.training.run import run_cell

    torch.set_num_threads(1)
    places = Places.of("mini", runs, None, None)
    for cells, overrides in OVERRIDES.items():
        for cell in select([cells]):
            run_cell(cell, 0, "mini", places, overrides=overrides, infrastructure=Infrastructure(quiet=True))


@pytest.fixture
def runs(trained, tmp_path):
    """A copy of both pairs and their data that a test may damage."""
    return Path(shutil.copytree(trained, tmp_path / "my runs"))
