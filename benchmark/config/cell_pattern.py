"""Patterns over the ids of cells, as CELLS takes them (no torch)."""

from __future__ import annotations

import fnmatch


def full_pattern(pattern: str) -> str:
    """``cub`` as ``cub/*/*``."""
    parts = pattern.strip("/").split("/")
    return "/".join(parts + ["*"] * (3 - len(parts)))


def matches(cell_id: str, pattern: str) -> bool:
    """Whether a pattern, full or without its tail, selects a cell; capital letters count."""
    return fnmatch.fnmatchcase(cell_id, full_pattern(pattern))
