"""The model of a run, as its settings have it."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import torch
import torch._dynamo.config
import torch._inductor.config
from torch import Tensor

from benchmark.config.compute_setup import Tuning
from benchmark.config.resolve import Config, load_profile
from benchmark.errors import RunError, SettingsError
from benchmark.training.tasks import TASKS
from dcal.builder import build
from dcal.model import DCAL
from dcal.tensors import differences, differences_text
from dcal.weights.load import WeightsError


def build_model(config: Config, classes: int, *, weights: str | Path, drop_path: float | None = None) -> DCAL:
    """classes: of the classifier; training identities for re-identification. weights: as ``dcal.build`` takes them.

    drop_path: another rate of stochastic depth than the run's.
    Raises SettingsError for settings that the backbone cannot follow, WeightsError as ``dcal.build``.
    """
    if load_profile(config.profile).backbones == "mini":
        import benchmark.data.mini.backbones  # noqa: F401 - registers them with timm
    model = config.settings.model
    try:
        return build(
            config.tag,
            classes,
            image_size=config.settings.data.crop,
            head=TASKS[config.cell.task].head,
            weights=weights,
            drop_path=model.drop_path if drop_path is None else drop_path,
            glca=config.glca,
            pwca=config.pwca,
        )
    except WeightsError:
        raise
    except ValueError as error:
        raise SettingsError(
            f"{config.cell.id} in profile {config.profile} cannot be built: {error}"
        ) from error


# --- A checkpoint's tensors into the model that a run's settings describe ---

# The classifier of a branch; its rows are the classes.
CLASSIFIER = "sa_head.classifier.weight"


def model_of(config: Config, state: dict[str, Tensor], path: str) -> DCAL:
    """The model in eval mode on the CPU. path: where state is from, for errors.

    Raises RunError for tensors of another architecture than config's; SettingsError as ``build_model``.
    """
    if CLASSIFIER not in state:
        raise RunError(f"{path} has no {CLASSIFIER}: expected a checkpoint of this suite's DCAL or baseline")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)  # as the run does: random selection draws what it drew first
        model = build_model(config, len(state[CLASSIFIER]), weights="random")
    if problems := differences(model.state_dict(), state):
        height, width = config.settings.data.crop
        raise RunError(
            f"{path} is {_described(state)}; expected {config.tag} at {height}×{width}, "
            f"{_described(model.state_dict())}: it {differences_text(problems)}. "
            "Name the CELL and PROFILE it was trained as"
        )
    model.load_state_dict(state, strict=True)
    return model.eval()


def _described(state: dict[str, Tensor]) -> str:
    """``12 blocks of width 192 on 784 patches, with GLCA``: what tells architectures apart."""
    blocks = re.compile(r"backbone\.vit\.(layers\.\d+\.)?blocks(_token_only)?\.\d+\.norm1\.weight")
    count = sum(blocks.fullmatch(name) is not None for name in state)
    positions = state.get("backbone.vit.pos_embed")
    # CaiT's class token comes in behind the patch blocks and has no position.
    classes = not any(name.startswith("backbone.vit.blocks_token_only.") for name in state)
    size = (
        ""
        if positions is None
        else f" of width {positions.shape[2]} on {positions.shape[1] - classes} patches"
    )
    glca = "with" if any(name.startswith("glca.") for name in state) else "without"
    return f"{count} blocks{size}, {glca} GLCA"


# --- A model with a run's tuning applied ---

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
    compilers = (os.environ["CXX"],) if os.environ.get("CXX") else ("g++", "clang++")
    if not any(map(shutil.which, compilers)):
        raise RunError(
            f"TUNE compile=true needs a C++ compiler and finds no {' or '.join(compilers)}: install one, "
            "or leave it out"
        )
