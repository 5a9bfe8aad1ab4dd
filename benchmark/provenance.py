"""Where a number comes from: code, versions, machine (no torch)."""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import platform
import socket
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("torch", "timm", "numpy", "opencv-python-headless", "opencv-python")


def now() -> str:
    """The time as ISO 8601, UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def commit() -> tuple[str, bool]:
    """The checkout's commit and whether tracked files differ from it; ("unknown", False) without git."""
    try:
        sha = _git("rev-parse", "HEAD").decode()
        return sha, bool(_git("status", "--porcelain", "--untracked-files=no"))
    except (OSError, subprocess.CalledProcessError):
        return "unknown", False


def code() -> dict[str, object]:
    """What runs: commit, dirty as ``commit`` gives them, and changes, a digest of the difference where there is one."""
    sha, dirty = commit()
    changes = hashlib.sha256(_git("diff", "HEAD")).hexdigest()[:16] if dirty else ""
    return {"commit": sha, "dirty": dirty, "changes": changes}


def difference(submitted: Mapping[str, object] | None, started: Mapping[str, object]) -> str:
    """How the code a run started with differs from the code it was submitted with, or ""."""
    if not submitted or "unknown" in (submitted.get("commit"), started.get("commit")):
        return ""  # without git on a compute node nothing can be told
    if all(submitted.get(name) == started.get(name) for name in ("commit", "dirty", "changes")):
        return ""
    return f"submitted with {_code_text(submitted)}, started with {_code_text(started)}"


def _code_text(code: Mapping[str, object]) -> str:
    text = str(code.get("commit", "unknown"))[:10]
    return text + (f" and changes {str(code.get('changes') or '')[:8]}".rstrip() if code.get("dirty") else "")


def _git(*arguments: str) -> bytes:
    # Without the index's lock: many jobs and a watching status must not get in the way of the user's own commits.
    command = ["git", "--no-optional-locks", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout.strip()


def collect() -> dict[str, object]:
    """Everything recorded at the start of a run."""
    return {
        **code(),
        "started": now(),
        "command": " ".join(sys.argv),
        "host": socket.gethostname(),
        "platform": platform.platform(),
        "cpu": cpu_name(),
        "cores": os.cpu_count() or 1,
        "versions": {"python": platform.python_version(), **_versions()},
    }


def cpu_name() -> str:
    """The processor in words."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _versions() -> dict[str, str]:
    found = {}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
