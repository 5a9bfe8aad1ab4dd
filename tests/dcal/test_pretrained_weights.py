"""Pretrained weights arrive in the model unchanged, from every format, or not at all."""

import hashlib
import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import timm
import torch
from small_models import NATIVE, random_images, small_backbone, spread_out
from timm.layers import resample_abs_pos_embed
from torch import nn

import dcal
from dcal import weight_files
from dcal.weights import load_pretrained

DEIT_TINY = "deit_tiny_patch16_224.fb_in1k"
FAMILY = {"small_vit": "deit_tiny", "small_hybrid": "r50_vit_base"}


# ---- files to load ----------------------------------------------------------------------------------------


def source_model(architecture: str) -> nn.Module:
    """A timm model with a classifier of 7, as published files have one; every weight is visible."""
    return spread_out(timm.create_model(architecture, num_classes=7), seed=3)


def google_layout(model: nn.Module) -> dict[str, np.ndarray]:
    """A timm ViT's tensors under the names and axes of Google's JAX files, written from their published layout:
    matrices as (in, out), convolutions as (h, w, in, out), attention with an axis of heads."""
    state = {name: value.detach().numpy() for name, value in model.state_dict().items()}
    heads = model.blocks[0].attn.num_heads
    width = model.embed_dim
    d = width // heads
    arrays = {
        "cls": state["cls_token"],
        "Transformer/posembed_input/pos_embedding": state["pos_embed"],
        "embedding/kernel": state["patch_embed.proj.weight"].transpose(2, 3, 1, 0),
        "embedding/bias": state["patch_embed.proj.bias"],
        "Transformer/encoder_norm/scale": state["norm.weight"],
        "Transformer/encoder_norm/bias": state["norm.bias"],
        "head/kernel": state["head.weight"].T,
        "head/bias": state["head.bias"],
    }
    for i in range(len(model.blocks)):
        block, target = f"blocks.{i}", f"Transformer/encoderblock_{i}"
        attention = f"{target}/MultiHeadDotProductAttention_1"
        for j, name in enumerate(("query", "key", "value")):
            weight = state[f"{block}.attn.qkv.weight"][j * width : (j + 1) * width]
            bias = state[f"{block}.attn.qkv.bias"][j * width : (j + 1) * width]
            arrays[f"{attention}/{name}/kernel"] = weight.T.reshape(width, heads, d)
            arrays[f"{attention}/{name}/bias"] = bias.reshape(heads, d)
        arrays[f"{attention}/out/kernel"] = state[f"{block}.attn.proj.weight"].T.reshape(heads, d, width)
        arrays[f"{attention}/out/bias"] = state[f"{block}.attn.proj.bias"]
        for theirs, ours in (("LayerNorm_0", "norm1"), ("LayerNorm_2", "norm2")):
            arrays[f"{target}/{theirs}/scale"] = state[f"{block}.{ours}.weight"]
            arrays[f"{target}/{theirs}/bias"] = state[f"{block}.{ours}.bias"]
        for r in (0, 1):
            arrays[f"{target}/MlpBlock_3/Dense_{r}/kernel"] = state[f"{block}.mlp.fc{r + 1}.weight"].T
            arrays[f"{target}/MlpBlock_3/Dense_{r}/bias"] = state[f"{block}.mlp.fc{r + 1}.bias"]
    stem = "patch_embed.backbone"
    if f"{stem}.stem.conv.weight" in state:
        arrays["conv_root/kernel"] = state[f"{stem}.stem.conv.weight"].transpose(2, 3, 1, 0)
        arrays["gn_root/scale"] = state[f"{stem}.stem.norm.weight"].reshape(1, 1, 1, -1)
        arrays["gn_root/bias"] = state[f"{stem}.stem.norm.bias"].reshape(1, 1, 1, -1)
        for i, stage in enumerate(model.patch_embed.backbone.stages):
            for j, block in enumerate(stage.blocks):
                ours, theirs = f"{stem}.stages.{i}.blocks.{j}", f"block{i + 1}/unit{j + 1}"
                parts = [(f"conv{r}", f"norm{r}", f"conv{r}", f"gn{r}") for r in (1, 2, 3)]
                if block.downsample is not None:
                    parts.append(("downsample.conv", "downsample.norm", "conv_proj", "gn_proj"))
                for conv, norm, their_conv, their_norm in parts:
                    kernel = state[f"{ours}.{conv}.weight"].transpose(2, 3, 1, 0)
                    arrays[f"{theirs}/{their_conv}/kernel"] = kernel
                    arrays[f"{theirs}/{their_norm}/scale"] = state[f"{ours}.{norm}.weight"].reshape(
                        1, 1, 1, -1
                    )
                    arrays[f"{theirs}/{their_norm}/bias"] = state[f"{ours}.{norm}.bias"].reshape(1, 1, 1, -1)
    return arrays


