"""Our DCAL step against literal implementations of the same equations: nothing fused, shared or batched."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from benchmark.errors import RunError
from benchmark.records.provenance import ROOT
from benchmark.timing.bench.results import MB, BenchRow, Disagreement
from benchmark.timing.bench.steps import Ours, autocast, descend, load_recipe, make_state, random_batch
from benchmark.timing.measure import Meter, Result, measure, measure_memory, time_in_turns, waiting_for
from benchmark.training.device import prepare, usable_cores
from dcal.heads import Branch

LITERAL = ROOT / "tests" / "dcal" / "unfused.py"
TOLERANCE = 1e-4  # of float32, relative
OURS = "ours"


@dataclass(frozen=True)
class LiteralVariant:
    """A literal step. title: what its rows are called; note: what differs from the other one's."""

    title: str
    other_name: str
    pair_streams: bool
    note: str


WAYS = {
    "batch": LiteralVariant(
        "partners' tokens taken from the batch",
        "literal, batch's tokens",
        False,
        "the literal step lets a pair's second image stand for the tokens that the batch's own self-attention stream "
        "has of it; nothing else is shared",
    ),
    "pairs": LiteralVariant(
        "pairs as the paper draws them, both images through the network",
        "literal, both images",
        True,
        "the literal step is the same but that each pair's second image runs through the self-attention blocks as "
        "well, in a stream of its own that is kept for the backward pass: the same logits and gradients for more work",
    ),
}


@dataclass(frozen=True)
class UnfusedCase:
    """A cell with M = 1 and T = L. times: bar by way, how much longer the literal step takes at the least."""

    title: str
    cell: str
    batch: int
    repeats: int
    times: tuple[tuple[str, float], ...] = ()


CASES = (UnfusedCase("DeiT-Tiny 448²", "cub/deit_tiny/dcal", 4, 5, times=(("pairs", 1.8),)),)


def run(device: str, cases: Iterable[UnfusedCase] = CASES) -> list[BenchRow]:
    """Time and memory growth of a training step, as ``training`` measures them, without stochastic depth.

    Raises Disagreement if a literal forward comes to other logits, another loss or other local queries than ours in
    float32, RunError without the checkout's tests.
    """
    literal()  # before minutes are spent
    rows = []
    for case in cases:
        setting = {"cell": case.cell, "batch": case.batch, "device": device, "threads": usable_cores()}
        title = f"{case.title}, batch {case.batch}"
        print(f"unfused: {title}, agreement", file=sys.stderr)
        check(title, measure(work_of_agreement, **setting).result)
        print(f"unfused: {title}, times and memory", file=sys.stderr)
        seconds = measure(work_of_times, **setting, repeats=case.repeats).result
        memory = {side: measure_memory(work_of_memory, **setting, side=side) / MB for side in (OURS, *WAYS)}
        for name, way in WAYS.items():
            named = f"{title}: {way.title}"
            bar = dict(case.times).get(name)
            rows += [
                BenchRow(
                    "unfused",
                    named,
                    "training step",
                    "s",
                    seconds[OURS],
                    seconds[name],
                    way.other_name,
                    times=bar,
                    note=way.note,
                ),
                BenchRow(
                    "unfused",
                    named,
                    "training step, memory growth",
                    "MB",
                    [memory[OURS]],
                    [memory[name]],
                    way.other_name,
                ),
            ]
    return rows


def check(title: str, differences: Result) -> None:
    """Raises Disagreement unless all that ``work_of_agreement`` found differs by rounding alone."""
    wrong = {name: value for name, value in differences.items() if not value <= TOLERANCE}
    if wrong:
        raise Disagreement(
            f"{title}: the literal step differs from ours in float32: {wrong}, at most {TOLERANCE:g} is allowed of "
            "logits and loss, relative to the largest, and no image with other local queries"
        )


def work_of_agreement(meter: Meter, cell: str, batch: int, device: str, threads: int) -> Result:
    """By "way quantity": how far each way is from ours in float32, relative to the largest of ours, and the number of
    images whose local queries are not the same set.
    """
    meter.start(device)
    differences = {}
    with torch.no_grad(), torch.backends.cudnn.flags(allow_tf32=False):
        sides = {
            side: _step(side, cell, batch, device, threads, precision="float32").found()
            for side in (OURS, *WAYS)
        }
        logits, loss, selected = sides.pop(OURS)
        for way, (their_logits, their_loss, chosen) in sides.items():
            for name, one in logits.items():
                differences[f"{way}: {name} logits"] = _difference(their_logits[name], one)
            differences[f"{way}: loss"] = _difference(their_loss, loss)
            # Sorted rows are equal where the sets are.
            different = (chosen.sort(dim=1).values != selected.sort(dim=1).values).any(dim=1)
            differences[f"{way}: images with other local queries"] = float(different.sum())
    return differences


