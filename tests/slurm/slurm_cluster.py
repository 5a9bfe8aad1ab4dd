"""A real SLURM of two nodes on this machine, for tests: brought up and torn down as root, without systemd.

It never touches a SLURM that the machine may belong to: it has a SLURM_CONF, a munged with its own socket
and key, and ports of its own, all bound to 127.0.0.1. Names, sizes and waiting times are in `_slurm_conf`.

What differs from a real site: both nodes are this machine (`hostname` is the same, only SLURMD_NODENAME
tells them apart, and `n1` does not resolve); CPUs are declared and not bound; there is no accounting, so
`sacct` fails, as on many sites.
"""

import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

NODES = ("n1", "n2")
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
# Set outside when the tests themselves run in a job; inside they would steer this cluster's clients.
_FOREIGN = ("SLURM_", "SLURMD_", "SBATCH_", "SRUN_", "SALLOC_", "SQUEUE_", "SCANCEL_", "SINFO_", "SCONTROL_")


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


class SlurmCluster:
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
                [sys.executable, __file__, str(self.folder)],
                env=_clean_environment(),
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
            _kill_all_of(self.folder)
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
            daemon = self._daemons.pop("slurmctld")
            daemon.terminate()
            try:
                daemon.wait(timeout=60)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()
                raise AssertionError(f"slurmctld did not end on SIGTERM\n{self.last_lines()}") from None
        self._start_slurmctld()
        # Some 4 s, in which sinfo shows idle nodes as unknown.
        alive = [node for node in NODES if "slurmd " + node in self._daemons]
        self.wait_for(
            lambda: not any(self.node_states()[node].startswith("unknown") for node in alive),
            60,
            "nodes known",
        )

    # --- asking it ---

    @property
    def environment(self) -> dict[str, str]:
        """What the clients (sbatch, squeue, submitit) need: to be merged into os.environ."""
        return {"SLURM_CONF": str(self.folder / "slurm.conf")}

    @property
    def whole_environment(self) -> dict[str, str]:
        """os.environ for a subprocess: this cluster's, and nothing of a job in which the tests may run."""
        return _clean_environment() | self.environment

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
        (self.folder / "slurm.conf").write_text(_slurm_conf(self.folder, self._settings))

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
        port = int(_settings_of(self.folder)["SlurmctldPort"])
        self._wait_until_listening(port, "slurmctld")
        self.run("squeue")

    def _start(self, name: str, argv: list[str]) -> None:
        if name in self._daemons:
            raise RuntimeError(f"{name} is running already")
        # A session of its own: Ctrl-C at pytest is for pytest, which then ends the cluster in order.
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


def _slurm_conf(folder: Path, settings: dict) -> str:
    """slurm.conf, one Name=value a line. What is slow at a site is as quick here as SLURM lets it be."""
    host = socket.gethostname().split(".")[0]
    controller_port, *node_ports = _free_ports(1 + len(NODES))
    values = {
        "ClusterName": "dcal",
        "SlurmctldHost": f"{host}(127.0.0.1)",
        "SlurmctldPort": controller_port,
        "AuthType": "auth/munge",
        # A requeued job waits for cred_expire + 1 s before it may start again. Below 5 it stays at 120.
        "AuthInfo": f"socket={folder}/munge/socket,cred_expire=5",
        "CommunicationParameters": "NoCtldInAddrAny,NoInAddrAny",
        "SlurmUser": "root",
        "SlurmdUser": "root",
        "StateSaveLocation": folder / "state",
        "SlurmdSpoolDir": folder / "spool/%n",
        "SlurmctldPidFile": folder / "slurmctld.pid",
        "SlurmdPidFile": folder / "slurmd-%n.pid",
        "SlurmctldLogFile": folder / "log/slurmctld.log",
        "SlurmdLogFile": folder / "log/slurmd-%n.log",
        "MailProg": "/bin/true",
        "MpiDefault": "none",
        # No cgroups: they need systemd or rights that a container lacks.
        "ProctrackType": "proctrack/linuxproc",
        "TaskPlugin": "task/none",
        "JobAcctGatherType": "jobacct_gather/none",
        "AccountingStorageType": "accounting_storage/none",
        "SelectType": "select/cons_tres",
        "SelectTypeParameters": "CR_Core",
        "GresTypes": "gpu",
        # The declared CPUs and memory count, whatever this machine has.
        "SlurmdParameters": "config_overrides",
        "MaxArraySize": 1001,
        "JobRequeue": 1,
        "PreemptType": "preempt/partition_prio",
        "PreemptMode": "REQUEUE",
        "SchedulerType": "sched/backfill",
        "SchedulerParameters": "batch_sched_delay=0,sched_interval=1,bf_interval=1",
        "KillWait": 5,
        "MinJobAge": 300,
        "ReturnToService": 2,
        "SlurmctldTimeout": 30,
        # A lost node is down, and its jobs go elsewhere, about 20 s after its slurmd's end.
        "SlurmdTimeout": 10,
        # Preemption is tried again every KillWait + MessageTimeout, which is when a grace time ends.
        "MessageTimeout": 5,
    } | settings
    lines = [f"{name}={value}" for name, value in values.items()]
    for node, port in zip(NODES, node_ports, strict=True):
        lines.append(
            f"NodeName={node} NodeHostname={host} NodeAddr=127.0.0.1 Port={port} CPUs=2 RealMemory=8000"
            " Gres=gpu:2 State=UNKNOWN"
        )
    lines += [
        f"PartitionName=main Nodes={','.join(NODES)} Default=YES PriorityTier=1 PreemptMode=REQUEUE",
        f"PartitionName=graceful Nodes={','.join(NODES)} PriorityTier=1 PreemptMode=REQUEUE GraceTime=20",
        f"PartitionName=urgent Nodes={','.join(NODES)} PriorityTier=10 PreemptMode=OFF",
    ]
    return "\n".join(lines) + "\n"


