"""The mini backbones: committed files load strictly into timm and match the manifest."""

import subprocess
import sys

import pytest
import timm
import torch
from safetensors.torch import load_file

from benchmark.config import backbones
from benchmark.config.backbones import BACKBONES
from benchmark.data.mini import manifest
from benchmark.data.mini.backbones import ARCHITECTURES
from benchmark.errors import DataError

TAGS = [row.mini for row in BACKBONES.values()]
CAIT, SWIN = BACKBONES["cait_xs24"].mini, BACKBONES["swin_tiny"].mini
VITS = [tag for tag in TAGS if tag not in (CAIT, SWIN)]


def test_every_backbone_of_the_grid_has_a_stand_in():
    assert [tag.partition(".")[0] for tag in TAGS] == list(ARCHITECTURES)


@pytest.mark.parametrize("tag", TAGS)
def test_committed_file_loads_strictly_and_gives_finite_logits(tag):
    state = load_file(backbones.weights_file(tag))
    assert {tensor.dtype for tensor in state.values()} == {torch.float16}
    model = timm.create_model(tag)
    model.load_state_dict(state, strict=True)
    assert {p.dtype for p in model.parameters()} == {torch.float32}
    logits = model.eval()(torch.randn(2, *model.pretrained_cfg["input_size"]))
    assert logits.shape == (2, model.pretrained_cfg["num_classes"])
    assert logits.isfinite().all()


@pytest.mark.parametrize("tag", VITS)
def test_timm_loads_the_weights_at_the_fine_tuning_size(tag):
    model = timm.create_model(tag, pretrained=True, img_size=64, num_classes=7)
    state = load_file(backbones.weights_file(tag))
    assert torch.equal(model.blocks[11].mlp.fc2.weight, state["blocks.11.mlp.fc2.weight"].float())
    assert model.pos_embed.shape == (1, 65, model.embed_dim)
    assert model(torch.randn(1, 3, 64, 64)).shape == (1, 7)


@pytest.mark.parametrize("tag", VITS)
def test_architecture_is_a_vit_of_twelve_blocks_as_timms(tag):
    model = timm.create_model(tag)
    assert len(model.blocks) == 12
    assert model.patch_embed.num_patches == 36
    assert model.blocks[0].attn.qkv.bias is not None
    assert model.blocks[0].norm1.eps == model.norm.eps == 1e-6


def test_caits_stand_in_has_the_blocks_and_the_state_dict_names_of_the_original():
    real = timm.create_model("cait_xs24_384", device="meta")
    mini = timm.create_model(CAIT)
    assert (len(mini.blocks), len(mini.blocks_token_only)) == (24, 2)
    assert list(mini.state_dict()) == list(real.state_dict())
    assert mini.patch_embed.num_patches == 36


def test_swins_stand_in_has_the_blocks_and_the_state_dict_names_of_the_original():
    real = timm.create_model("swin_tiny_patch4_window7_224", device="meta")
    mini = timm.create_model(SWIN)
    assert [len(stage.blocks) for stage in mini.layers] == [2, 2, 6, 2]
    assert list(mini.state_dict()) == list(real.state_dict())


@pytest.mark.parametrize(
    ("size", "windows"),
    [
        ((64, 64), [(4, 4), (4, 4), (4, 4), (4, 4)]),
        ((64, 32), [(4, 4), (4, 4), (4, 4), (4, 2)]),
        ((48, 48), [(4, 4), (4, 4), (4, 4), (3, 3)]),
    ],
)
def test_swins_windows_at_the_sizes_of_the_mini_sets(size, windows):
    mini = timm.create_model(SWIN, img_size=size)
    assert [stage.blocks[0].window_size for stage in mini.layers] == windows
    assert any(any(block.shift_size) for block in mini.layers[2].blocks)
    assert mini(torch.randn(1, 3, *size)).isfinite().all()


@pytest.mark.parametrize("tag", TAGS)
def test_manifest_describes_the_committed_file(tag):
    row, file = manifest.read()[tag], backbones.weights_file(tag)
    assert row["sha256"] == backbones.sha256_of(tag)
    assert row["bytes"] == file.stat().st_size
    assert row["parameters"] == sum(p.numel() for p in timm.create_model(tag).parameters())
    assert row["generic_classes"] == timm.get_pretrained_cfg(tag).num_classes
    assert row["held_out_accuracy"] > 3 / row["generic_classes"]


def test_all_files_together_stay_small():
    assert sum(file.stat().st_size for file in backbones.WEIGHTS.iterdir()) < 10_000_000


def test_a_missing_file_is_a_clear_error():
    with pytest.raises(DataError, match=r"no such file.*make mini-weights"):
        backbones.sha256_of("mini_unknown.generic")


def test_a_saved_row_replaces_only_its_own(tmp_path, monkeypatch):
    monkeypatch.setattr(backbones, "WEIGHTS", tmp_path)
    monkeypatch.setattr(manifest, "MANIFEST", tmp_path / "manifest.json")
    for tag, seed in (("a.generic", 1), ("b.generic", 1), ("a.generic", 2)):
        manifest.save(tag, {"w": torch.ones(3).half()}, {"seed": seed})
    rows = manifest.read()
    assert {tag: row["seed"] for tag, row in rows.items()} == {"a.generic": 2, "b.generic": 1}
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "a.generic.safetensors",
        "b.generic.safetensors",
        "manifest.json",
    ]


@pytest.mark.parametrize(
    ("modules", "unwanted"),
    [
        (("data.mini.sets", "config.backbones"), {"torch", "cv2", "scipy", "numpy"}),
        (("data.mini.layouts", "data.mini.splits", "data.mini.generic"), {"torch"}),
    ],
)
def test_what_needs_no_torch_never_loads_it(modules, unwanted):
    names = ", ".join(f"benchmark.{name}" for name in modules)
    code = f"import sys, {names}; assert not {unwanted!r} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
