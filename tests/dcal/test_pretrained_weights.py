"""Pretrained weights arrive in the model unchanged, from every format and the hub's cache."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest
import safetensors.torch
import timm
import torch
from small_models import NATIVE, random_images, spread_out
from timm.layers import resample_abs_pos_embed
from torch import nn
from weight_writers import build, source_model, write

import dcal
from dcal.weights import manifest

DEIT_TINY = "deit_tiny_patch16_224.fb_in1k"
FAMILY = {"small_vit": "deit_tiny", "small_hybrid": "r50_vit_base"}


def digest(tensor: torch.Tensor) -> str:
    return hashlib.sha256(tensor.detach().contiguous().numpy().tobytes()).hexdigest()


@pytest.mark.parametrize("size", [224, 448, (256, 128)])
def test_every_pretrained_tensor_of_deit_tiny_is_the_files(size, shared):
    """SHA-256 a tensor, half precision in the file cast to float32; only a resized position embedding differs, and
    that is timm's resampling. GLCA, PWCA and the heads are in the model and have not touched the backbone."""
    file = shared / "weights" / f"{DEIT_TINY}.safetensors"
    if not file.is_file():
        pytest.skip(f"needs DeiT-Tiny's weights: no {file}")
    pretrained = safetensors.torch.load_file(file)
    settings = {"glca": dcal.GLCASettings(init="random"), "pwca": dcal.PWCASettings()}
    model = dcal.build(DEIT_TINY, 200, image_size=size, weights=file.parent, **settings)
    state = model.backbone.vit.state_dict()

    assert set(state) == {name for name in pretrained if not name.startswith("head.")}
    rows, columns = (size, size) if isinstance(size, int) else size
    resized = size != 224
    for name, value in state.items():
        expected = pretrained[name].float()
        if name == "pos_embed" and resized:
            grid = (rows // 16, columns // 16)  # timm resamples in float32 and returns the file's precision
            expected = resample_abs_pos_embed(
                pretrained[name], grid, (14, 14), interpolation="bicubic", antialias=True
            ).float()
        assert digest(value) == digest(expected), name
    report = model.pretrained
    assert report.loaded == 150
    assert report.dropped == ("head.bias", "head.weight")
    assert (report.resized is not None) == resized
    assert report.sha256 == hashlib.sha256(file.read_bytes()).hexdigest()
    assert report.file == str(file)
    assert (model.mean, model.std) == ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


@pytest.mark.parametrize("kind", ["safetensors", "pth", "wrapped pth", "legacy pth", "npz"])
@pytest.mark.parametrize("architecture", ["small_vit", "small_hybrid"])
def test_every_format_loads_the_same_tensors(architecture, kind, tmp_path):
    source = source_model(architecture)
    if kind == "legacy pth":  # the format of DeiT's own files
        file = tmp_path / "weights.pth"
        torch.save({"model": source.state_dict()}, file, _use_new_zipfile_serialization=False)
    else:
        file = write(source, tmp_path / f"weights.{kind.split()[-1]}", wrapped="wrapped" in kind)
    loaded = build(architecture, file).backbone.vit.state_dict()
    expected = source.state_dict()
    assert set(loaded) == {name for name in expected if not name.startswith("head.")}
    for name, value in loaded.items():
        assert torch.equal(value, expected[name]), name


def test_what_is_drawn_behind_the_weights_does_not_depend_on_their_format(tmp_path):
    """Two people with one set of weights, one as .npz and one as .safetensors, train the same run."""
    source, heads = source_model("small_vit"), []
    for name in ("weights.safetensors", "weights.npz"):
        file = write(source, tmp_path / name)
        torch.manual_seed(5)
        heads.append(build("small_vit", file).sa_head.state_dict())
    assert heads[0].keys() == heads[1].keys()
    assert all(torch.equal(heads[0][name], heads[1][name]) for name in heads[0])


@pytest.mark.parametrize("size", [None, (128, 64), 96])
@pytest.mark.parametrize("kind", ["safetensors", "npz"])
@pytest.mark.parametrize("architecture", ["small_vit", "small_hybrid"])
def test_loading_at_another_input_size_equals_timms_own_loading(architecture, kind, size, tmp_path):
    """timm reads the same .safetensors by its own route; both resize the position embedding bicubically."""
    source = source_model(architecture)
    size = size or NATIVE[architecture]
    reference = timm.create_model(
        f"{architecture}.test",
        pretrained=True,
        pretrained_cfg_overlay={
            "file": str(write(source, tmp_path / "timm.safetensors")),
            "num_classes": 7,
            "custom_load": False,
        },
        num_classes=0,
        img_size=size,
    )
    model = build(architecture, write(source, tmp_path / f"ours.{kind}"), size).eval()
    for name, value in model.backbone.vit.state_dict().items():
        torch.testing.assert_close(value, reference.state_dict()[name], rtol=0, atol=1e-6)
    images = random_images(1, size)
    expected = reference.eval()(images)
    torch.testing.assert_close(model(images).sa.feature, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("size", [448, (256, 128)])
@pytest.mark.parametrize("tag", ["deit_tiny_patch16_224.fb_in1k", "vit_tiny_r_s16_p8_224.augreg_in21k"])
@torch.no_grad()
def test_the_papers_input_sizes_run(tag, size):
    model = dcal.build(
        tag, 5, image_size=size, weights="random", glca=dcal.GLCASettings(), pwca=dcal.PWCASettings()
    )
    outputs = model.train()(random_images(2, size))
    assert [branch.logits.shape for branch in outputs.branches().values()] == [(2, 5)] * 3
    assert all(branch.logits.isfinite().all() for branch in outputs.branches().values())


@pytest.mark.parametrize("blocks", [1, 2])
def test_glca_starts_as_a_copy_of_the_last_blocks_and_the_final_norm(blocks, tmp_path):
    file = write(source_model("small_vit"), tmp_path / "weights.safetensors")
    model = build("small_vit", file, glca=dcal.GLCASettings(blocks=blocks))
    last = model.backbone.blocks[12 - blocks :]
    for own, beside in (*zip(model.glca.blocks, last, strict=True), (model.glca.norm, model.backbone.norm)):
        for name, value in own.state_dict().items():
            assert torch.equal(value, beside.state_dict()[name]), name
            assert value.data_ptr() != beside.state_dict()[name].data_ptr(), f"{name} is shared"


def test_glca_blocks_with_random_initialisation_keep_no_pretrained_value(tmp_path):
    file = write(source_model("small_vit"), tmp_path / "weights.safetensors")
    model = build("small_vit", file, glca=dcal.GLCASettings(init="random"))
    for name, value in model.glca.blocks[0].state_dict().items():
        assert not torch.equal(value, model.backbone.blocks[11].state_dict()[name]), name
    assert model.glca.blocks[0].attn.qkv.weight.std().item() == pytest.approx(0.02, rel=0.1)
    assert model.glca.blocks[0].norm1.weight.eq(1).all()


def cached(home: Path, revision: str, seed: int) -> nn.Module:
    folder = home / "hub" / "models--timm--small_vit.test" / "snapshots" / revision
    folder.mkdir(parents=True)
    source = spread_out(timm.create_model("small_vit", num_classes=7), seed)
    write(source, folder / "model.safetensors")
    return source


@pytest.fixture
def hub(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    monkeypatch.delenv("HF_HUB_CACHE", raising=False)
    return tmp_path


def test_a_file_in_the_hubs_cache_is_used(hub):
    source = cached(hub, "0123abcd", seed=5)
    model = build("small_vit", "hub")
    assert torch.equal(model.backbone.blocks[4].attn.qkv.weight, source.blocks[4].attn.qkv.weight)
    assert "snapshots/0123abcd/model.safetensors" in model.pretrained.file


def test_hf_hub_cache_goes_before_hf_home(hub, monkeypatch):
    cached(hub, "0123abcd", seed=5)
    monkeypatch.setenv("HF_HUB_CACHE", str(hub / "elsewhere"))
    assert manifest.find_in_hub_cache("small_vit.test") is None


def test_of_several_cached_revisions_the_one_that_main_names_is_used(hub):
    source = cached(hub, "0123abcd", seed=5)
    cached(hub, "ffffffff", seed=6)
    refs = hub / "hub" / "models--timm--small_vit.test" / "refs"
    refs.mkdir()
    (refs / "main").write_text("0123abcd")
    model = build("small_vit", "hub")
    assert torch.equal(model.backbone.blocks[4].attn.qkv.weight, source.blocks[4].attn.qkv.weight)


def test_offline_with_nothing_cached_is_an_error_and_never_a_random_model(tmp_path):
    """In a process of its own: the hub's library reads the environment when it is imported."""
    code = (
        "import dcal\n"
        f"try: dcal.build({DEIT_TINY!r}, 5, image_size=224)\n"
        "except dcal.WeightsError as error: print(error)\n"
    )
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path)}
    environment.pop("HF_HUB_CACHE", None)
    root = Path(dcal.__file__).parents[1]
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=root, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    for part in (
        f"no weights of {DEIT_TINY}",
        "not in the hub's cache",
        f"timm/{DEIT_TINY}",
        "point WEIGHTS at",
    ):
        assert part in done.stdout


def test_glcas_final_norm_with_random_initialisation_keeps_no_pretrained_value(tmp_path):
    file = write(source_model("small_vit"), tmp_path / "weights.safetensors")
    model = build("small_vit", file, glca=dcal.GLCASettings(init="random"))
    assert model.glca.norm.weight.eq(1).all()
    assert model.glca.norm.bias.eq(0).all()


def test_the_report_of_an_npz_names_the_classifier_it_dropped(tmp_path):
    file = write(source_model("small_vit"), tmp_path / "weights.npz")
    assert build("small_vit", file).pretrained.dropped != ()
