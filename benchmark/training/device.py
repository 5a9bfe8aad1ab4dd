"""Device and precision of a run. Nothing falls back silently: what is asked for is there, or the run refuses."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmark.config.compute_setup import World
from benchmark.config.resolve import Profile
from benchmark.errors import RunError
from benchmark.records.provenance import cpu_name

if TYPE_CHECKING:
    import torch

ANSWER_SECONDS = 60  # for nvidia-smi, which takes a few on a machine of many GPUs


def usable_cores() -> int:
    """Cores that this process may run on: a cluster, a container or taskset may leave it fewer than there are."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def threads_of(profile: Profile, fitting: int) -> int:
    """CPU threads of a run. A mini backbone's operations are too small to share out: two threads mostly wait for
    each other, the more so on a busy machine."""
    return 1 if profile.backbones == "mini" else fitting


def workers_of(profile: Profile, cores: int, *, on_gpu: bool) -> int:
    """Decoding processes of a run that may use so many cores: none where every core trains already or pictures are
    tiny."""
    return max(1, min(16, cores)) if on_gpu and profile.pictures != "generated" else 0


def count_gpus() -> int:
    """NVIDIA GPUs that this process may use, without loading torch. Raises RunError if the driver does not answer."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return len([device for device in visible.split(",") if device.strip() not in ("", "-1")])
    if not shutil.which("nvidia-smi"):
        return 0
    try:
        listed = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, timeout=ANSWER_SECONDS)
    except subprocess.TimeoutExpired:
        raise RunError(
            f"nvidia-smi -L did not answer within {ANSWER_SECONDS} s: the driver or a GPU hangs, and a restart of the "
            "machine usually helps. DEVICE=cpu with CUDA_VISIBLE_DEVICES= (empty) does without GPUs"
        ) from None
    return (
        sum(line.startswith("GPU ") for line in listed.stdout.splitlines()) if listed.returncode == 0 else 0
    )


def wanted(requested: str | None, profile_device: str) -> str:
    """``auto``, ``cpu`` or ``cuda``: what the user asks for, else what the profile says. Raises RunError for others."""
    device_type = requested or profile_device
    if device_type not in ("auto", "cpu", "cuda"):
        raise RunError(f"DEVICE={device_type}: expected auto, cpu or cuda")
    return device_type


def choose(requested: str | None, profile: str, profile_device: str) -> str:
    """``cpu`` or ``cuda``: what the user asks for, else what the profile says (auto: a GPU where there is one).

    Raises RunError if a GPU is wanted and there is none.
    """
    device = wanted(requested, profile_device)
    if device == "cpu":
        return "cpu"
    gpus = count_gpus()
    if device == "cuda" and gpus == 0:
        if requested:
            raise RunError(
                "DEVICE=cuda was asked for and no GPU is visible here: nvidia-smi -L or CUDA_VISIBLE_DEVICES has to "
                "name one; DEVICE=cpu runs on the CPU"
            )
        raise RunError(
            f"profile {profile} is meant for GPUs and none is visible here. DEVICE=cpu runs it on the CPU all the same "
            "(very slowly); PROFILE=quick and PROFILE=mini are made for machines without one"
        )
    return "cuda" if gpus else "cpu"


@dataclass(frozen=True)
class Compute:
    """A device with the precision to use on it. amp: autocast's type, None for plain float32. ranks: how many such."""

    device: torch.device
    name: str
    precision: str
    amp: torch.dtype | None
    threads: int
    ranks: int = 1

    @property
    def scales_loss(self) -> bool:
        """float16 needs loss scaling."""
        return self.precision == "float16"

    def record(self) -> dict[str, object]:
        """As it stands in a result."""
        return {
            "type": self.device.type,
            "name": self.name,
            "precision": self.precision,
            "threads": self.threads,
            "world_size": self.ranks,
        }


def prepare(device: str, precision: str, threads: int, world: World | None = None) -> Compute:
    """Set torch up for a device. precision: a setting's value; auto is bf16, else fp16 on GPUs, float32 on CPUs.

    world: this process among the run's; none: it is alone. Each rank on a machine gets a GPU of its own.
    Raises RunError for a device that torch cannot use, for too few GPUs, and for float16 on a CPU.
    """
    import torch

    world = world or World()
    torch.set_num_threads(threads)
    if device == "cuda":
        if not torch.cuda.is_available():
            raise RunError(
                "a GPU is visible to the system but not to torch: check the driver, or set DEVICE=cpu"
            )
        index = gpu_index(world, torch.cuda.device_count())
        torch.cuda.set_device(index)
        device = f"cuda:{index}"
        if precision == "auto":
            precision = "bfloat16" if torch.cuda.is_bf16_supported() else "float16"
        name = torch.cuda.get_device_name()
        torch.cuda.reset_peak_memory_stats()
    else:
        if precision == "auto":
            precision = "float32"
        if precision == "float16":
            raise RunError("train.precision=float16 needs a GPU: use float32 or bfloat16 on a CPU")
        name = cpu_name()
        # Here a resumed run must end with the same bits; on GPUs the deterministic kernels would cost too much.
        torch.use_deterministic_algorithms(True, warn_only=True)
        # Which also fills all new memory, to make reads of it repeatable: nothing reads it, and each fill costs a pass.
        torch.utils.deterministic.fill_uninitialized_memory = False
    amp = {"float32": None, "bfloat16": torch.bfloat16, "float16": torch.float16}[precision]
    return Compute(torch.device(device), name, precision, amp, threads, world.size)


def gpu_index(world: World, visible: int) -> int:
    """Which of the GPUs that this process sees is its rank's. Raises RunError if they are too few.

    A launcher either shows all of a machine's GPUs to each of its ranks, or each rank its own alone.
    """
    if visible >= world.local_size:
        return world.local_rank
    if visible == 1:
        return 0
    raise RunError(
        f"rank {world.rank} is one of {world.local_size} on its machine and sees {visible} GPUs: expected one for each "
        "of them, or its own alone. Ask the launcher for as many GPUs a machine as processes"
    )


def peak_memory_bytes(device: torch.device) -> int:
    """Most memory used so far: of the GPU, or of this process where it runs on the CPU."""
    if device.type == "cuda":
        import torch

        return torch.cuda.max_memory_allocated()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
