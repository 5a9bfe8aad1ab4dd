"""Pretrain the mini backbones from random initialisation on endless generated generic pictures.

The pictures come from one worker process, training keeps one thread busy; the minutes are CPU time of
that thread, so that a busy machine gives the same weights' quality, only later. Besides the species of a
picture (the classifier, which is saved), auxiliary heads learn its genus and slots from the class token and what
each patch shows from the patch tokens; these heads are dropped afterwards. Swin has no class token: its pooled
feature stands for it, and its third stage, whose map at 48×48 is the 6×6 of the other models' patches, for those.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

import timm
import torch
import torch.nn.functional as F
from timm.models.cait import Cait
from timm.models.swin_transformer import SwinTransformer
from torch import Tensor, nn
from torch.utils.data import DataLoader

from benchmark.data.mini.backbones import WORLD_OF
from benchmark.data.mini.generic import KINDS, MARKS, SLOTS, WORLDS
from benchmark.data.mini.pretrain_data import ECHO, Pictures, through_a_camera, twice

WARM_UP = 0.05  # share of the time
HELD_OUT = 2000  # pictures the reported accuracy is measured on
HELD_OUT_SEED = 10**6  # no training seed reaches it


@dataclass(frozen=True)
class Plan:
    """How a backbone is pretrained: minutes of CPU time, pictures a step, highest learning rate; cameras: whether each
    picture gets another camera's cast, blur and noise."""

    minutes: float
    batch: int
    peak_lr: float
    cameras: bool = False


# The larger ones get more steps out of their time with smaller batches. Swin's patches of 2×2 pixels see what a camera
# does to a picture rather than who is on it, until the pretraining shows them that it does not matter.
PLANS = {
    "mini_deit_tiny_patch8_48": Plan(7, 64, 2e-3),
    "mini_deit_small_patch8_48": Plan(7, 64, 2e-3),
    "mini_deit_base_patch8_48": Plan(9, 32, 1.5e-3),
    "mini_vit_base_patch8_48": Plan(9, 32, 1.5e-3),
    "mini_vit_base_r50_s8_48": Plan(7, 32, 1.5e-3),
    "mini_cait_xs24_48": Plan(9, 32, 1.5e-3),
    "mini_swin_tiny_48": Plan(9, 32, 1.5e-3, cameras=True),
}


