"""When enough steps were timed, and how long one took."""

from __future__ import annotations

import time
from statistics import median

import torch

WARM_UP = {"cpu": 1, "cuda": 4}  # steps; the first ones make buffers, choose kernels, compile
SPAN = {
    "cpu": 1,
    "cuda": 4,
}  # steps between two looks at the clock: a GPU works while the next step is prepared
LEAST, MOST = 3, 20  # spans
SECONDS = 6.0  # of all spans, once there are LEAST


class Clock:
    """Asked at the beginning of every step. spans: seconds a step, of each span."""

    def __init__(self, device: torch.device) -> None:
        self._device, self._warm_up, self._span = device, WARM_UP[device.type], SPAN[device.type]
        self._steps, self._last = 0, 0.0
        self.spans: list[float] = []

    def step(self) -> None:
        """A step begins, and the one before it has ended."""
        timed, self._steps = self._steps - self._warm_up, self._steps + 1
        if timed < 0 or timed % self._span:
            return
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        now = time.perf_counter()
        if timed:
            self.spans.append((now - self._last) / self._span)
        self._last = now

    @property
    def enough(self) -> bool:
        """Whether a median of the spans can be taken."""
        spans = len(self.spans)
        return spans >= MOST or (spans >= LEAST and sum(self.spans) * self._span >= SECONDS)

    @property
    def seconds(self) -> float:
        """Of one step, the median."""
        return median(self.spans)

    def steps_for(self, seconds: float) -> int:
        """How many steps make LEAST to MOST spans where one takes about so long, warm-up included."""
        spans = min(MOST, max(LEAST, int(SECONDS / 2 / (seconds * self._span))))
        return self._warm_up + spans * self._span + 1  # the last one only says when the one before it ended
