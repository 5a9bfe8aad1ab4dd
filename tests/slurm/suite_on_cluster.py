"""The suite's own commands on a test cluster, as a user types them."""

import json
import os
import subprocess
import sys
from pathlib import Path

from benchmark.config.grid import select
from benchmark.config.resolve import load_profile, parse_overrides, resolve
from benchmark.records.run_folder import locate_run, read_json

ROOT = Path(__file__).resolve().parents[2]
# One task of one CPU, a notice early enough for a limit of a minute.
SITE = {"gpus": 0, "cpus": 1, "memory": "2G", "minutes": 20, "notice_seconds": 50}


class Suite:
    """Runs of one kind over a cluster: where they lie, their settings, the site."""

    def __init__(self, cluster, folder, data, *, set="", cells="cub/deit_tiny/dcal", **site):
        self.cluster, self.data, self.set, self.cells = cluster, data, set, cells
        folder.mkdir(parents=True, exist_ok=True)
        self.runs = folder / "runs"
        self.site = folder / "site.toml"
        self.write_site(**site)

    def write_site(self, **options):
        values = {name: value for name, value in (SITE | options).items() if value is not None}
        self.site.write_text("".join(f"{name} = {_toml(value)}\n" for name, value in values.items()))

    def start(self, verb, *arguments, **environment):
        """``python -m slurm VERB`` as a process."""
        common = [
            "--runs",
            str(self.runs),
            "--data",
            str(self.data),
            "--cells",
            self.cells,
            "--set",
            self.set,
        ]
        if verb in ("submit", "retry"):
            common += ["--cluster", str(self.site), "--checkpoint-seconds", "0"]
        return subprocess.Popen(
            [sys.executable, "-m", "slurm", verb, *common, *arguments],
            cwd=ROOT, env=self.cluster.whole_environment | environment, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip

    def call(self, verb, *arguments, status=0):
        """The same, waited for, with the exit status that is expected; returns what it printed."""
        process = self.start(verb, *arguments)
        said, _ = process.communicate(timeout=120)
        assert process.returncode == status, said
        return said

    def folder(self, cell=None, seed=0):
        (found,) = select([cell or self.cells])
        config = resolve(found, seed, load_profile("mini"), parse_overrides(self.set))
        return locate_run(config, self.runs)

    def result(self, cell=None):
        return read_json(self.folder(cell).result)

    def job(self, cell=None):
        return json.loads(self.folder(cell).submission.read_text())["job"]

    def wait_for_results(self, cells=None, seconds=240):
        cells = cells or [self.cells]

        def there():
            ended = {job["id"]: job["state"] for job in self.cluster.jobs(finished=True)}
            missing = [cell for cell in cells if not self.folder(cell).result.exists()]
            dead = [
                cell for cell in missing if ended.get(self.job(cell)) in ("FAILED", "TIMEOUT", "CANCELLED")
            ]
            assert not dead, f"{dead} ended without a result:\n{self.call('logs')}"
            return not missing

        self.cluster.wait_for(there, seconds, f"results of {cells}")

    def wait_for_epochs(self, epochs, seconds=120):
        """Until so many epochs are over; the run must still be at it."""
        history = self.folder().history
        self.cluster.wait_for(
            lambda: history.exists() and len(history.read_text().splitlines()) >= epochs,
            seconds, f"epoch {epochs} of {self.runs}",
        )  # fmt: skip
        assert not self.folder().result.exists(), "the run was over too soon for the test"

    def job_output(self):
        """What the job printed, over all of its starts."""
        (path,) = (self.runs / "mini" / "slurm").glob(f"{self.job()}_0_log.out")
        return path.read_text()

    def process(self):
        """The process that holds the run."""
        newest = max(self.folder().path.glob("claim.*"), key=lambda path: int(path.suffix[1:]))
        return json.loads(newest.read_text())["pid"]

    def ended(self, cell=None):
        """Whether the run's job is over; of an array that never began squeue keeps one line for all."""
        jobs = {job["id"]: job["state"] for job in self.cluster.jobs(finished=True)}
        own = self.job(cell)
        return jobs.get(own, jobs.get(own.partition("_")[0])) not in (
            "PENDING",
            "RUNNING",
            "COMPLETING",
            "CONFIGURING",
            None,
        )


def run_locally(runs, data, set, *cells):
    """The same runs without a cluster, undisturbed; returns their results in order."""
    command = [sys.executable, "-m", "benchmark", "launch", "--runs", str(runs), "--data", str(data)]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SLURM")}
    subprocess.run(
        [*command, "--cells", " ".join(cells), "--set", set], cwd=ROOT, env=environment, check=True
    )
    found = []
    for cell in cells:
        config = resolve(select([cell])[0], 0, load_profile("mini"), parse_overrides(set))
        found.append(read_json(locate_run(config, runs).result))
    return found


def _toml(value):
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{name} = {_toml(item)}" for name, item in value.items()) + " }"
    return json.dumps(value)