def work_of_times(meter: Meter, cell: str, batch: int, device: str, threads: int, repeats: int) -> Result:
    """Seconds of every step by side."""
    steps = {side: _step(side, cell, batch, device, threads) for side in (OURS, *WAYS)}
    meter.start(device)
    return time_in_turns(steps, repeats, waiting_for(device))


def work_of_memory(meter: Meter, cell: str, batch: int, device: str, threads: int, side: str) -> Result:
    """Two steps of one side: the second one finds the first one's gradients."""
    step = _step(side, cell, batch, device, threads)
    meter.start(device)
    for _ in range(2):
        step()
    return {}


def literal() -> ModuleType:
    """The literal implementation, which lives with the tests that hold it to the equations. Raises RunError."""
    if not LITERAL.is_file():
        raise RunError(
            f"{LITERAL}: no such file, expected the literal implementation that our step is measured against. It lies "
            "with the tests: run the bench from a whole checkout, or name the other benchmarks with --only"
        )
    specification = importlib.util.spec_from_file_location("unfused", LITERAL)
    module = importlib.util.module_from_spec(specification)
    sys.modules["unfused"] = module  # its dataclass looks its own module up
    specification.loader.exec_module(module)
    return module


class Step:
    """A training step of a model of its own, with the optimizer's state made.

    All sides have the same weights, pictures and partners, the same optimizer, and no stochastic depth.
    """

    def __init__(self, cell: str, batch: int, device: str, threads: int, *, precision: str = "auto") -> None:
        self.compute, self.config = prepare(device, precision, threads), load_recipe(cell)
        pictures = random_batch(self.config, batch, self.compute)
        self.suite = Ours(self.config, pictures, self.compute, drop_path=0.0)
        self.model = self.suite.model.train()
        self.images, self.labels = pictures.images, pictures.labels
        self.partner = torch.arange(batch, device=self.compute.device).roll(1)
        make_state(self.suite.optimizer)

    def __call__(self) -> None:
        """Forward, loss, backward, optimizer."""
        with autocast(self.compute):
            outputs = self.forward()
        descend(self.loss(outputs), self.suite.optimizer)


class OurStep(Step):
    """The suite's own model, losses and weighting."""

    def forward(self) -> dict[str, Branch]:
        return self.model(self.images, partner=self.partner).branches()

    def loss(self, branches: dict[str, Branch]) -> Tensor:
        return self.suite.weighting(
            {name: self.suite.task.loss(one, self.labels) for name, one in branches.items()}
        )

    def found(self) -> tuple[dict[str, Tensor], Tensor, Tensor]:
        """Logits, loss, and the token indices of the local queries without the class token, (B, ⌊R·N⌋)."""
        select, selections = self.model.glca.select, []

        def kept(*arguments: object) -> Tensor:
            selections.append(select(*arguments))
            return selections[-1]

        self.model.glca.select = kept
        branches = self.forward()
        (selected,) = selections
        return {name: one.logits for name, one in branches.items()}, self.loss(branches), selected[:, 1:]


class LiteralStep(Step):
    """The literal forward and loss, on the parameters of the suite's model."""

    def __init__(self, way: LiteralVariant, *arguments: object, precision: str = "auto") -> None:
        super().__init__(*arguments, precision=precision)
        vit = self.model.backbone.vit
        self.written, self.parameters = literal(), dict(self.model.named_parameters())
        self.setting = {
            "heads": vit.blocks[0].attn.num_heads,
            "patch": vit.patch_embed.patch_size[0],
            "blocks": len(vit.blocks),
            "ratio": self.config.settings.model.glca_ratio,
            "pair_streams": way.pair_streams,
        }

    def forward(self) -> Any:  # the literal module's Forward
        return self.written.forward(self.parameters, self.images, self.partner, **self.setting)

    def loss(self, outputs: Any) -> Tensor:
        logits = {name: one.float() for name, one in outputs.logits.items()}
        return self.written.loss(logits, self.labels, self.suite.weighting.w)

    def found(self) -> tuple[dict[str, Tensor], Tensor, Tensor]:
        """As OurStep's."""
        outputs = self.forward()
        return outputs.logits, self.loss(outputs), outputs.selected


def _step(side: str, *arguments: object, precision: str = "auto") -> OurStep | LiteralStep:
    if side == OURS:
        return OurStep(*arguments, precision=precision)
    return LiteralStep(WAYS[side], *arguments, precision=precision)


def _difference(ours: Tensor, expected: Tensor) -> float:
    """The largest, relative to the largest that is expected."""
    return ((ours - expected).abs().max() / expected.abs().max()).item()
