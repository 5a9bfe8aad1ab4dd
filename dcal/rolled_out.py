"""A rollout as it came out of a model: the class token's response to every token, and what is read from it."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from dcal.top_tokens import select_top_tokens

Layers = tuple[int, int]


@dataclass(frozen=True)
class Rollout:
    """Accumulated attention of the class token (Eq. 2).

    row: (B, P + N), response to each token: P prefix tokens, of which the first is the class token, then N patches.
        Each row sums to 1.
    layers: (a, b), the blocks rolled out, counted from 1, inclusive.
    prefix: P; 1, or more where a distillation token or registers follow the class token.
    grid: patches as (rows, columns), N their product; None where nobody knows.
    """

    row: Tensor
    layers: Layers
    prefix: int = 1
    grid: tuple[int, int] | None = None

    def cls_attention(self) -> Tensor:
        """Response to the patches alone, (B, N); 1 less what stays on the prefix tokens."""
        return self.row[:, self.prefix :]

    def heatmap(self) -> Tensor:
        """The same as the patches lie in the picture, (B, rows, columns).

        Raises ValueError without a grid, or for one that is not the patches'.
        """
        patches = self.cls_attention()
        if self.grid is None or self.grid[0] * self.grid[1] != patches.shape[1]:
            raise ValueError(
                f"the rollout has {patches.shape[1]} patches and its grid is {self.grid}: reshape cls_attention() to "
                "(B, rows, columns) yourself"
            )
        return patches.unflatten(1, self.grid)

    def top_tokens(self, ratio: float) -> Tensor:
        """``select_top_tokens`` of this row: indices of the ⌊R·N⌋ patches among all tokens, best first, (B, ⌊R·N⌋)."""
        return select_top_tokens(self.row, ratio, prefix=self.prefix)


def legal_layers(layers: Layers | None, depth: int, beside: int = 1) -> Layers:
    """The blocks to roll out: those asked for, or 1 … L−M. depth: L; beside: M, the blocks GLCA stands beside.

    Raises ValueError for layers that are not 1 ≤ a ≤ b ≤ L.
    """
    first, last = layers or (1, depth - beside)
    if not 1 <= first <= last <= depth:
        raise ValueError(
            f"layers {first}-{last}: expected a-b with 1 ≤ a ≤ b ≤ {depth}, the blocks of this backbone"
        )
    return first, last
