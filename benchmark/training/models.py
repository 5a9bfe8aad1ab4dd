"""The model of a run, as its settings have it."""

from __future__ import annotations

from pathlib import Path

from benchmark.config.resolve import Config, load_profile
from benchmark.errors import SettingsError
from benchmark.training.tasks import TASKS
from dcal.builder import build
from dcal.model import DCAL
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