def write(model: nn.Module, file: Path, wrapped: bool = False) -> Path:
    if file.suffix == ".safetensors":
        safetensors.torch.save_file(model.state_dict(), file)
    elif file.suffix == ".npz":
        np.savez(file, **google_layout(model))
    else:
        torch.save({"model": model.state_dict()} if wrapped else model.state_dict(), file)
    return file


def build(architecture: str, weights: str | Path, size=None, **settings) -> dcal.DCAL:
    size = size or NATIVE[architecture]
    return dcal.build(f"{architecture}.test", 5, image_size=size, weights=weights, **settings)


# ---- unchanged --------------------------------------------------------------------------------------------


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


# ---- refused ----------------------------------------------------------------------------------------------


class Payload:
    """Would leave a trace if it were unpickled."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self):
        return Path.touch, (self.trace,)


def test_a_file_with_pickled_objects_is_refused_and_runs_nothing(tmp_path):
    file, trace = tmp_path / "weights.pth", tmp_path / "trace"
    torch.save({"model": source_model("small_vit").state_dict(), "config": Payload(trace)}, file)
    with pytest.raises(dcal.WeightsError, match="pickled objects"):
        build("small_vit", file)
    assert not trace.exists()
    file.write_bytes(pickle.dumps(Payload(trace), protocol=2))
    with pytest.raises(dcal.WeightsError):
        build("small_vit", file)
    assert not trace.exists()


def test_a_missing_file_is_named_with_what_was_expected(tmp_path):
    with pytest.raises(
        dcal.WeightsError, match=r"no weights at .*absent\.pth: expected the file of small_vit\.test"
    ):
        build("small_vit", tmp_path / "absent.pth")


def test_a_folder_without_the_file_is_named_with_the_names_looked_for(tmp_path):
    with pytest.raises(dcal.WeightsError) as error:
        build("small_vit", tmp_path)
    for part in (str(tmp_path), "small_vit.test.safetensors", "small_vit.test.npz", "timm/small_vit.test"):
        assert part in str(error.value)


@pytest.mark.parametrize("suffix", ["safetensors", "pth", "npz"])
@pytest.mark.parametrize("kept", [0, 0.3, 0.98])
def test_a_truncated_file_is_refused_with_its_size(suffix, kept, tmp_path):
    file = write(source_model("small_vit"), tmp_path / f"weights.{suffix}")
    content = file.read_bytes()[: int(kept * file.stat().st_size)]
    file.write_bytes(content)
    with pytest.raises(dcal.WeightsError) as error:
        build("small_vit", file)
    for part in (str(file), f"{len(content):,} bytes", f".{suffix}"):
        assert part in str(error.value)


@pytest.mark.parametrize("suffix", ["safetensors", "pth"])
def test_a_file_of_a_wider_architecture_is_refused_with_both_shapes(suffix, tmp_path):
    file = write(small_backbone("deit_small", num_classes=7), tmp_path / f"weights.{suffix}")
    with pytest.raises(dcal.WeightsError) as error:
        build("small_vit", file)
    for part in (str(file), "not a file of small_vit", "(96,) instead of (48,)", "Nothing was loaded"):
        assert part in str(error.value)


def test_an_npz_of_a_wider_architecture_is_refused(tmp_path):
    file = write(small_backbone("deit_small", num_classes=7), tmp_path / "weights.npz")
    with pytest.raises(dcal.WeightsError, match=r"weights\.npz"):
        build("small_vit", file)


@pytest.mark.parametrize("suffix", ["safetensors", "pth"])
def test_a_deeper_or_shallower_file_is_refused_with_the_blocks_named(suffix, tmp_path):
    deeper = write(small_backbone(depth=13), tmp_path / f"deeper.{suffix}")
    with pytest.raises(dcal.WeightsError, match=r"it has blocks\.12\..*which the model has not"):
        build("small_vit", deeper)
    shallower = write(small_backbone(depth=11), tmp_path / f"shallower.{suffix}")
    with pytest.raises(dcal.WeightsError, match=r"it lacks blocks\.11\."):
        build("small_vit", shallower)


@pytest.mark.parametrize(
    "name", ["blocks.3.mlp.fc1.weight", "pos_embed", "cls_token", "patch_embed.proj.weight"]
)
def test_a_file_without_one_tensor_is_refused_with_its_name(name, tmp_path):
    state = source_model("small_vit").state_dict()
    del state[name]
    file = tmp_path / "weights.safetensors"
    safetensors.torch.save_file(state, file)
    with pytest.raises(dcal.WeightsError, match=f"it lacks {name}"):
        build("small_vit", file)


def test_an_npz_without_one_array_is_refused_with_its_name(tmp_path):
    arrays = google_layout(source_model("small_vit"))
    name = "Transformer/encoderblock_3/MlpBlock_3/Dense_0/kernel"
    del arrays[name]
    np.savez(tmp_path / "weights.npz", **arrays)
    with pytest.raises(dcal.WeightsError, match=name):
        build("small_vit", tmp_path / "weights.npz")


def test_a_refused_file_leaves_the_model_as_it_was(tmp_path):
    state = source_model("small_vit").state_dict()
    del state["norm.bias"]
    safetensors.torch.save_file(state, tmp_path / "weights.safetensors")
    model = small_backbone()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(dcal.WeightsError):
        load_pretrained(model, tmp_path / "weights.safetensors")
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name]), name


def test_a_file_that_holds_no_tensors_by_name_is_refused(tmp_path):
    torch.save([1, 2, 3], tmp_path / "weights.pth")
    with pytest.raises(dcal.WeightsError, match="expected tensors by name"):
        build("small_vit", tmp_path / "weights.pth")


def test_an_unknown_tag_is_refused_with_its_nearest_names():
    with pytest.raises(ValueError, match=r"no model 'deit_tny_patch16_224'; nearest: deit_tiny_patch16_224"):
        dcal.build("deit_tny_patch16_224", 5, image_size=224, weights="random")


# ---- the hub's cache --------------------------------------------------------------------------------------


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
    assert weight_files.find_in_hub_cache("small_vit.test") is None


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


# ---- found wanting ----------------------------------------------------------------------------------------


def test_glcas_final_norm_with_random_initialisation_keeps_no_pretrained_value(tmp_path):
    file = write(source_model("small_vit"), tmp_path / "weights.safetensors")
    model = build("small_vit", file, glca=dcal.GLCASettings(init="random"))
    assert model.glca.norm.weight.eq(1).all()
    assert model.glca.norm.bias.eq(0).all()


def test_a_distilled_file_is_refused_by_name(tmp_path):
    """One more prefix token: TransReID's DeiT files are such files, so this will happen."""
    state = timm.create_model("small_vit", num_classes=7, img_size=40).state_dict()
    state["pos_embed"] = torch.cat([state["pos_embed"][:, :1], state["pos_embed"]], dim=1)
    state["dist_token"] = state["cls_token"].clone()
    safetensors.torch.save_file(state, tmp_path / "weights.safetensors")
    with pytest.raises(dcal.WeightsError, match=r"weights\.safetensors"):
        build("small_vit", tmp_path / "weights.safetensors")


@pytest.mark.parametrize("suffix", ["safetensors", "npz"])
def test_a_file_with_another_patch_size_is_refused(suffix, tmp_path):
    """ViT-B/32's file has ViT-B/16's names and widths."""
    file = write(small_backbone(patch_size=16, num_classes=7), tmp_path / f"weights.{suffix}")
    with pytest.raises(dcal.WeightsError):
        build("small_vit", file)


def test_a_deeper_npz_is_refused(tmp_path):
    file = write(small_backbone(depth=13, num_classes=7), tmp_path / "weights.npz")
    with pytest.raises(dcal.WeightsError):
        build("small_vit", file)


def test_the_report_of_an_npz_names_the_classifier_it_dropped(tmp_path):
    file = write(source_model("small_vit"), tmp_path / "weights.npz")
    assert build("small_vit", file).pretrained.dropped != ()


def test_a_web_page_saved_as_pth_is_called_unreadable(tmp_path):
    file = tmp_path / "weights.pth"
    file.write_text("<html><body>404: not found</body></html>")
    with pytest.raises(dcal.WeightsError, match="cannot be read"):
        build("small_vit", file)
