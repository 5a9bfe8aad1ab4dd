"""What the ranks of a run do in processes of their own, and how a test starts them and hears of it."""

import dataclasses
import itertools
import multiprocessing
import signal
from dataclasses import dataclass, field

import pytest
import torch
from quick_runs import StopAfter
from torch.nn import functional as F

import benchmark.data.mini.backbones  # registers them with timm
import benchmark.training.step
import dcal.model
from benchmark.config.compute_setup import Shares, Tuning, World
from benchmark.config.grid import select
from benchmark.config.places import Places
from benchmark.config.resolve import load_profile, resolve
from benchmark.data import locate
from benchmark.data.loader import TestLoader, normalise
from benchmark.records.heartbeat import RunInterrupt, StopRequest
from benchmark.records.run_folder import RunFolder, locate_run
from benchmark.training import checkpoint, run
from benchmark.training.checkpoint import Randomness
from benchmark.training.device import Compute
from benchmark.training.distributed import SingleProcess
from benchmark.training.rendezvous import Meeting
from benchmark.training.request import Infrastructure
from benchmark.training.step import AccumulatedGradients, FullBatch, StepLoss
from benchmark.training.tasks import TASKS
from dcal.builder import build
from dcal.losses import UncertaintyWeighting
from dcal.settings import GLCASettings, PWCASettings

TINY = "mini_deit_tiny_patch8_48.generic"
CPU = torch.device("cpu")
ALONE = World()
_attempts = itertools.count(1)


class Ranks:
    """Processes that stay from test to test, since each takes seconds to load torch.

    mortal: they end after one task each, as a launcher's do; a rank's end is what the others see of its failure.
    """

    def __init__(self, most, *, mortal=False):
        self._pool = multiprocessing.get_context("spawn").Pool(most, maxtasksperchild=1 if mortal else None)

    def do(self, function, size, *arguments):
        """What function(world, *arguments) returned on each rank, or the exception that ended it there."""
        attempt = f"attempt{next(_attempts)}"
        calls = [
            self._pool.apply_async(function, (World(rank, size, rank, size, attempt), *arguments))
            for rank in range(size)
        ]
        return [_outcome(call) for call in calls]

    def end(self):
        self._pool.terminate()
        self._pool.join()


def _outcome(call):
    try:
        return call.get(timeout=120)
    except multiprocessing.TimeoutError:
        raise
    except Exception as error:
        return error


@dataclass(frozen=True)
class Job:
    """A run. stop_after: rank → after how many steps and batches of evaluations that rank alone is asked to stop."""

    cell: str
    places: Places
    overrides: dict
    stop_after: dict = field(default_factory=dict)
    checkpoint_seconds: float = 1e9
    tuning: Tuning = field(default_factory=Tuning)


def beside(places, name):
    """The same pictures, runs of their own."""
    return Places(places.runs / name, places.data, places.weights, places.generated)


def config_of(job):
    return resolve(select([job.cell])[0], 0, load_profile("mini"), job.overrides)


def folder(job):
    return locate_run(config_of(job), job.places.runs)


def weights(job):
    """The parameters and buffers that a run ended with."""
    return checkpoint.newest(folder(job), config_of(job).hash)["model"]


def run_cell(world, job):
    torch.set_num_threads(1)
    stop = StopRequest()
    if world.rank in job.stop_after:
        stop = StopAfter(job.stop_after[world.rank])
        stop.signals.append(signal.SIGUSR2)
    try:
        return run.run_cell(
            select([job.cell])[0],
            0,
            "mini",
            job.places,
            overrides=job.overrides,
            infrastructure=Infrastructure(
                quiet=True,
                checkpoint_seconds=job.checkpoint_seconds,
                world=world,
                tuning=job.tuning,
            ),
            stop=stop,
        )
    except RunInterrupt as error:
        error.signals = stop.signals
        raise


def evaluate(world, folder, data, settings, key, batch_size):
    """What predictions.npz would hold of untrained heads, and how many pictures this rank went through."""
    torch.set_num_threads(1)
    task = TASKS["reid" if key == "market" else "fgvc"]
    dataset = locate.load_reid(key, data) if key == "market" else locate.load_fgvc(key, data, 3)
    torch.manual_seed(0)
    model = build(
        TINY, len(dataset.classes), image_size=settings.crop, weights="random", head=task.head,
        glca=GLCASettings(blocks=1, ratio=0.2),
    )  # fmt: skip
    tests = TestLoader(dataset, settings, batch_size, workers=0, shares=Shares(world.rank, world.size))
    seen = []

    def prepare(images):
        seen.append(len(images))
        return normalise(model, CPU)(images)

    with Meeting(RunFolder(folder), world, StopRequest()) as meeting:
        meeting.connect()
        with meeting.group(CPU) as peers:
            found = task.evaluate(
                model, dataset, tests, prepare, lambda rows: peers.gather(rows, tests.counts)
            )
    return found.arrays(), sum(seen)


