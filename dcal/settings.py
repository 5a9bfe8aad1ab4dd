"""The options of the method, each with the paper's choice (or the reading settled in README.md) as default.

No torch here: recipes and listings read these names and types without loading it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Readout = Literal["cls", "mean"]
Selection = Literal["rollout", "random", "attention"]
Keys = Literal["global", "local"]
Init = Literal["copy", "random"]
Stream = Literal["own", "figure"]
Pairing = Literal["batch", "loader", "same", "other", "half", "hardest", "mixed"]
Regulariser = Literal["pwca", "image_noise", "label_noise", "kv_noise"]

# Pairings whose partners come beside the batch, as a second one; the others are found in the batch itself.
BROUGHT_PAIRINGS = ("loader", "same", "other", "half")
# Of those in the batch, the ones that look at classes and features.
BY_FEATURES = ("hardest", "mixed")


@dataclass(frozen=True, kw_only=True)
class GLCASettings:
    """Global-local cross-attention (Eq. 3).

    blocks: M, number of GLCA blocks, parallel to the last M self-attention blocks.
    ratio: R, share of the patch tokens taken as local queries (0.1 for FGVC, 0.3 for Re-ID).
    init: ``copy`` starts from the last self-attention block's weights, ``random`` from timm's initialisation.
    readout: ``cls`` reads GLCA's class token, ``mean`` averages the selected local tokens' outputs.
    select: ``rollout`` takes the highest accumulated attention (Eq. 2). The paper's ablations: ``random``, and
        ``attention``, the class token's attention in the last block before GLCA's, the penultimate one for M = 1.
    keys: ``global`` keys and values (Eq. 3). The paper's ablation ``local``: those of the local tokens alone, the class
        token and the selected patches, which is self-attention among them; from the second block on they are what the
        block before made of them.
    """

    blocks: int = 1
    ratio: float = 0.1
    init: Init = "copy"
    readout: Readout = "cls"
    select: Selection = "rollout"
    keys: Keys = "global"

    def __post_init__(self) -> None:
        if self.blocks < 1:
            raise ValueError(f"GLCA needs at least one block: M = {self.blocks}")
        if not 0 < self.ratio <= 1:
            raise ValueError(f"R is a share of the patch tokens in (0, 1], found {self.ratio}")
        require_choice("init", self.init, Init)
        require_choice("readout", self.readout, Readout)
        require_choice("select", self.select, Selection)
        require_choice("keys", self.keys, Keys)


@dataclass(frozen=True, kw_only=True)
class PWCASettings:
    """Pair-wise cross-attention (Eq. 4), training only.

    blocks: T, number of PWCA blocks; with T < L the last T blocks are pair-wise, the others plain self-attention.
    stream: ``own`` carries a PWCA stream of image 1 through all blocks; ``figure`` is the overview figure taken
        literally: queries and residual from image 1's self-attention stream, distractor keys and values from the
        previous PWCA output.
    pairing: ``batch`` draws partners inside the batch (nobody is its own), ``loader`` takes a second,
        independently shuffled batch. ``same``, ``other``, ``half``: a second batch of partners of the same class, of
        another, of either with equal chance. In the batch: ``hardest``, the nearest image of another class by feature
        distance; ``mixed``, the nearest, the middle or the farthest of these with equal chance.
    regulariser: ``pwca``, or what takes its place as the second stream in the paper's comparison, where stream and
        pairing have no meaning. ``kv_noise``: K2 and V2 are Gaussian noise with the mean and standard deviation of K1
        and V1, of each image, head and channel over its tokens. ``image_noise``, ``label_noise``: plain self-attention
        (T = L) on the same image with Gaussian noise, and on the same image with another class's label.
    noise: of ``image_noise`` the standard deviation in units of the normalised pixels, of ``label_noise`` the share
        of labels that are another class's; without meaning otherwise.
    """

    blocks: int = 12
    stream: Stream = "own"
    pairing: Pairing = "batch"
    regulariser: Regulariser = "pwca"
    noise: float = 0.1

    def __post_init__(self) -> None:
        if self.blocks < 1:
            raise ValueError(f"PWCA needs at least one block: T = {self.blocks}")
        require_choice("stream", self.stream, Stream)
        require_choice("pairing", self.pairing, Pairing)
        require_choice("regulariser", self.regulariser, Regulariser)
        if not 0 < self.noise <= 1:
            raise ValueError(f"the regulariser's noise is a share in (0, 1], found {self.noise}")

    @property
    def brings_partners(self) -> bool:
        """Whether every batch comes with a second one, of the partners."""
        return self.regulariser == "pwca" and self.pairing in BROUGHT_PAIRINGS

    @property
    def needs_whole_depth(self) -> bool:
        """Whether the second stream is a whole forward pass of its own, for which T can only be L."""
        return self.regulariser in ("image_noise", "label_noise")

    @property
    def pairs_by_features(self) -> bool:
        """Whether partners in the batch are found by classes and features."""
        return self.regulariser == "pwca" and self.pairing in BY_FEATURES

    @property
    def pairs_in_batch(self) -> bool:
        """Whether partners are found among the images of a batch."""
        return self.regulariser == "pwca" and self.pairing not in BROUGHT_PAIRINGS


def require_choice(name: str, value: str, literal: object) -> None:
    """Raises ValueError, with the choices, for a value that is none of a Literal's."""
    choices = literal.__args__  # type: ignore[attr-defined]
    if value not in choices:
        raise ValueError(f"{name} is {value!r}: expected one of {', '.join(choices)}")
