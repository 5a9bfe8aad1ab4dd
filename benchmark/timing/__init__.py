"""What a run will take: from what its cell took before, else from a few steps measured on a machine (no torch)."""

from benchmark.records.measured import Way, measured_seconds

__all__ = ["Way", "measured_seconds"]
