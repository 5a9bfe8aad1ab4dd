"""A real SLURM of two nodes on this machine, for tests: brought up and torn down as root, without systemd.

It never touches a SLURM that the machine may belong to: it has a SLURM_CONF, a munged with its own socket
and key, and ports of its own, all bound to 127.0.0.1. Names, sizes and waiting times are in `slurm_conf.py`.

What differs from a real site: both nodes are this machine (`hostname` is the same, only SLURMD_NODENAME
tells them apart, and `n1` does not resolve); CPUs are declared and not bound; there is no accounting, so
`sacct` fails, as on many sites.
"""

import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import cluster_processes
from slurm_clients import Clients, clean_environment
from slurm_conf import NODES, settings_of, slurm_conf

PROGRAMS = (
    "munged",
    "slurmctld",
    "slurmd",
    "sbatch",
    "squeue",
    "scancel",
    "scontrol",
    "srun",
    "sinfo",
)
_FAKE_GPUS = ("/dev/null", "/dev/zero")
_SEARCH_PATH = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin", "/usr/local/sbin"])
# A unix socket's path ends at 107 characters; slurmd adds `/spool/n1/n1_4294967295.4294967295`.
_LONGEST_FOLDER = 60


def missing_programs() -> list[str]:
    """Which of the needed programs are absent (Debian and Ubuntu: packages slurm-wlm and munge)."""
    return [name for name in PROGRAMS if _program(name) is None]


def reason_not_possible() -> str:
    """Why no cluster can be brought up here, for pytest.skip; '' if it can."""
    if missing := missing_programs():
        return f"needs SLURM and munge (Debian: slurm-wlm, munge): no {', '.join(missing)}"
    if os.geteuid() != 0:
        return "needs root: slurmd starts jobs as their users"
    return ""


