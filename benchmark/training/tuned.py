"""A model with a run's tuning applied."""

from __future__ import annotations

import os
import shutil

import torch
import torch._dynamo.config
import torch._inductor.config

from benchmark.config.tuning import Tuning
from benchmark.errors import RunError
from dcal.model import DCAL

# More than any model here has: compiled is one for each block, shape, and with and without gradient.
VARIANTS = 256


def tune(model: DCAL, tuning: Tuning) -> None:
    """Have a model compute as asked for; its state dict stays as it is.

    Compiled is what leads to the features, for each shape anew, so that a resumed run has the code of one that was not
    interrupted. Raises RunError where that has no C++ compiler.
    """
    if tuning.recompute:
        model.set_grad_checkpointing()
    if tuning.compile:
        _require_compiler()
        # Draws as torch makes them, on GPUs too: parts are computed twice and must draw the same. And no silent return
        # to plain code where a model has more variants than dynamo compiles by default.
        torch._inductor.config.fallback_random = True
        torch._dynamo.config.recompile_limit = VARIANTS
        torch._dynamo.config.fail_on_recompile_limit_hit = True
        model.features = torch.compile(model.features, dynamic=False)


def _require_compiler() -> None:
    wanted = (os.environ["CXX"],) if os.environ.get("CXX") else ("g++", "clang++")
    if not any(map(shutil.which, wanted)):
        raise RunError(
            f"TUNE compile=true needs a C++ compiler and finds no {' or '.join(wanted)}: install one, or leave it out"
        )
