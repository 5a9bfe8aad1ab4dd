"""Result of an attention rollout: the class token's response to each token, as patches, heatmap and top tokens."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from dcal.top_tokens import select_top_tokens

Layers = tuple[int, int]


@dataclass(frozen=True)
class Rollout:
    """Accumulated attention of the class token (Eq. 2).

    row: (B, P + N), response to each token: P prefix tokens, the class token first, then N patches. Each row sums to 1.
    layers: (a, b), the blocks of the rollout, counted from 1, inclusive.
    prefix: P; more than 1 where a distillation token or registers follow the class token.
    grid: rows and columns of patches, N their product; None where unknown.
    """

    row: Tensor
    layers: Layers
    prefix: int = 1
    grid: tuple[int, int] | None = None

    def cls_attention(self) -> Tensor:
        """Response to the patches, (B, N); its sum is 1 less the response to the prefix tokens."""
        return self.row[:, self.prefix :]

    def heatmap(self) -> Tensor:
        """Response to the patches by their place in the image, (B, rows, columns).

        Raises ValueError without a grid, or for a grid of another number of patches.
        """
        patches = self.cls_attention()
        if self.grid is None or self.grid[0] * self.grid[1] != patches.shape[1]:
            raise ValueError(
                f"the rollout has {patches.shape[1]} patches and its grid is {self.grid}: reshape cls_attention() to "
                "(B, rows, columns) yourself"
            )
        return patches.unflatten(1, self.grid)

    def top_tokens(self, ratio: float) -> Tensor:
        """Indices of the ⌊R·N⌋ patches with the highest response among all tokens, best first, (B, ⌊R·N⌋). ratio: R."""
        return select_top_tokens(self.row, ratio, prefix=self.prefix)


def rollout_layers(layers: Layers | None, depth: int, glca_blocks: int = 1) -> Layers:
    """The blocks of a rollout: ``layers``, or 1 … L−M if None. depth: L. glca_blocks: M.

    Raises ValueError for layers that are not 1 ≤ a ≤ b ≤ L.
    """
    first, last = layers or (1, depth - glca_blocks)
    if not 1 <= first <= last <= depth:
        raise ValueError(
            f"layers {first}-{last}: expected a-b with 1 ≤ a ≤ b ≤ {depth}, the blocks of this backbone"
        )
    return first, last