class SlurmCluster(Clients):
    """Two nodes, n1 and n2, of 2 CPUs and 2 GPUs each (device files stand in for the GPUs).

    Partitions: `main` (default), `graceful` (20 s between the warning and the end) and `urgent`, whose
    jobs preempt those of the other two. `settings` replaces lines of slurm.conf: `MaxArraySize=5`.
    """

    def __init__(self, folder: Path, **settings):
        """Configuration, state and logs lie in `folder`, or in a short one under /tmp if SLURM cannot use it."""
        self._wanted = Path(folder).absolute()
        self._settings = settings
        self._daemons: dict[str, subprocess.Popen] = {}
        self._guard: subprocess.Popen | None = None
        self.folder = self._wanted

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *error):
        self.stop()

    # --- up and down ---

    def start(self) -> None:
        """Return when both nodes are idle. A cluster that does not come up leaves nothing behind."""
        if self._daemons:
            raise RuntimeError("this cluster is running already")
        if reason := reason_not_possible():
            raise RuntimeError(reason)
        try:
            self._write_folder()
            self._guard = subprocess.Popen(
                [sys.executable, cluster_processes.__file__, str(self.folder)],
                env=clean_environment(),
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
            self._start_munged()
            self._start_slurmctld()
            since = int(time.time())
            for node in NODES:
                self._start("slurmd " + node, [_program("slurmd"), "-D", "-N", node])
            self._wait_until_registered(NODES, since)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Kill the daemons and all steps and jobs, also those of killed slurmds. A second call does nothing."""
        # slurmd first, so that nothing starts any more while the rest is being found.
        for name in sorted(self._daemons, key=lambda name: not name.startswith("slurmd ")):
            self._kill(name)
        if self._guard is not None:
            cluster_processes.kill_all_of(self.folder)
            self._guard.kill()
            self._guard.wait()
            self._guard.stdin.close()
            self._guard = None
        if self.folder != self._wanted:
            shutil.rmtree(self.folder, ignore_errors=True)
            self.folder = self._wanted

    def kill_slurmd(self, node: str) -> None:
        """SIGKILL, as a node lost: its steps and jobs stay alive, which a lost node's may do as well."""
        self._kill("slurmd " + node)

    def start_slurmd(self, node: str) -> None:
        """Return when the controller knows that the node is back."""
        since = int(time.time())
        self._start("slurmd " + node, [_program("slurmd"), "-D", "-N", node])
        self._wait_until_registered([node], since)

    def restart_slurmctld(self, kill: bool = False) -> None:
        """End the controller and start it on its saved state; return when it has heard from the nodes.

        Killed, it forgets what it has not saved yet, and it saves only within some seconds of a change:
        a job submitted just before is lost and its number given again, one just ended counts as running.
        """
        if kill:
            self._kill("slurmctld")
        else:
            self.stop_slurmctld()
        self.start_slurmctld()

    def stop_slurmctld(self) -> None:
        """End the controller on SIGTERM, on which it saves what it knows."""
        daemon = self._daemons.pop("slurmctld")
        daemon.terminate()
        try:
            daemon.wait(timeout=60)
        except subprocess.TimeoutExpired:
            daemon.kill()
            daemon.wait()
            raise AssertionError(f"slurmctld did not end on SIGTERM\n{self.last_lines()}") from None

    def start_slurmctld(self) -> None:
        """Start the controller on its saved state; return when it has heard from the nodes."""
        self._start_slurmctld()
        # Some 4 s, in which sinfo shows idle nodes as unknown.
        alive = [node for node in NODES if "slurmd " + node in self._daemons]
        self.wait_for(
            lambda: not any(self.node_states()[node].startswith("unknown") for node in alive),
            60,
            "nodes known",
        )

    # --- waiting for it ---

    def wait_for(self, condition: Callable[[], object], seconds: float, what: str):
        """Poll until the condition holds and return its value; AssertionError with `what` if it never does."""
        end = time.monotonic() + seconds
        while not (value := condition()):
            if time.monotonic() > end:
                raise AssertionError(f"not within {seconds:g} s: {what}\n{self.last_lines()}")
            time.sleep(0.1)
        return value

    def last_lines(self) -> str:
        """The queue, daemons that ended by themselves, and the ends of the logs, for a failing test."""
        done = subprocess.run(
            ["squeue", "--array", "--states=all"], env=self.whole_environment, capture_output=True, text=True
        )
        parts = [done.stdout + done.stderr]
        logs = ["slurmctld.log", *(f"slurmd-{node}.log" for node in NODES)]
        for name, daemon in self._daemons.items():
            if daemon.poll() is not None:
                parts.append(f"{name} has ended: exit status {daemon.returncode}")
                logs.append(_stderr_of(name))
        for log in logs:
            if (path := self.folder / "log" / log).exists():
                lines = path.read_text(errors="replace").splitlines()
                parts.append("\n".join([f"--- {log}", *lines[-12:]]))
        return "\n".join(parts)

    # --- inside ---

    def _write_folder(self) -> None:
        if len(str(self._wanted)) > _LONGEST_FOLDER or any(c.isspace() for c in str(self._wanted)):
            self.folder = Path(tempfile.mkdtemp(prefix="dcal-slurm-", dir="/tmp"))
        for name in ("munge", "state", "log", "spool"):  # an earlier cluster's jobs would come back
            shutil.rmtree(self.folder / name, ignore_errors=True)
        for name in ("munge", "state", "log", *(f"spool/{node}" for node in NODES)):
            (self.folder / name).mkdir(parents=True)
        key = self.folder / "munge" / "key"
        key.touch(mode=0o600)
        key.write_bytes(os.urandom(1024))
        # Stand-ins for GPUs must be device files, and these are everywhere; then CUDA_VISIBLE_DEVICES is set.
        gpus = [f"NodeName={node} Name=gpu File={file}\n" for node in NODES for file in _FAKE_GPUS]
        (self.folder / "gres.conf").write_text("".join(gpus))
        (self.folder / "slurm.conf").write_text(slurm_conf(self.folder, self._settings))

    def _start_munged(self) -> None:
        own = self.folder / "munge"
        # --force: a test's folder is open to its user only, and munged would have it open to all.
        argv = [_program("munged"), "--foreground", "--force", "--num-threads=2"]
        argv += [f"--socket={own}/socket", f"--key-file={own}/key", f"--pid-file={own}/pid"]
        argv += [f"--log-file={self.folder}/log/munged.log", f"--seed-file={own}/seed"]
        self._start("munged", argv)
        self._wait_until_listening(own / "socket", "munged")

    def _start_slurmctld(self) -> None:
        self._start("slurmctld", [_program("slurmctld"), "-D"])
        # `scontrol ping` would do, but takes seconds to notice a port that nobody listens on.
        port = int(settings_of(self.folder)["SlurmctldPort"])
        self._wait_until_listening(port, "slurmctld")
        self.run("squeue")

    def _start(self, name: str, argv: list[str]) -> None:
        if name in self._daemons:
            raise RuntimeError(f"{name} is running already")
        # A session of its own: Ctrl-C at pytest is for pytest, which then ends the cluster in order. First in line,
        # with its jobs, where the user may ask for that: what these tests time must not wait for other tests.
        argv = ["nice", "-n", "-5", *argv]
        with open(self.folder / "log" / _stderr_of(name), "ab") as stderr:
            self._daemons[name] = subprocess.Popen(
                argv,
                env=self.whole_environment,
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=stderr,
                stderr=stderr,
                start_new_session=True,
            )

    def _kill(self, name: str) -> None:
        daemon = self._daemons.pop(name)
        daemon.kill()
        daemon.wait()

    def _wait_until_listening(self, at: Path | int, name: str) -> None:
        def listening():
            self._fail_if_ended()
            return _listens(at)

        self.wait_for(listening, 30, f"{name} listens")

    def _wait_until_registered(self, nodes, since: int) -> None:
        """The state alone would not do: the controller takes a while to notice that a slurmd is gone."""

        def registered():
            self._fail_if_ended()
            text = self.run("scontrol", "--oneliner", "show", "node")
            started = dict(re.findall(r"NodeName=(\S+).*?SlurmdStartTime=(\S+)", text))  # may be None
            states = self.node_states()
            return all(
                started[node][0].isdigit()
                and datetime.fromisoformat(started[node]).timestamp() >= since
                and not states[node].startswith(("down", "unknown"))
                for node in nodes
            )

        self.wait_for(registered, 60, f"registered: {', '.join(nodes)}")

    def _fail_if_ended(self) -> None:
        """A daemon that refuses its configuration ends at once: no need to wait for it."""
        for name, daemon in self._daemons.items():
            if daemon.poll() is not None:
                raise AssertionError(f"{name} does not run\n{self.last_lines()}")


def _stderr_of(daemon: str) -> str:
    return f"{daemon.replace(' ', '-')}-stderr.log"


def _program(name: str) -> str | None:
    return shutil.which(name, path=_SEARCH_PATH)


def _listens(at: Path | int) -> bool:
    family, address = (
        (socket.AF_INET, ("127.0.0.1", at)) if isinstance(at, int) else (socket.AF_UNIX, str(at))
    )
    with socket.socket(family) as client:
        client.settimeout(1)
        return client.connect_ex(address) == 0
