"""Every setting of a run: its name, type and meaning (no torch).

A profile file (recipes/*.toml) gives the values, `SET="train.epochs=3"` overrides them. A setting belongs here only
if it changes the numbers: those of a run's task enter its hash. Where things lie and how fast they go does not.

Settings with a value here belong to one task alone (ONE_TASK); for the other task that value switches them off.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from dcal.settings import (
    GLCASettings,
    Init,
    Keys,
    Pairing,
    PWCASettings,
    Readout,
    Regulariser,
    Selection,
    Stream,
)

Size = tuple[int, int]


@dataclass(frozen=True, kw_only=True)
class DataSettings:
    """Pictures into the model. Sizes are (height, width) in pixels."""

    resize: Size  # the whole picture is resized to this
    crop: Size  # random crop in training; the model's input size
    flip: float  # probability of a horizontal flip in training
    # fine-grained classification
    test_crop: Literal["center", "whole"] = (
        "center"  # of the resized picture; whole: the picture at crop size
    )
    class_limit: int = 0  # 0: all classes; n: the first n, reported as a subset
    drop_banner: bool = False  # cut the 20-pixel copyright banner off Aircraft's pictures
    # re-identification
    interpolation: Literal["area", "bicubic"] = (
        "area"  # area averages where it shrinks, bilinear where it grows
    )
    pad: int = 0  # black pixels on every side of the resized picture, before the random crop
    erase: float = 0.0  # probability of random erasing in training
    normalise: Literal["weights", "half"] = "weights"  # the weights' own mean and std, or 0.5 and 0.5
    merge_val: bool = False  # MSMT17: train on its validation list as well
    skip_unparsable: bool = False  # leave pictures out whose names do not say who is on them


@dataclass(frozen=True, kw_only=True)
class ModelSettings:
    """The method's options (dcal/README.md); those of a cross-attention have no meaning for the baseline."""

    drop_path: float
    glca_blocks: int
    glca_ratio: float
    glca_init: Init
    glca_readout: Readout
    glca_select: Selection
    glca_keys: Keys
    pwca_blocks: int
    pwca_stream: Stream
    pwca_pairing: Pairing
    pwca_regulariser: Regulariser
    pwca_noise: float
    w_init: float  # start value of the uncertainty weights

    def glca(self) -> GLCASettings | None:
        """The method's own form of the GLCA settings; None where glca_blocks = 0 switches it off."""
        if self.glca_blocks == 0:
            return None
        return GLCASettings(
            blocks=self.glca_blocks,
            ratio=self.glca_ratio,
            init=self.glca_init,
            readout=self.glca_readout,
            select=self.glca_select,
            keys=self.glca_keys,
        )

    def pwca(self) -> PWCASettings | None:
        """The method's own form of the PWCA settings; None where pwca_blocks = 0 switches it off."""
        if self.pwca_blocks == 0:
            return None
        return PWCASettings(
            blocks=self.pwca_blocks,
            stream=self.pwca_stream,
            pairing=self.pwca_pairing,
            regulariser=self.pwca_regulariser,
            noise=self.pwca_noise,
        )


@dataclass(frozen=True, kw_only=True)
class TrainSettings:
    """Optimisation. The batch size is the global one, whatever the number of devices."""

    epochs: int
    batch_size: int
    optimizer: Literal["adamw", "adam", "sgd"]  # adam: L2-coupled weight decay, the literal reading
    lr: float  # for a batch of lr_batch, scaled linearly with batch_size
    lr_batch: int
    momentum: float  # sgd only
    weight_decay: float
    precision: Literal[
        "auto", "float32", "bfloat16", "float16"
    ]  # auto: bf16, else fp16 on GPUs, float32 on CPUs
    # re-identification
    instances: int = 0  # K: pictures of each identity in a batch; P = batch_size / K identities
    bias_lr: float = 1.0  # biases learn at this multiple of lr
    decay_all: bool = False  # weight decay on norms, biases and tokens, too
    schedule: Literal["step", "epoch"] = "step"  # when the learning rate moves
    warmup_epochs: int = 0  # rises linearly from warmup_start
    warmup_start: float = 0.0  # share of lr
    lr_min: float = 0.0  # share of lr at which the cosine ends


@dataclass(frozen=True, kw_only=True)
class EvaluateSettings:
    """Evaluation during training; the last epoch is always evaluated and is the one that counts."""

    every: int  # epochs


@dataclass(frozen=True, kw_only=True)
class Settings:
    """All settings of a run, in the sections of a profile file."""

    data: DataSettings
    model: ModelSettings
    train: TrainSettings
    evaluate: EvaluateSettings


# Settings of the cross-attentions: they do not determine a baseline's numbers and stay out of its hash.
DCAL_ONLY = tuple(f"model.{name}" for name in ModelSettings.__dataclass_fields__ if name != "drop_path")

# Settings of GLCA: backbones without it (benchmark.backbones) leave them out of their hash.
GLCA_ONLY = tuple(name for name in DCAL_ONLY if name.startswith("model.glca_"))

# The same of PWCA.
PWCA_ONLY = tuple(name for name in DCAL_ONLY if name.startswith("model.pwca_"))

# Settings that came after records of this version of the numbers were made, with what was done before there was a
# choice: at that value they stay out of the hash, so that those records stay valid.
CAME_LATER: dict[str, object] = {
    "model.glca_keys": "global",
    "model.pwca_regulariser": "pwca",
    "model.pwca_noise": 0.1,
}

# Settings that have a meaning for one task alone: they stay out of the other's hash.
ONE_TASK = {
    "fgvc": ("data.test_crop", "data.class_limit", "data.drop_banner"),
    "reid": (
        "data.interpolation",
        "data.pad",
        "data.erase",
        "data.normalise",
        "data.merge_val",
        "data.skip_unparsable",
        "train.instances",
        "train.bias_lr",
        "train.decay_all",
        "train.schedule",
        "train.warmup_epochs",
        "train.warmup_start",
        "train.lr_min",
    ),
}

# What a user may change and still run the paper's recipe: options where the paper is silent or reads two ways
# (dcal/README.md, recipes/paper.toml). With anything else changed, numbers are not compared with the paper's.
READINGS = (
    *DCAL_ONLY,
    "data.test_crop",
    "data.drop_banner",
    "data.merge_val",
    "train.optimizer",
    "train.batch_size",
    "train.precision",
    "evaluate.every",
)
