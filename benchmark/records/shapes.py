"""What the time of a training step depends on, beside the machine (no torch)."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, replace
from typing import Literal

from benchmark.config.resolve import Config
from benchmark.config.settings import DataSettings
from dcal.settings import GLCASettings, PWCASettings


@dataclass(frozen=True)
class Shape:
    """Runs of one shape take the same time for a step, and for a batch of an evaluation, on the same machine.

    crop: height and width of the input. classes: of the classifier. erase: probability that a picture has a box to be
    filled on the device. tuning: as TUNE has it. glca, pwca: settings of the method, None where a run is without.
    Seeds, learning rates and what the pictures show are not in it, nor are the weights' values.
    """

    tag: str
    task: Literal["fgvc", "reid"]
    crop: tuple[int, int]
    batch_size: int
    classes: int
    optimizer: str
    precision: str
    drop_path: float
    erase: float
    tuning: str
    glca: dict[str, object] | None
    pwca: dict[str, object] | None

    @property
    def key(self) -> str:
        """The same for equal shapes, in any process."""
        return digest(asdict(self))

    def share(self, ranks: int) -> Shape:
        """What each of so many ranks computes of a step."""
        return replace(self, batch_size=self.batch_size // ranks)

    def __str__(self) -> str:
        branches = (_text("GLCA", self.glca, GLCASettings()), _text("PWCA", self.pwca, PWCASettings()))
        method = " + ".join(filter(None, branches)) or "baseline"
        height, width = self.crop
        tuned = f", {self.tuning}" if self.tuning else ""
        return (
            f"{self.tag}, {height}×{width}, batch {self.batch_size}, {self.classes} classes, {method}{tuned}"
        )


def _text(name: str, settings: dict[str, object] | None, usual: GLCASettings | PWCASettings) -> str:
    """A branch and what of it differs from FGVC's: ``GLCA ratio=0.3``; "" for none."""
    if settings is None:
        return ""
    differs = (f" {key}={value}" for key, value in settings.items() if value != getattr(usual, key))
    return name + "".join(differs)


def shape_of(config: Config, classes: int, tuning: str = "") -> Shape:
    """The shape of a run whose data have so many classes. tuning: its Tuning as text."""
    settings = config.settings
    return Shape(
        tag=config.tag,
        task=config.cell.task,
        crop=settings.data.crop,
        batch_size=settings.train.batch_size,
        classes=classes,
        optimizer=settings.train.optimizer,
        precision=settings.train.precision,
        drop_path=settings.model.drop_path,
        erase=settings.data.erase,
        tuning=tuning,
        glca=asdict(config.glca) if config.glca else None,
        pwca=asdict(config.pwca) if config.pwca else None,
    )


def pictures_key(dataset: str, data: DataSettings, *, in_process: bool) -> str:
    """Of what a picture's way into a batch depends on. in_process: decoded by the run itself, not by a worker."""
    return digest({"dataset": dataset, "data": asdict(data), "in_process": in_process})


def digest(value: object) -> str:
    """16 hexadecimal digits of a JSON value."""
    canonical = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:16]
