"""Every setting of a run: its name, type and description.

A profile file (recipes/*.toml) gives the values, `SET="train.epochs=3"` overrides them. A setting belongs here only
if it changes the numbers: those of a run's task enter its hash. Where things lie and how fast they go does not.
"""

from __future__ import annotations

import typing
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Literal

from benchmark.config.model_settings import ModelSettings, OpenReading, SettingInfo, description, descriptions

# Part of every hash: raised when the code changes the numbers that the same settings give.
NUMBERS_VERSION = 1
# task → its name
TASK_NAMES: Mapping[str, str] = {"fgvc": "fine-grained classification", "reid": "re-identification"}

Size = tuple[int, int]


@dataclass(frozen=True, kw_only=True)
class DataSettings:
    """Pictures into the model. Sizes are (height, width) in pixels."""

    resize: Size = field(
        metadata=description("height and width in pixels that the whole picture is resized to")
    )
    crop: Size = field(
        metadata=description("height and width of the random crop in training; the model's input size")
    )
    flip: float = field(metadata=description("probability of a horizontal flip in training"))
    test_crop: Literal["center", "whole"] = field(
        default="center",
        metadata=description(
            "part of the resized test picture that is classified",
            task="fgvc",
            reading=OpenReading(
                "Which part of a test picture is classified?",
                "center, the middle of the resized picture; whole, the picture at the size of the crop",
            ),
        ),
    )
    class_limit: int = field(
        default=0, metadata=description("0: all classes; n: the first n, reported as a subset", task="fgvc")
    )
    drop_banner: bool = field(
        default=False,
        metadata=description(
            "cut the 20-pixel copyright banner off Aircraft's pictures",
            task="fgvc",
            reading=OpenReading(
                "Is Aircraft's 20-pixel copyright banner cut off?", "false, as in peers' work; true"
            ),
        ),
    )
    interpolation: Literal["area", "bicubic"] = field(
        default="area",
        metadata=description(
            "of resizing: area averages where it shrinks and is bilinear where it grows",
            task="reid",
        ),
    )
    pad: int = field(
        default=0,
        metadata=description(
            "black pixels on every side of the resized picture, before the random crop", task="reid"
        ),
    )
    erase: float = field(
        default=0.0, metadata=description("probability of random erasing in training", task="reid")
    )
    normalise: Literal["weights", "half"] = field(
        default="weights",
        metadata=description(
            "mean and std of the input: weights, those of the pretrained weights; half, 0.5 and 0.5",
            task="reid",
        ),
    )
    merge_val: bool = field(
        default=False,
        metadata=description(
            "MSMT17: train on its validation list as well",
            task="reid",
            reading=OpenReading(
                "Is MSMT17's validation list trained on?",
                "true, as in TransReID; false, as in FastReID and torchreid",
            ),
        ),
    )
    skip_unparsable: bool = field(
        default=False,
        metadata=description("leave out pictures whose names do not say who is on them", task="reid"),
    )


