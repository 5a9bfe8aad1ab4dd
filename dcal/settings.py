"""The options of the method, each with the paper's choice (or the reading settled in README.md) as default.

No torch here: recipes and listings read these names and types without loading it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Readout = Literal["cls", "mean"]
Selection = Literal["rollout", "random"]
Init = Literal["copy", "random"]
Stream = Literal["own", "figure"]
Pairing = Literal["batch", "loader"]


@dataclass(frozen=True, kw_only=True)
class GLCASettings:
    """Global-local cross-attention (Eq. 3).

    blocks: M, number of GLCA blocks, parallel to the last M self-attention blocks.
    ratio: R, share of the patch tokens taken as local queries (0.1 for FGVC, 0.3 for Re-ID).
    init: ``copy`` starts from the last self-attention block's weights, ``random`` from timm's initialisation.
    readout: ``cls`` reads GLCA's class token, ``mean`` averages the selected local tokens' outputs.
    select: ``rollout`` takes the highest accumulated attention (Eq. 2), ``random`` is the paper's ablation.
    """

    blocks: int = 1
    ratio: float = 0.1
    init: Init = "copy"
    readout: Readout = "cls"
    select: Selection = "rollout"

    def __post_init__(self) -> None:
        if self.blocks < 1:
            raise ValueError(f"GLCA needs at least one block: M = {self.blocks}")
        if not 0 < self.ratio <= 1:
            raise ValueError(f"R is a share of the patch tokens in (0, 1], found {self.ratio}")
        _one_of("init", self.init, Init)
        _one_of("readout", self.readout, Readout)
        _one_of("select", self.select, Selection)


@dataclass(frozen=True, kw_only=True)
class PWCASettings:
    """Pair-wise cross-attention (Eq. 4), training only.

    blocks: T, number of PWCA blocks; with T < L the last T blocks are pair-wise, the others plain self-attention.
    stream: ``own`` carries a PWCA stream of image 1 through all blocks; ``figure`` is the overview figure taken
        literally: queries and residual from image 1's self-attention stream, distractor keys and values from the
        previous PWCA output.
    pairing: ``batch`` draws partners inside the batch (nobody is its own), ``loader`` takes a second,
        independently shuffled batch.
    """

    blocks: int = 12
    stream: Stream = "own"
    pairing: Pairing = "batch"

    def __post_init__(self) -> None:
        if self.blocks < 1:
            raise ValueError(f"PWCA needs at least one block: T = {self.blocks}")
        _one_of("stream", self.stream, Stream)
        _one_of("pairing", self.pairing, Pairing)


def _one_of(name: str, value: str, literal: object) -> None:
    choices = literal.__args__  # type: ignore[attr-defined]
    if value not in choices:
        raise ValueError(f"{name} is {value!r}: expected one of {', '.join(choices)}")
