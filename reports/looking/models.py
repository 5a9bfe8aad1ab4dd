"""Models to look into: of a run, of any checkpoint file, or timm's own weights; each knows how pictures enter it."""

from __future__ import annotations

import pickle
import re
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

import dcal
from benchmark import checkpoint
from benchmark.config import Config, load_profile
from benchmark.data.loader import Prepare, normalise
from benchmark.data.pictures import TestPictures
from benchmark.errors import RunError, SettingsError
from benchmark.status import RunView
from benchmark.tasks import TASKS
from dcal.inspection import Inspection, Layers
from dcal.model import DCAL

NAMED = 4  # tensors named in an error
# The classifier of a branch; its rows are the classes.
CLASSIFIER = "sa_head.classifier.weight"


@dataclass(frozen=True)
class Network:
    """A model in eval mode on its device.

    pictures: from a file to its input, uint8 (h, w, 3). classes: names by index, () where they are not known.
    label: who it is, in a figure. weights: digest of all tensors.
    """

    model: nn.Module
    pictures: TestPictures
    prepare: Prepare
    label: str
    weights: str
    classes: tuple[str, ...] = field(default=(), repr=False)

    @property
    def has_glca(self) -> bool:
        return getattr(self.model, "glca", None) is not None

    @property
    def selection(self) -> str:
        """How GLCA chooses its queries, ``rollout`` or ``random``; "" without GLCA."""
        return self.model.glca.settings.select if self.has_glca else ""

    def inspect(
        self, images: Sequence[np.ndarray] | np.ndarray | Tensor, layers: Layers | None
    ) -> Inspection:
        """Look at pictures, uint8 (B, h, w, 3). Raises SettingsError for layers it has not."""
        stacked = images if isinstance(images, Tensor) else torch.from_numpy(np.stack(list(images)))
        look = dcal.inspect if isinstance(self.model, DCAL) else dcal.inspect_vit
        try:
            return look(self.model, self.prepare(stacked), layers)
        except ValueError as error:
            raise SettingsError(f"LAYERS: {error}") from error


def of_run(run: RunView, where: torch.device | str = "cpu") -> Network:
    """A finished run's final weights. Raises RunError where its checkpoint is missing, torn or of other weights."""
    files, state = run.folder, checkpoint.newest(run.folder, run.config.hash)
    if state is None:
        found = "is torn or of other settings" if files.checkpoint.exists() else "is missing"
        raise RunError(f"{files.checkpoint} {found}: copy the run folder again, or run {run.cell.id} anew")
    found, recorded = checkpoint.weights_sha256(state["model"]), run.result["final_weights_sha256"]
    if found != recorded:
        raise RunError(
            f"{files.checkpoint} holds weights {found[:12]}…, result.json was made with {recorded[:12]}…: they do not "
            "belong together; copy the run folder again"
        )
    names = tuple(map(str, (run.predictions or {}).get("classes", ())))
    label = f"{run.cell.method} seed {run.seed}"
    return _network(run.config, state["model"], str(files.checkpoint), label, found, names, where)


def of_checkpoint(
    path: Path, config: Config, classes: Sequence[str] = (), where: torch.device | str = "cpu"
) -> Network:
    """Any checkpoint file of the architecture that ``config`` names; baseline or DCAL as its tensors say.

    classes: names, used if they are as many as the checkpoint's. Raises RunError for a file that is missing, torn, no
    checkpoint, or of another architecture.
    """
    state = _read(path)
    found = checkpoint.weights_sha256(state)
    return _network(config, state, str(path), path.stem, found, tuple(classes), where)


def _network(
    config: Config,
    state: dict[str, Tensor],
    path: str,
    label: str,
    weights: str,
    names: tuple[str, ...],
    where: torch.device | str,
) -> Network:
    if CLASSIFIER not in state:
        raise RunError(f"{path} has no {CLASSIFIER}: expected a checkpoint of this suite's DCAL or baseline")
    count, settings = len(state[CLASSIFIER]), config.settings
    if load_profile(config.profile).backbones == "mini":
        import benchmark.mini.backbones  # noqa: F401 - registers them with timm
    torch.manual_seed(config.seed)  # as the run does: random selection draws what it drew first
    try:
        model = dcal.build(
            config.tag,
            count,
            image_size=settings.data.crop,
            head=TASKS[config.cell.task].head,
            weights="random",
            glca=settings.model.glca() if any(name.startswith("glca.") for name in state) else None,
        )
    except ValueError as error:
        raise RunError(
            f"{config.cell.id} in profile {config.profile} cannot be looked into: {error}"
        ) from error
    _require_same(model.state_dict(), state, path, config)
    model.load_state_dict(state, strict=True)
    where = torch.device(where)
    return Network(
        model.eval().to(where),
        TestPictures.of(config.cell.dataset, settings.data),
        normalise(model, where, settings.data.normalise),
        label,
        weights,
        names if len(names) == count else (),
    )


def _require_same(expected: dict[str, Tensor], found: dict[str, Tensor], path: str, config: Config) -> None:
    problems = [f"lacks {name}" for name in expected if name not in found]
    problems += [f"has {name}, which it should not" for name in found if name not in expected]
    problems += [
        f"has {name} of shape {tuple(found[name].shape)} instead of {tuple(tensor.shape)}"
        for name, tensor in expected.items()
        if name in found and found[name].shape != tensor.shape
    ]
    if problems:
        more = f" and {len(problems) - NAMED} more" if len(problems) > NAMED else ""
        height, width = config.settings.data.crop
        raise RunError(
            f"{path} is {_described(found)}; expected {config.tag} at {height}×{width}, {_described(expected)}: it "
            f"{', '.join(problems[:NAMED])}{more}. Name the CELL and PROFILE it was trained as"
        )


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


def _read(path: Path) -> dict[str, Tensor]:
    """The model's tensors in a checkpoint file, or in a state_dict saved alone."""
    if not path.is_file():
        raise RunError(f"{path}: no such checkpoint; expected the checkpoint.pt of a run")
    try:
        with zipfile.ZipFile(path) as archive:  # torch does not compare checksums
            if bad := archive.testzip():
                raise RunError(f"{path} is damaged: the checksum of {bad} does not match; copy it again")
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (
        OSError,
        RuntimeError,
        EOFError,
        ValueError,
        KeyError,
        zipfile.BadZipFile,
        pickle.UnpicklingError,
    ) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise RunError(
            f"{path} ({path.stat().st_size:,} bytes) cannot be read as a checkpoint: {reason}; copy it again"
        ) from error
    state = state.get("model", state) if isinstance(state, dict) else state
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise RunError(f"{path} holds no tensors by name: expected the checkpoint.pt of a run")
    return state
