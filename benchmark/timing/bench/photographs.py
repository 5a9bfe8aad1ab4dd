"""Made-up photographs: JPEGs that cost a decoder about what real ones do (no torch)."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

QUALITY = 90


def write_photographs(folder: Path, count: int, size: tuple[int, int]) -> list[Path]:
    """JPEGs of quality 90, always the same ones. size: (height, width). Returns their paths."""
    paths = []
    for number in range(count):
        path = folder / f"{number:04d}.jpg"
        _, encoded = cv2.imencode(
            ".jpg", photograph(number, size)[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, QUALITY]
        )
        path.write_bytes(encoded.tobytes())
        paths.append(path)
    return paths


def photograph(number: int, size: tuple[int, int]) -> np.ndarray:
    """uint8 RGB (H, W, 3): amplitudes that fall as 1/frequency, as in nature, and a few things with edges."""
    rng = np.random.default_rng(number)
    height, width = size
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None])
    frequency[0, 0] = np.inf
    waves = np.fft.rfft2(rng.standard_normal((3, height, width))) / frequency
    channels = np.fft.irfft2(waves, s=size)
    # Channels of photographs have most of their variation in common.
    channels = channels[:1] + 0.35 * channels
    channels = 128 + 48 * channels / channels.std(axis=(1, 2), keepdims=True)
    image = np.ascontiguousarray(channels.clip(0, 255).astype(np.uint8).transpose(1, 2, 0))
    for _ in range(6):
        centre = (int(rng.integers(width)), int(rng.integers(height)))
        axes = tuple(int(a) for a in rng.integers(min(size) // 40, min(size) // 4, 2))
        colour = tuple(int(c) for c in rng.integers(256, size=3))
        cv2.ellipse(image, centre, axes, float(rng.integers(360)), 0, 360, colour, -1, cv2.LINE_AA)
    return image
