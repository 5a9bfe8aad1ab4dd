"""The box that a vehicle is, projected in parallel: one side and one end are visible (no torch).

Vehicle coordinates: x to the front, -1 … 1; y up from the road; z to the side, -WIDE … WIDE.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from benchmark.data.mini.cameras import View

WIDE = 0.42


class Box:
    """Projects points of the vehicle into object coordinates; ``front`` says whether that end is visible."""

    def __init__(self, view: View) -> None:
        yaw = np.radians(np.clip(view.yaw, 28, 152))
        turn, above = yaw - np.pi / 2, np.radians(view.above)
        x = (np.cos(turn), -np.sin(above) * -np.sin(turn))  # of a unit of x, y and z in the picture
        y = (0.0, np.cos(above))
        z = (np.sin(turn), -np.sin(above) * np.cos(turn))
        self.axes = np.array([x, y, z])
        self.front = bool(turn < 0)

    def at(self, points: Sequence[tuple[float, float, float]] | np.ndarray) -> np.ndarray:
        """(n, 3) vehicle points to (n, 2) object coordinates, the vehicle's middle at the origin."""
        return (np.asarray(points, float) - (0, 0.4, 0)) @ self.axes

    def side(self, points: Sequence[tuple[float, float]] | np.ndarray, z: float = WIDE) -> np.ndarray:
        """(n, 2) points (x, y) of the visible side."""
        points = np.asarray(points, float)
        return self.at(np.column_stack([points, np.full(len(points), z)]))

    def end(self, points: Sequence[tuple[float, float]] | np.ndarray, x: float | None = None) -> np.ndarray:
        """(n, 2) points (z, y) of the visible end."""
        points = np.asarray(points, float)
        x = (1.0 if self.front else -1.0) if x is None else x
        return self.at(np.column_stack([np.full(len(points), x), points[:, 1], points[:, 0]]))
