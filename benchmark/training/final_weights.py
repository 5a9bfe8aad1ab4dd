"""A checkpoint's tensors into the model that a run's settings describe."""

from __future__ import annotations

import re

import torch
from torch import Tensor

from benchmark.config.resolve import Config
from benchmark.errors import RunError
from benchmark.training.models import build_model
from dcal.model import DCAL
from dcal.tensors import differences, differences_text

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
