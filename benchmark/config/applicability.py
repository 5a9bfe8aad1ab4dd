"""Settings that have the right type and make no sense are refused before anything is computed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from benchmark.config.backbones import BACKBONES
from benchmark.config.grid import Cell
from benchmark.config.parse import abridged
from benchmark.config.settings import GLCA_ONLY, ONE_TASK, TASK_NAMES, Settings
from benchmark.config.variants import fixed
from benchmark.errors import SettingsError


def check_values(settings: Settings, cell: Cell) -> None:
    """Raises SettingsError for values of the right type that make no sense for the cell."""
    train, data = settings.train, settings.data
    if train.epochs < 1 or train.batch_size < 1 or settings.evaluate.every < 1:
        raise SettingsError(
            f"train.epochs={train.epochs}, train.batch_size={train.batch_size} and "
            f"evaluate.every={settings.evaluate.every}: each must be at least 1"
        )
    try:
        glca, pwca = settings.model.glca(), settings.model.pwca()
    except ValueError as error:
        raise SettingsError(f"model settings: {error}") from error
    if cell.method != "baseline" and pwca is None and (glca is None or not BACKBONES[cell.backbone].glca):
        raise SettingsError(
            f"model.pwca_blocks=0{'' if glca else ' and model.glca_blocks=0'} leave nothing of DCAL on "
            f"{BACKBONES[cell.backbone].title}: run the baseline, or switch one on"
        )
    if cell.method != "baseline" and train.batch_size == 1 and pwca and pwca.pairs_in_batch:
        raise SettingsError(
            "train.batch_size=1 leaves PWCA nobody to pair an image with: use at least 2, or "
            "model.pwca_pairing=loader, which brings a second batch"
        )
    if train.lr <= 0 or train.lr_batch < 1 or train.weight_decay < 0:
        raise SettingsError(
            f"train.lr={train.lr} and train.lr_batch={train.lr_batch} must be positive, "
            f"train.weight_decay={train.weight_decay} not negative"
        )
    if not (0 <= data.flip <= 1 and 0 <= data.erase <= 1 and 0 <= settings.model.drop_path < 1):
        raise SettingsError(
            f"data.flip={data.flip}, data.erase={data.erase} and model.drop_path={settings.model.drop_path} are "
            "probabilities"
        )
    if data.pad < 0 or any(c > r + 2 * data.pad for c, r in zip(data.crop, data.resize, strict=True)):
        padded = f" padded by data.pad={data.pad}" if data.pad else ""
        raise SettingsError(f"data.crop={data.crop} does not fit into data.resize={data.resize}{padded}")
    if cell.task == "reid":
        _check_reid(settings)


def _check_reid(settings: Settings) -> None:
    train, data = settings.train, settings.data
    if data.crop != data.resize:
        raise SettingsError(
            f"data.crop={data.crop} differs from data.resize={data.resize}: re-identification is evaluated on whole "
            "pictures; set both, and data.pad for the random crop"
        )
    if train.instances < 2 or train.batch_size % train.instances or train.batch_size < 2 * train.instances:
        raise SettingsError(
            f"train.batch_size={train.batch_size} and train.instances={train.instances}: batch-hard triplets need at "
            "least 2 pictures of each identity and 2 identities, so a batch is a multiple of instances and at least "
            "twice as large"
        )
    if train.warmup_epochs < 0 or train.warmup_epochs >= train.epochs:
        raise SettingsError(
            f"train.warmup_epochs={train.warmup_epochs} does not fit into train.epochs={train.epochs}"
        )
    if not (0 <= train.warmup_start <= 1 and 0 <= train.lr_min <= 1 and train.bias_lr > 0):
        raise SettingsError(
            f"train.warmup_start={train.warmup_start} and train.lr_min={train.lr_min} are shares of the learning "
            f"rate, train.bias_lr={train.bias_lr} a positive multiple of it"
        )


# --- Which settings have a meaning for which cells, and SETs that have none ---

NAMED = 3  # cells in an error


def belongs_to_other(name: str, task: str) -> bool:
    """Whether a setting belongs to another task than ``task`` alone."""
    return any(name in names for other, names in ONE_TASK.items() if other != task)


def is_glca_without(name: str, backbone: str) -> bool:
    """Whether a setting is GLCA's and the backbone has none."""
    return name in GLCA_ONLY and not BACKBONES[backbone].glca


def _has_meaning(name: str, cell: Cell) -> bool:
    """Whether a setting is one of the cell's task and backbone."""
    return not belongs_to_other(name, cell.task) and not is_glca_without(name, cell.backbone)


def applicable_settings(values: Mapping[str, object], cell: Cell) -> dict[str, object]:
    """Select the settings that apply to a cell. values: by dotted name."""
    return {name: value for name, value in values.items() if _has_meaning(name, cell)}


def require_meaning(overrides: Iterable[str], cells: Iterable[Cell]) -> None:
    """Raises SettingsError for an override that changes nothing in any of the cells."""
    cells = tuple(cells)
    for name in overrides:
        if not cells or any(_has_meaning(name, cell) for cell in cells):
            continue
        if name in GLCA_ONLY:
            backbones = ", ".join(dict.fromkeys(BACKBONES[cell.backbone].title for cell in cells))
            raise SettingsError(
                f"SET: {name} is a setting of GLCA, which {backbones} has not: DCAL is PWCA alone there; leave it out"
            )
        (owner,) = (task for task, names in ONE_TASK.items() if name in names)
        raise SettingsError(
            f"SET: {name} is a setting of {TASK_NAMES[owner]} alone and has no meaning for the cells asked for; "
            "leave it out"
        )


def require_free(overrides: Iterable[str], cells: Iterable[Cell]) -> None:
    """Raises SettingsError for an override of what a variant among the cells fixes. For verbs that start runs, which
    would start the variant without it; those that read show it as it is.
    """
    cells = tuple(cells)
    for name in overrides:
        if fixing := [cell.id for cell in cells if name in fixed(cell.method)]:
            raise SettingsError(
                f"SET: {name} is fixed by {abridged(fixing, NAMED)}: leave it out, or ask for other CELLS"
            )
