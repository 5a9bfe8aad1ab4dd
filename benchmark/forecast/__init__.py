"""What a run will take: from what its cell took before, else from a few steps measured on a machine (no torch)."""

from benchmark.forecast.measured import measured_seconds

__all__ = ["measured_seconds"]
