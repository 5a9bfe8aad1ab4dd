"""What SLURM's commands say, each line once, and what to do where its controller does not answer (no torch)."""

from __future__ import annotations

# As SLURM 20 to 25 say it in protocol errors, and ``slurm.queue`` of a command that hangs.
_UNREACHABLE = (
    "unable to contact",
    "connection refused",
    "connect failure",
    "timed out",
    "zero bytes",
    "communication connection failure",
    "did not answer within",
)
UNREACHABLE_ADVICE = "the same command does the rest once `squeue` answers"
ELSEWHERE_ADVICE = "run it on a machine that belongs to the cluster"


def said_by(command: str, text: str) -> str:
    """``squeue: error: …``: what a command wrote to stderr, on one line, without lines that repeat one before them."""
    lines = dict.fromkeys(line.strip() for line in text.splitlines() if line.strip())
    whole = "; ".join(lines)
    return whole if whole.startswith(f"{command}:") else f"{command}: {whole}"


def is_unreachable(text: str) -> bool:
    """Whether this says that the controller did not answer, and not that it refused."""
    return any(word in text.lower() for word in _UNREACHABLE)


def advice(text: str) -> str:
    """What to do about a problem in asking SLURM."""
    return UNREACHABLE_ADVICE if is_unreachable(text) else ELSEWHERE_ADVICE if text.startswith("no ") else ""
