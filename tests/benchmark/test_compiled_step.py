"""TUNE compile=true: the same steps, the same draws, the same names in a checkpoint."""

import functools
import shutil

import pytest
import torch
from step_harness import CLASSES, Harness, model_of, settings_of
from timm.layers import DropPath
from timm.models.vision_transformer import VisionTransformer

from benchmark.config.compute_setup import Tuning
from benchmark.errors import RunError
from benchmark.training import models
from dcal.backbones.vit import PlainViT
from dcal.model import DCAL
from dcal.settings import GLCASettings, PWCASettings

CROSSED = {"glca": GLCASettings(ratio=0.3, readout="mean"), "pwca": PWCASettings(blocks=1)}


def assert_same_training(method, depth, **crossed):
    def harness():
        torch.manual_seed(0)
        vit = VisionTransformer(
            img_size=32, patch_size=8, embed_dim=16, depth=depth, num_heads=2, num_classes=0
        )
        for block in vit.blocks:
            block.drop_path1, block.drop_path2 = DropPath(0.4), DropPath(0.4)
        return Harness(method, model=DCAL(PlainViT(vit), CLASSES, **crossed).train())

    torch.compiler.reset()
    plain, compiled = harness(), harness()
    models.tune(compiled.model, Tuning(compile=True))
    before = torch._dynamo.utils.counters["stats"]["unique_graphs"]
    torch.testing.assert_close(compiled.train(), plain.train(), rtol=1e-5, atol=1e-6)
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] > before
    assert compiled.model.state_dict().keys() == plain.model.state_dict().keys()


def test_partners_paths_and_gradients_of_a_traced_step_are_the_plain_ones(monkeypatch):
    # C++ for all of this takes half a minute.
    monkeypatch.setattr(torch, "compile", functools.partial(torch.compile, backend="aot_eager"))
    assert_same_training("dcal", 2, **CROSSED)


@pytest.mark.skipif(not any(map(shutil.which, ("g++", "clang++"))), reason="needs a C++ compiler")
def test_a_step_of_compiled_code_is_the_plain_one():
    assert_same_training("baseline", 1)


def test_a_missing_compiler_is_said_before_training(monkeypatch):
    monkeypatch.setattr(models.shutil, "which", lambda name: None)
    with pytest.raises(RunError, match=r"needs a C\+\+ compiler"):
        models.tune(model_of(settings_of("baseline"), "baseline"), Tuning(compile=True))
