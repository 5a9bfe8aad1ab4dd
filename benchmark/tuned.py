"""A model with a run's tuning applied."""

from __future__ import annotations

import os
import shutil

import torch

from benchmark.errors import RunError
from benchmark.tuning import Tuning
from dcal.model import DCAL


def tune(model: DCAL, tuning: Tuning) -> None:
    """Have a model compute as asked for; its state dict stays as it is.

    Compiled is what leads to the features, for each shape anew, so that a resumed run has the code of one that was not
    interrupted. Raises RunError where that has no C++ compiler.
    """
    if tuning.recompute:
        model.set_grad_checkpointing()
    if tuning.compile:
        _require_compiler()
        model.features = torch.compile(model.features, dynamic=False)


def _require_compiler() -> None:
    wanted = (os.environ["CXX"],) if os.environ.get("CXX") else ("g++", "clang++")
    if not any(map(shutil.which, wanted)):
        raise RunError(
            f"TUNE compile=true needs a C++ compiler and finds no {' or '.join(wanted)}: install one, or leave it out"
        )
