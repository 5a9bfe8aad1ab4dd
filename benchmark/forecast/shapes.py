"""What the time of a training step depends on, beside the machine (no torch)."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, replace
from typing import Literal

from benchmark.backbones import BACKBONES
from benchmark.config import Config
from benchmark.settings import DataSettings


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
        method = " + ".join(name.upper() for name in ("glca", "pwca") if getattr(self, name)) or "baseline"
        height, width = self.crop
        tuned = f", {self.tuning}" if self.tuning else ""
        return (
            f"{self.tag}, {height}×{width}, batch {self.batch_size}, {self.classes} classes, {method}{tuned}"
        )


def shape_of(config: Config, classes: int, tuning: str = "") -> Shape:
    """The shape of a run whose data have so many classes. tuning: its Tuning as text."""
    settings, dcal = config.settings, config.cell.method == "dcal"
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
        glca=asdict(settings.model.glca()) if dcal and BACKBONES[config.cell.backbone].glca else None,
        pwca=asdict(settings.model.pwca()) if dcal else None,
    )


def pictures_key(dataset: str, data: DataSettings, *, in_process: bool) -> str:
    """Of what a picture's way into a batch depends on. in_process: decoded by the run itself, not by a worker."""
    return digest({"dataset": dataset, "data": asdict(data), "in_process": in_process})


def digest(value: object) -> str:
    """16 hexadecimal digits of a JSON value."""
    canonical = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:16]
