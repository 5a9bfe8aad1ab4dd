"""The options of the method. Defaults are the paper's choices; where the paper is open, README.md gives the reason.

No import of torch: recipes and listings read these names and types without it.
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

# Pairings with a second batch of partners; the others pair within the batch.
SECOND_BATCH_PAIRINGS = ("loader", "same", "other", "half")
# Pairings within the batch by class and feature distance.
FEATURE_PAIRINGS = ("hardest", "mixed")


@dataclass(frozen=True, kw_only=True)
class GLCASettings:
    """Global-local cross-attention (Eq. 3).

    blocks: M, number of GLCA blocks, parallel to the last M self-attention blocks.
    ratio: R, share of the patch tokens that are local queries (0.1 for FGVC, 0.3 for Re-ID).
    init: start values. ``copy``: the weights of the self-attention blocks beside it; ``random``: timm's.
    readout: feature. ``cls``: GLCA's class token; ``mean``: the mean of the selected patches' outputs.
    select: local queries. ``rollout``: the highest accumulated attention (Eq. 2). The paper's ablations: ``random``,
        and ``attention``, the class token's attention in the last block before GLCA's, the penultimate one for M = 1.
    keys: ``global`` keys and values (Eq. 3). The paper's ablation ``local``: keys and values of the local tokens alone,
        the class token and the selected patches, which is self-attention among them; each further block takes the
        tokens of the block before.
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

    blocks: T, number of PWCA blocks; with T < L the last T blocks are pair-wise, the others self-attention alone.
    stream: ``own``: a PWCA stream of image 1, distractor keys and values from the partner's self-attention stream.
        ``figure``: literally the overview figure, queries and residual from image 1's self-attention stream, distractor
        keys and values from the previous PWCA output.
    pairing: ``batch``: random partners in the batch (no image is its own). ``loader``: a second, independently shuffled
        batch. ``same``, ``other``, ``half``: a second batch of partners of the same class, of another, of either with
        equal chance. In the batch: ``hardest``, the nearest image of another class by feature distance; ``mixed``, the
        nearest, the middle or the farthest of these with equal chance.
    regulariser: ``pwca``, or another second stream in its place (the paper's comparison), without stream and pairing.
        ``kv_noise``: K2 and V2 are Gaussian noise with the mean and standard deviation of K1 and V1, for each image,
        head and channel over the tokens. ``image_noise``, ``label_noise``: self-attention (T = L) of the same image
        with Gaussian noise, and of the same image with another class's label.
    noise: standard deviation in units of the normalised pixels for ``image_noise``, share of labels that are another
        class's for ``label_noise``; no effect otherwise.
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
        """Whether each batch needs a second one, of the partners."""
        return self.regulariser == "pwca" and self.pairing in SECOND_BATCH_PAIRINGS

    @property
    def needs_whole_depth(self) -> bool:
        """Whether the second stream is a complete second forward pass, so that T must be L."""
        return self.regulariser in ("image_noise", "label_noise")

    @property
    def pairs_by_features(self) -> bool:
        """Whether partners in the batch are selected by class and feature distance."""
        return self.regulariser == "pwca" and self.pairing in FEATURE_PAIRINGS

    @property
    def pairs_in_batch(self) -> bool:
        """Whether partners are images of the same batch."""
        return self.regulariser == "pwca" and self.pairing not in SECOND_BATCH_PAIRINGS


def require_choice(name: str, value: str, literal: object) -> None:
    """Raises ValueError, with the choices, for a value that is not in a Literal. name: of the option."""
    choices = literal.__args__  # type: ignore[attr-defined]
    if value not in choices:
        raise ValueError(f"{name} is {value!r}: expected one of {', '.join(choices)}")
