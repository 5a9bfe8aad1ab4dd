"""Runs of one epoch whose evaluation draws local queries at random, and processes of them that end like killed ones."""

import os
import shutil

import torch

from benchmark.config.grid import select
from benchmark.config.places import Places
from benchmark.config.resolve import load_profile, resolve
from benchmark.records import status
from benchmark.records.run_folder import RunFolder, locate_run
from benchmark.training import run
from benchmark.training.request import Infrastructure

CELL = select(["cub/deit_tiny/dcal"])[0]
# With the mean read-out the drawn queries count in every number.
SETTINGS = {
    "data.class_limit": 3,
    "train.epochs": 1,
    "evaluate.every": 1,
    "model.glca_select": "random",
    "model.glca_readout": "mean",
}
CONFIG = resolve(CELL, 0, load_profile("mini"), SETTINGS)
KILLED = 9


def run_once(places: Places) -> dict:
    torch.set_num_threads(1)
    return run.run_cell(
        CELL, 0, "mini", places, overrides=SETTINGS, infrastructure=Infrastructure(quiet=True)
    )


def folder(places: Places) -> RunFolder:
    return locate_run(CONFIG, places.runs)


def state(places: Places) -> tuple[str, str]:
    view = status.view_run(CONFIG, places, None)
    return view.state, view.reason


def names(places: Places) -> set[str]:
    return {path.name for path in folder(places).path.iterdir()}


def copied(places: Places, to) -> Places:
    """The same runs in another folder."""
    shutil.copytree(places.runs, to)
    return Places(to, places.data, places.weights, generated=True)


def killed(module: object, name: str, *, after: bool) -> None:
    """From now on this process dies, with nothing tidied, before or after the first call of ``module.name``."""
    call = getattr(module, name)

    def last(*arguments, **named):
        if after:
            call(*arguments, **named)
        os._exit(KILLED)

    setattr(module, name, last)


def in_a_process(act) -> int:
    """Do something in a process of its own; returns its exit status."""
    child = os.fork()
    if child == 0:
        try:
            act()
        finally:
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
