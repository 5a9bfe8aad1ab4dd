"""SLURM's clients, asked of the tests' cluster."""

import os
import subprocess
from pathlib import Path

# Set outside when the tests themselves run in a job; inside they would steer this cluster's clients.
_FOREIGN = ("SLURM_", "SLURMD_", "SBATCH_", "SRUN_", "SALLOC_", "SQUEUE_", "SCANCEL_", "SINFO_", "SCONTROL_")


class Clients:
    """folder: of the cluster's slurm.conf."""

    folder: Path

    @property
    def environment(self) -> dict[str, str]:
        """What the clients (sbatch, squeue, submitit) need: to be merged into os.environ."""
        return {"SLURM_CONF": str(self.folder / "slurm.conf")}

    @property
    def whole_environment(self) -> dict[str, str]:
        """os.environ for a subprocess: this cluster's, and nothing of a job in which the tests may run."""
        return clean_environment() | self.environment

    def run(self, *argv, **options) -> str:
        """A client's standard output; AssertionError with its standard error if it fails."""
        argv = [str(word) for word in argv]
        done = subprocess.run(
            argv, env=self.whole_environment, capture_output=True, text=True, timeout=120, **options
        )
        if done.returncode:
            raise AssertionError(
                f"{' '.join(argv)}: exit status {done.returncode}\n{done.stderr or done.stdout}"
            )
        return done.stdout

    def jobs(self, finished: bool = False) -> list[dict[str, str]]:
        """squeue's rows, one an array element (id 12_3); `finished`: also those ended in the last 5 minutes."""
        names = ("id", "state", "reason", "partition", "node", "name")
        more = ["--states=all"] if finished else []
        text = self.run("squeue", "--noheader", "--array", "--all", *more, "--format=%i|%T|%r|%P|%N|%j")
        return [dict(zip(names, line.split("|", len(names) - 1), strict=True)) for line in text.splitlines()]

    def job(self, job_id: str | int) -> dict[str, str]:
        """`scontrol show job`: JobState, Reason, Restarts, PreemptTime, ...; values end at a space."""
        text = self.run("scontrol", "--oneliner", "show", "job", job_id).splitlines()[0]
        return dict(word.split("=", 1) for word in text.split() if "=" in word)

    def node_states(self) -> dict[str, str]:
        """Of each node: idle, mixed, allocated, down, ...; with * where it does not respond."""
        text = self.run("sinfo", "--noheader", "--Node", "--format=%N %T")
        return dict(line.split() for line in text.splitlines())


def clean_environment() -> dict[str, str]:
    """os.environ without what is set in a job."""
    return {name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN)}