def _settings_of(folder: Path) -> dict[str, str]:
    lines = (folder / "slurm.conf").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines)


def _stderr_of(daemon: str) -> str:
    return f"{daemon.replace(' ', '-')}-stderr.log"


def _program(name: str) -> str | None:
    return shutil.which(name, path=_SEARCH_PATH)


def _clean_environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN)}


def _free_ports(number: int) -> list[int]:
    """Ports below those from which the kernel serves outgoing connections: a restarted daemon finds its own."""
    with open("/proc/sys/net/ipv4/ip_local_port_range") as file:
        end = int(file.read().split()[0])
    ports = []
    for port in random.SystemRandom().sample(range(10_000, max(end, 20_000)), 200):
        with socket.socket() as probe:
            try:
                probe.bind(("", port))
            except OSError:
                continue
            ports.append(port)
        if len(ports) == number:
            return ports
    raise RuntimeError("no free ports")


def _listens(at: Path | int) -> bool:
    family, address = (
        (socket.AF_INET, ("127.0.0.1", at)) if isinstance(at, int) else (socket.AF_UNIX, str(at))
    )
    with socket.socket(family) as client:
        client.settimeout(1)
        return client.connect_ex(address) == 0


def _kill_all_of(folder: Path) -> None:
    """SIGKILL every process of the cluster in `folder`, until there is none left."""
    for _ in range(200):
        if not (found := _processes_of(folder)):
            return
        for pid in found:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        time.sleep(0.05)
    raise RuntimeError(f"processes of {folder} do not end: {sorted(found)}")


def _processes_of(folder: Path) -> set[int]:
    """Daemons, steps and jobs, told by their environment or open files, with all of their descendants.

    A step belongs to no daemon once that is killed, and a job's process may have left its step's session.
    """
    marker = f"SLURM_CONF={folder}/slurm.conf".encode()
    parents, found = {}, set()
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            state, parent = (entry / "stat").read_text().rpartition(")")[2].split()[:2]
            if state in "ZX":
                continue
            parents[int(entry.name)] = int(parent)
            if marker in (entry / "environ").read_bytes().split(b"\0") or (
                (entry / "comm").read_text().startswith(("slurm", "munge")) and _holds_file_in(entry, folder)
            ):
                found.add(int(entry.name))
        except OSError:  # it has ended meanwhile
            continue
    grown = True
    while grown:
        more = {pid for pid, parent in parents.items() if parent in found} - found
        found |= more
        grown = bool(more)
    above = os.getpid()
    while above:
        found.discard(above)
        above = parents.get(above, 0)
    return found


def _holds_file_in(process: Path, folder: Path) -> bool:
    for link in (process / "fd").iterdir():
        try:
            if os.readlink(link).startswith(f"{folder}/"):
                return True
        except OSError:
            continue
    return False


if __name__ == "__main__":
    # The guard of a cluster: its standard input ends when the process that started it does, however
    # that ended, and then no daemon or job may stay.
    sys.stdin.buffer.read()
    _kill_all_of(Path(sys.argv[1]))