@dataclass(frozen=True, kw_only=True)
class TrainSettings:
    """Optimisation. The batch size is the global one, whatever the number of devices."""

    epochs: int = field(metadata=description("epochs of training; the last one counts"))
    batch_size: int = field(
        metadata=description(
            "images of a batch, over all devices together",
            reading=OpenReading(
                "Is the batch size that of all devices together?",
                "16 and 64 as the total; times the number of GPUs for the reading “per GPU”",
            ),
        )
    )
    optimizer: Literal["adamw", "adam", "sgd"] = field(
        metadata=description(
            "adamw, sgd, or adam with L2-coupled weight decay, the literal reading",
            reading=OpenReading(
                "Which optimizer is meant by the paper's “Adam with weight decay” and “SGD”?",
                "adamw (fine-grained) and sgd (re-identification); adam, whose coupled decay wears down weights with "
                "weak gradients",
            ),
        )
    )
    lr: float = field(
        metadata=description("learning rate of a batch of lr_batch, scaled linearly with batch_size")
    )
    lr_batch: int = field(metadata=description("batch size that lr is given for"))
    momentum: float = field(metadata=description("momentum of sgd; the other optimizers have none"))
    weight_decay: float = field(metadata=description("factor of the weight decay"))
    precision: Literal["auto", "float32", "bfloat16", "float16"] = field(
        metadata=description(
            "auto: bfloat16, else float16 on GPUs, float32 on CPUs",
            reading=OpenReading(
                "In which precision are networks trained?",
                "auto: bfloat16, else float16 on GPUs, float32 on CPUs; float32, bfloat16, float16",
            ),
        )
    )
    instances: int = field(
        default=0,
        metadata=description(
            "K, pictures of each identity in a batch; P = batch_size / K identities", task="reid"
        ),
    )
    bias_lr: float = field(
        default=1.0, metadata=description("multiple of lr that biases learn at", task="reid")
    )
    decay_all: bool = field(
        default=False, metadata=description("weight decay on norms, biases and tokens, too", task="reid")
    )
    schedule: Literal["step", "epoch"] = field(
        default="step",
        metadata=description("when the learning rate changes: after each step or each epoch", task="reid"),
    )
    warmup_epochs: int = field(
        default=0,
        metadata=description(
            "epochs in which the learning rate rises linearly from warmup_start", task="reid"
        ),
    )
    warmup_start: float = field(
        default=0.0, metadata=description("share of lr that the warm-up starts at", task="reid")
    )
    lr_min: float = field(
        default=0.0, metadata=description("share of lr at which the cosine ends", task="reid")
    )


@dataclass(frozen=True, kw_only=True)
class EvaluateSettings:
    """Evaluation during training; the last epoch is always evaluated and is the one that counts."""

    every: int = field(
        metadata=description(
            "epochs between two evaluations; the last epoch is always evaluated",
            reading=OpenReading(
                "After how many epochs is the test set looked at? The last epoch alone counts.",
                "any number; it feeds the curves and the best-epoch number, which is not the result",
            ),
        )
    )


@dataclass(frozen=True, kw_only=True)
class Settings:
    """All settings of a run, in the sections of a profile file."""

    data: DataSettings
    model: ModelSettings
    train: TrainSettings
    evaluate: EvaluateSettings

    def named_values(self) -> dict[str, object]:
        """Dotted name → value of every setting."""
        return {
            f"{section}.{name}": value
            for section, values in asdict(self).items()
            for name, value in values.items()
        }


# Dotted name → description of every setting, in the order of the sections.
SETTINGS: Mapping[str, SettingInfo] = {
    f"{section}.{name}": info
    for section, type_ in typing.get_type_hints(Settings).items()
    for name, info in descriptions(type_)
}

# Settings of the cross-attentions: they do not determine a baseline's numbers and stay out of its hash.
DCAL_ONLY = tuple(name for name in SETTINGS if name.startswith("model.") and name != "model.drop_path")

# Settings of GLCA: backbones without it (benchmark.backbones) leave them out of their hash.
GLCA_ONLY = tuple(name for name in DCAL_ONLY if name.startswith("model.glca_"))

# The same of PWCA.
PWCA_ONLY = tuple(name for name in DCAL_ONLY if name.startswith("model.pwca_"))

# Settings that were added after records of this version of the numbers were made, with what those runs did: at that
# value they stay out of the hash, so that those records stay valid.
CAME_LATER: Mapping[str, object] = {
    name: info.former for name, info in SETTINGS.items() if info.since == NUMBERS_VERSION
}

# Task → the settings that have a meaning for it alone: they stay out of the other's hash.
ONE_TASK: Mapping[str, tuple[str, ...]] = {
    task: tuple(name for name, info in SETTINGS.items() if info.task == task) for task in TASK_NAMES
}

# What a user may change and still run the paper's recipe: options where the paper is silent or reads two ways, those of
# the method first. With anything else changed, numbers are not compared with the paper's.
READINGS: Mapping[str, OpenReading] = {
    name: SETTINGS[name].reading
    for name in sorted(SETTINGS, key=lambda name: not name.startswith("model."))
    if SETTINGS[name].reading
}
