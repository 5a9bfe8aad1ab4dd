"""Training steps as a Trainer takes them, on one rank, with a model and batches that take milliseconds."""

import torch

import benchmark.data.mini.backbones  # noqa: F401 - registers them with timm
from benchmark.config.grid import select
from benchmark.config.resolve import load_profile, resolve
from benchmark.training.device import prepare
from benchmark.training.distributed import SingleProcess
from benchmark.training.optim import make_optimizer
from benchmark.training.step import FullBatch, StepLoss
from benchmark.training.tasks import TASKS
from dcal.builder import build
from dcal.losses import UncertaintyWeighting

TAG, CLASSES, STEPS = "mini_deit_tiny_patch8_48", 3, 3
LABELS = torch.tensor([0, 1, 2, 1, 0, 2])


def batches():
    generator = torch.Generator().manual_seed(1)
    return [torch.randn(len(LABELS), 3, 32, 32, generator=generator) for _ in range(STEPS)]


def settings_of(method):
    return resolve(select([f"cub/deit_tiny/{method}"])[0], 0, load_profile("mini"), {}).settings


def model_of(settings, method):
    torch.manual_seed(0)
    crossed = {"glca": settings.model.glca(), "pwca": settings.model.pwca()} if method == "dcal" else {}
    return build(f"{TAG}.generic", CLASSES, image_size=32, weights="random", drop_path=0.2, **crossed).train()


class Harness:
    def __init__(self, method, precision="float32", model=None):
        settings = settings_of(method)
        self.model = model or model_of(settings, method)
        self.weighting = UncertaintyWeighting(self.model.branch_names, initial=settings.model.w_init)
        self.optimizer = make_optimizer(self.model, self.weighting, settings.train)
        compute = prepare("cpu", precision, 1)
        step_loss = StepLoss(self.model, self.weighting, TASKS["fgvc"], compute, SingleProcess())
        self.gradients = FullBatch(step_loss, SingleProcess(), lambda total: total)

    def backward(self, images):
        """Each branch's loss; the gradients are in the parameters."""
        self.optimizer.zero_grad(set_to_none=True)
        return self.gradients(images, None, LABELS, (len(LABELS),)).float()

    def train(self):
        """Each branch's loss in every step, (steps, branches)."""
        torch.manual_seed(7)
        found = []
        for images in batches():
            found.append(self.backward(images))
            self.optimizer.step()
        return torch.stack(found)