@dataclass(frozen=True)
class Step:
    """A batch and a model for it. partners: of every picture, inside its rank's part; None: a baseline.

    parts: into which each rank cuts its share. hardest: partners are found by class and features.
    wrong: how far each picture's label is moved for the branch in PWCA's place; None: there is no label noise.
    """

    head: str
    counts: tuple
    classes: int = 3
    partners: tuple | None = None
    parts: int = 1
    hardest: bool = False
    wrong: tuple | None = None

    def at_once(self):
        """The same without parts, with the partners that they would find."""
        found = _hardest(self) if self.hardest else self.partners
        return dataclasses.replace(self, parts=1, hardest=False, partners=found)

    def pwca(self):
        """Settings of what runs in PWCA's place."""
        if self.wrong is not None:
            return PWCASettings(regulariser="label_noise")
        if self.hardest:
            return PWCASettings(pairing="hardest")
        return PWCASettings() if self.partners is not None else None

    def batch(self):
        generator = torch.Generator().manual_seed(1)
        images = torch.randn(sum(self.counts), 3, 32, 32, generator=generator, dtype=torch.float64)
        return images, torch.arange(len(images)) % self.classes


def gradients(world, folder, step):
    """Losses, gradients and buffers after one backward, in float64."""
    torch.set_num_threads(1)
    with Meeting(RunFolder(folder), world, StopRequest()) as meeting:
        meeting.connect()
        with meeting.group(CPU) as peers:
            return _gradients(step, peers)


def _model(step):
    pwca = step.pwca()
    return build(
        TINY, step.classes, image_size=32, weights="random", head=step.head, drop_path=0.0,
        glca=GLCASettings(blocks=1, ratio=0.3) if pwca else None, pwca=pwca,
    ).double()  # fmt: skip


def _gradients(step: Step, peers: SingleProcess):
    torch.manual_seed(peers.rank)  # all begin with the first one's parameters
    model = _model(step)
    weighting = UncertaintyWeighting(model.branch_names, initial=0.3).double()
    loss = StepLoss(model, weighting, _in_float64(step.head), Compute(CPU, "", "float64", None, 1), peers)
    if step.parts == 1:
        backward = FullBatch(loss, peers, _unscaled)
    else:
        backward = AccumulatedGradients(
            loss, peers, _unscaled, cut=_cut(step), randomness=Randomness(model, CPU)
        )
    images, labels = step.batch()
    counts = step.counts if peers.size > 1 else (len(images),)
    start, count = sum(counts[: peers.rank]), counts[peers.rank]
    share = slice(start, start + count) if count else slice(0, 2)  # a stand-in
    parts = _parts(step, share)
    once_and_again = iter([*parts, *parts[:-1]])
    with pytest.MonkeyPatch.context() as patch:
        if step.partners is not None:
            partners = lambda pictures: _partners(step, next(once_and_again), pictures)  # noqa: E731
            patch.setattr(dcal.model, "random_partners", partners)
        if step.wrong is not None:
            moved = torch.tensor(step.wrong)[start : start + count]
            wrong = lambda own, classes, noise: (own + moved) % classes  # noqa: E731
            patch.setattr(benchmark.training.step, "noisy_labels", wrong)
        losses = backward(images[share], None, labels, counts)
    found = {"losses": losses}
    for module in (model, weighting):
        found |= {f"gradient of {name}": p.grad for name, p in module.named_parameters() if p.requires_grad}
        found |= dict(module.named_buffers())
    return found


def _cut(step):
    return Shares(ranks=step.parts, least=2)


def _parts(step, share):
    """Where each part of a share lies in the batch."""
    sizes = [size for size in _cut(step).counts(share.stop - share.start) if size]
    ends = itertools.accumulate(sizes, initial=share.start)
    return [slice(first, last) for first, last in itertools.pairwise(ends)]


def _partners(step, part, pictures):
    partners = torch.tensor(step.partners)[part] - part.start
    assert len(partners) == pictures
    assert ((partners >= 0) & (partners < pictures)).all(), "a partner outside of the rank's part"
    return partners


def _hardest(step):
    """Each picture's nearest one of another class within its part, by the first rank's features in eval mode."""
    torch.manual_seed(0)
    images, labels = step.batch()
    with torch.no_grad():
        features = _model(step).eval()(images).sa.feature
    found, start = [], 0
    for count in step.counts:
        for part in _parts(step, slice(start, start + count)) if count else ():
            rows = range(part.start, part.stop)
            for i in rows:
                others = [j for j in rows if labels[j] != labels[i]]
                found.append(min(others, key=lambda j, i=i: (features[i] - features[j]).norm().item()))
        start += count
    return tuple(found)


def _unscaled(total):
    return total


def _in_float64(head):
    """The tasks' losses without their casts to float32; every row meets every other, as in batch-hard triplets."""

    def loss(branch, labels, noisy=False):
        value = F.cross_entropy(branch.logits, labels)
        if head == "bnneck":
            distances = torch.cdist(
                branch.feature, branch.feature + 1, compute_mode="donot_use_mm_for_euclid_dist"
            )
            value = value + distances.logsumexp(dim=1).mean()
        return value

    return dataclasses.replace(TASKS["fgvc"], loss=loss)
