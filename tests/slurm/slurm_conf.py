"""slurm.conf of the tests' cluster: nodes, partitions, ports and waiting times."""

import random
import socket
from pathlib import Path

NODES = ("n1", "n2")


def slurm_conf(folder: Path, settings: dict) -> str:
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


def settings_of(folder: Path) -> dict[str, str]:
    """Name → value of a cluster's slurm.conf; of repeated names, such as nodes, the last."""
    lines = (folder / "slurm.conf").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines)


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
