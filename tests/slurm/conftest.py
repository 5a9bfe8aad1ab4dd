"""Fake SLURM commands, which print what a test sets and record how they were called."""

import os
import shlex

import pytest
from slurm_cluster import SlurmCluster, reason_not_possible
from submitted_runs import SITE

from slurm.__main__ import main


class StandIns:
    """Scripts at the front of PATH. calls: command lines so far."""

    def __init__(self, folder):
        self.folder = folder
        for name in ("squeue", "sacct", "sbatch", "scancel", "srun"):
            self.says(name, "")
        self.says("sacct", "", error="Slurm accounting storage is disabled", status=1)
        script = self.folder / "sbatch"
        script.write_text(
            f"#!/bin/bash\n{self._log('sbatch')}\n"
            f"number=$(( $(cat {self._file('count')} 2>/dev/null || echo 100) + 1 ))\n"
            f'echo $number > {self._file("count")}\ncat "$1" > {self._file("script.")}$number\n'
            'echo "Submitted batch job $number"\n'
        )

    def says(self, name, text, *, error="", status=0):
        """Make the command print text, and error to stderr, and end with the status."""
        self._file_path(f"{name}.out").write_text(text)
        self._file_path(f"{name}.err").write_text(error)
        script = self.folder / name
        script.write_text(
            f"#!/bin/bash\n{self._log(name)}\ncat {self._file(f'{name}.out')}\n"
            f"cat {self._file(f'{name}.err')} >&2\nexit {status}\n"
        )
        script.chmod(0o755)

    @property
    def calls(self):
        path = self._file_path("calls")
        return path.read_text().splitlines() if path.exists() else []

    def count(self, name):
        return sum(call.split()[0] == name for call in self.calls)

    def script(self, number):
        """The batch script that got this job id."""
        return self._file_path(f"script.{number}").read_text()

    def _log(self, name):
        return f'echo {name} "$@" >> {self._file("calls")}'

    def _file(self, name):
        return shlex.quote(str(self._file_path(name)))

    def _file_path(self, name):
        return self.folder.parent / name


@pytest.fixture
def slurm_says(tmp_path, monkeypatch):
    """The fake commands, on PATH."""
    folder = tmp_path / "stand-ins" / "bin"
    folder.mkdir(parents=True)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    return StandIns(folder)


@pytest.fixture(scope="session")
def cluster(tmp_path_factory):
    """A real SLURM of two nodes for all tests that ask for it. DCAL_SLURM=required fails where that is not possible."""
    if reason := reason_not_possible():
        if os.environ.get("DCAL_SLURM") == "required":
            pytest.fail(f"DCAL_SLURM=required, and there is no SLURM: {reason}")
        pytest.skip(reason)
    with SlurmCluster(tmp_path_factory.mktemp("slurm")) as running:
        yield running


@pytest.fixture
def site(tmp_path):
    path = tmp_path / "site.toml"
    path.write_text(SITE)
    return path


@pytest.fixture
def launch(tmp_path, mini_pictures, slurm_says, site, capsys):
    """Function that calls a verb on the mini CUB and returns its exit status, stdout and stderr."""

    def call(verb, *arguments, cells="cub/deit_tiny", data=mini_pictures, **options):
        common = ["--runs", str(tmp_path / "runs"), "--data", str(data), "--cells", cells]
        if verb in ("submit", "retry"):
            common += ["--cluster", str(site)]
        common += [part for name, value in options.items() for part in (f"--{name}", value)]
        status = main([verb, *common, *arguments])
        said = capsys.readouterr()
        return status, said.out, said.err

    return call
