"""What a command here has drawn: by `python -m reports` in a process of its own (no torch).

benchmark imports nothing of reports, but one command is to give numbers and figures.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence

from benchmark.records.provenance import ROOT


def by_reports(arguments: Sequence[str]) -> int:
    """Run a verb of reports, its paths absolute; returns its exit status."""
    return subprocess.run([sys.executable, "-m", "reports", *arguments], cwd=ROOT).returncode