class Pretraining(nn.Module):
    """A backbone and the auxiliary heads that are dropped after pretraining."""

    def __init__(self, architecture: str) -> None:
        super().__init__()
        world = WORLDS[WORLD_OF[architecture]]
        self.backbone = timm.create_model(architecture, num_classes=world.classes)
        if isinstance(self.backbone, Cait):
            _mix_no_heads(self.backbone)
        width = self.backbone.num_features
        self.genus = nn.Linear(width, world.genera)
        self.slots = nn.Linear(width, SLOTS * len(KINDS))
        swin = isinstance(self.backbone, SwinTransformer)
        self.marks = nn.Linear(self.backbone.feature_info[2]["num_chs"] if swin else width, MARKS)
        cfg = self.backbone.pretrained_cfg
        self.register_buffer("mean", 255 * torch.tensor(cfg["mean"]).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", 255 * torch.tensor(cfg["std"]).view(1, 3, 1, 1), persistent=False)

    def features(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """(B, 48, 48, 3) uint8 to what the classifier reads, (B, D), and one feature a patch, (B, 36, D')."""
        pixels = (image.permute(0, 3, 1, 2).float() - self.mean) / self.std
        if isinstance(self.backbone, SwinTransformer):
            return _swin_features(self.backbone, pixels)
        tokens = self.backbone.forward_features(pixels)
        return tokens[:, 0], tokens[:, 1:]

    def loss(self, image: Tensor, species: Tensor, genus: Tensor, kinds: Tensor, marks: Tensor) -> Tensor:
        """Sum of the four tasks' losses."""
        whole, patches = self.features(image)
        slots = self.slots(whole).view(-1, len(KINDS))
        return (
            F.cross_entropy(self.backbone.get_classifier()(whole), species)
            + F.cross_entropy(self.genus(whole), genus)
            + F.cross_entropy(slots, kinds.flatten())
            + 4 * F.binary_cross_entropy_with_logits(self.marks(patches), marks)
        )


def _mix_no_heads(cait: Cait) -> None:
    """Heads talk to themselves at first: timm's start at 0.02 shuts attention off for most of a short pretraining."""
    for block in cait.blocks:
        nn.init.eye_(block.attn.proj_l.weight)
        nn.init.eye_(block.attn.proj_w.weight)


def _swin_features(swin: SwinTransformer, pixels: Tensor) -> tuple[Tensor, Tensor]:
    x = swin.patch_embed(pixels)
    *stages, last = swin.layers
    for stage in stages:
        x = stage(x)
    return swin.forward_head(swin.norm(last(x)), pre_logits=True), x.flatten(1, 2)


@dataclass(frozen=True)
class Outcome:
    """What one pretraining measured."""

    cpu_minutes: float
    wall_minutes: float
    steps: int
    distinct_images: int
    images_seen: int
    generic_classes: int
    held_out_images: int
    held_out_accuracy: float
    held_out_genus_accuracy: float


def _optimizer(model: nn.Module) -> torch.optim.AdamW:
    spared = {f"backbone.{name}" for name in model.backbone.no_weight_decay()}
    decayed = [p for n, p in model.named_parameters() if p.ndim > 1 and n not in spared]
    chosen = {id(p) for p in decayed}
    others = [p for p in model.parameters() if id(p) not in chosen]
    groups = [{"params": decayed, "weight_decay": 0.05}, {"params": others, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, betas=(0.9, 0.99), fused=True)


def _rate(progress: float) -> float:
    """Share of the highest learning rate at a share of the time: linear warm-up, then cosine to 0."""
    if progress < WARM_UP:
        return progress / WARM_UP
    return 0.5 * (1 + math.cos(math.pi * min(1.0, (progress - WARM_UP) / (1 - WARM_UP))))


@torch.inference_mode()
def _held_out(model: Pretraining, world: str, batch: int) -> tuple[float, float]:
    """Accuracy of species and genus on pictures that no training has seen."""
    model.eval()
    right = genus_right = seen = 0
    for image, species, genus, _, _ in Pictures(world, HELD_OUT_SEED, batch):
        whole, _ = model.features(image)
        right += int((model.backbone.get_classifier()(whole).argmax(1) == species).sum())
        genus_right += int((model.genus(whole).argmax(1) == genus).sum())
        seen += len(species)
        if seen >= HELD_OUT:
            return right / seen, genus_right / seen
    raise AssertionError("the pictures are endless")


def pretrain(architecture: str, minutes: float, seed: int) -> tuple[dict[str, Tensor], Outcome]:
    """Train ``architecture`` for ``minutes``; return its state dict (float16) and what was measured."""
    if seed >= HELD_OUT_SEED:
        raise ValueError(f"seed {seed} is kept for the held-out pictures, use one below {HELD_OUT_SEED}")
    torch.set_num_threads(1)
    torch.manual_seed(seed)
    world, plan = WORLD_OF[architecture], PLANS[architecture]
    batch, peak = plan.batch, plan.peak_lr
    model = Pretraining(architecture)
    optimizer = _optimizer(model)
    loader = DataLoader(Pictures(world, seed, batch), batch_size=None, num_workers=1, prefetch_factor=16)
    start, start_wall, limit, steps = time.thread_time(), time.monotonic(), 60 * minutes, 0
    for image, *labels in twice(loader, ECHO // batch):
        elapsed = time.thread_time() - start
        if elapsed >= limit:
            break
        for group in optimizer.param_groups:
            group["lr"] = peak * _rate(elapsed / limit)
        optimizer.zero_grad()
        loss = model.loss(through_a_camera(image) if plan.cameras else image, *labels)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        steps += 1
        if steps % 400 == 0:
            wall = time.monotonic() - start_wall
            print(
                f"{architecture} {elapsed:4.0f} s of {wall:4.0f} s, step {steps}, loss {loss.item():.3f}",
                flush=True,
            )
    cpu, wall = time.thread_time() - start, time.monotonic() - start_wall
    state = {name: tensor.half().contiguous() for name, tensor in model.backbone.state_dict().items()}
    model.backbone.load_state_dict(state)  # measure what is saved
    accuracy, genus_accuracy = _held_out(model, world, batch)
    return state, Outcome(
        cpu_minutes=round(cpu / 60, 2),
        wall_minutes=round(wall / 60, 2),
        steps=steps,
        distinct_images=batch * (steps - max(0, steps - ECHO // batch) // 2),
        images_seen=batch * steps,
        generic_classes=WORLDS[world].classes,
        held_out_images=math.ceil(HELD_OUT / batch) * batch,
        held_out_accuracy=round(accuracy, 4),
        held_out_genus_accuracy=round(genus_accuracy, 4),
    )
