"""Settings that have the right type and make no sense are refused before anything is computed (no torch)."""

from __future__ import annotations

from benchmark.config.backbones import BACKBONES
from benchmark.config.grid import Cell
from benchmark.config.settings import Settings
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
