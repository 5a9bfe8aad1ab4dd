"""What a rank draws from: torch's generators, and GLCA's own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from dcal.model import DCAL


class Randomness:
    """Every random stream that a training step draws from: PWCA's partners, stochastic depth, random local queries."""

    def __init__(self, model: DCAL, device: torch.device) -> None:
        self._cuda = device.type == "cuda"
        self._selection = model.glca.generator if model.glca else None

    def state(self) -> dict[str, Tensor]:
        """Where all of them stand, as checkpoints hold it."""
        rng = {"torch": torch.get_rng_state()}
        if self._cuda:
            rng["cuda"] = torch.cuda.get_rng_state()
        if self._selection:
            rng["selection"] = self._selection.get_state()
        return rng

    def restore(self, rng: Mapping[str, Tensor]) -> None:
        """Draw again from there on; a state saved on a CPU says nothing of a GPU's stream."""
        torch.set_rng_state(rng["torch"])
        if "cuda" in rng and self._cuda:
            torch.cuda.set_rng_state(rng["cuda"])
        if self._selection:
            self._selection.set_state(rng["selection"])

    def select_from(self, selections: Sequence[Tensor | None], rank: int) -> None:
        """Draw local queries from there on, if a state is known for this rank."""
        if self._selection and rank < len(selections):
            self._selection.set_state(selections[rank])

    def begin(self, *place: int) -> None:
        """Streams of their own for these numbers, e.g. seed and rank."""
        seed = int(np.random.SeedSequence(place).generate_state(1, np.uint64)[0])
        torch.manual_seed(seed)
        if self._selection:
            self._selection.manual_seed(seed)
