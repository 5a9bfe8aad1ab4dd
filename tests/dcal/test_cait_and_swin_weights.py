"""CaiT's and Swin's published files load as timm itself loads them; other files are refused."""

from pathlib import Path

import pytest
import safetensors.torch
import timm
import torch
from small_models import random_images, spread_out
from timm.models import build_model_with_cfg, generate_default_cfgs, register_model
from timm.models.cait import Cait
from timm.models.cait import checkpoint_filter_fn as cait_filter
from timm.models.swin_transformer import SwinTransformer
from timm.models.swin_transformer import checkpoint_filter_fn as swin_filter
from torch import nn
from torch.nn import functional as F
from weight_writers import authors_layout, google_layout, source_model, write

from dcal import WeightsError
from dcal.weights import manifest
from dcal.weights.load import load_pretrained

COMMON = {"hf_hub_id": "timm/", "num_classes": 0, "input_size": (3, 32, 32), "first_conv": "patch_embed.proj"}
default_cfgs = generate_default_cfgs(
    {
        "loaded_cait.test": COMMON | {"classifier": "head"},
        "loaded_swin.test": COMMON | {"classifier": "head.fc"},
    }
)


@register_model
def loaded_cait(pretrained: bool = False, **kwargs) -> Cait:
    arguments = {"img_size": 32, "patch_size": 8, "embed_dim": 32, "num_heads": 2, "depth": 3} | kwargs
    return build_model_with_cfg(
        Cait, "loaded_cait", pretrained, pretrained_filter_fn=cait_filter, **arguments
    )


@register_model
def loaded_swin(pretrained: bool = False, **kwargs) -> SwinTransformer:
    """Feature maps of 16, 8 and 4 tokens a side, windows of 4."""
    arguments = {"img_size": 32, "patch_size": 2, "window_size": 4, "embed_dim": 16} | kwargs
    arguments = {"depths": (2, 2, 2), "num_heads": (2, 2, 4)} | arguments
    return build_model_with_cfg(
        SwinTransformer, "loaded_swin", pretrained, pretrained_filter_fn=swin_filter, **arguments
    )


BOTH = ["loaded_cait", "loaded_swin"]


def empty(architecture: str, size=32) -> nn.Module:
    return timm.create_model(f"{architecture}.test", num_classes=0, img_size=size)


def written(architecture: str, folder: Path, layout: str = "safetensors") -> Path:
    source = source_model(architecture)
    if layout != "authors":
        return write(source, folder / f"weights.{layout.split()[-1]}", wrapped="wrapped" in layout)
    torch.save(authors_layout(source), folder / "weights.pth")
    return folder / "weights.pth"


def timms_own(architecture: str, file: Path, size=32) -> nn.Module:
    overlay = {"file": str(file), "num_classes": 7}
    return timm.create_model(
        f"{architecture}.test", pretrained=True, pretrained_cfg_overlay=overlay, num_classes=0, img_size=size
    )


def assert_same(found: nn.Module, expected: nn.Module) -> None:
    theirs = expected.state_dict()
    assert set(found.state_dict()) == set(theirs)
    for name, value in found.state_dict().items():
        assert torch.equal(value, theirs[name]), name


@pytest.mark.parametrize("layout", ["safetensors", "pth", "wrapped pth", "authors"])
@pytest.mark.parametrize("architecture", BOTH)
def test_every_layout_of_a_file_loads_as_timm_loads_it(architecture, layout, tmp_path):
    file = written(architecture, tmp_path, layout)
    model = empty(architecture)
    report = load_pretrained(model, file)
    assert_same(model, timms_own(architecture, file))
    assert report.loaded == len(model.state_dict())
    assert report.resized is None
    images = random_images(2)
    source = source_model(architecture)
    source.reset_classifier(0)
    torch.testing.assert_close(model.eval()(images), source.eval()(images), rtol=0, atol=0)


@pytest.mark.parametrize(("size", "resized"), [(64, False), ((32, 16), True), ((64, 16), True)])
@pytest.mark.parametrize("layout", ["safetensors", "authors"])
def test_swin_at_other_sizes_loads_as_timm_loads_it(layout, size, resized, tmp_path):
    """A bias table is resized where the feature map is narrower than the window, as Swin-T's last stage at 256x128."""
    file = written("loaded_swin", tmp_path, layout)
    model = empty("loaded_swin", size)
    report = load_pretrained(model, file)
    assert_same(model, timms_own("loaded_swin", file, size))
    if resized:
        assert report.resized == ((49, 4), (21, 4))  # a window of 4 x 4, then of 4 x 2
        assert report.resized_names == tuple(
            f"layers.2.blocks.{block}.attn.relative_position_bias_table" for block in (0, 1)
        )
        assert "relative_position_bias_table" in str(report)
    else:
        assert report.resized is None


def test_a_narrower_window_keeps_each_offsets_bias(tmp_path):
    """timm interpolates on a grid that is finest at offset 0; what comes out is nearly the middle of the table."""
    state = source_model("loaded_swin").state_dict()
    rows, columns = torch.meshgrid(torch.arange(-3.0, 4), torch.arange(-3.0, 4), indexing="ij")
    name = "layers.2.blocks.0.attn.relative_position_bias_table"
    state[name] = (rows + 10 * columns).reshape(49, 1).repeat(1, 4)
    safetensors.torch.save_file(state, tmp_path / "weights.safetensors")
    model = empty("loaded_swin", (32, 16))
    load_pretrained(model, tmp_path / "weights.safetensors")
    middle = (rows + 10 * columns)[:, 2:5].reshape(21, 1).repeat(1, 4)
    torch.testing.assert_close(model.state_dict()[name], middle, rtol=0, atol=0.1)


@pytest.mark.parametrize("size", [48, (64, 32)])
@pytest.mark.parametrize("layout", ["safetensors", "authors"])
def test_caits_position_embedding_is_resized_bicubically_without_a_place_for_the_class_token(
    layout, size, tmp_path
):
    """timm itself cannot load CaiT at another size: its filter leaves the position embedding alone."""
    file = written("loaded_cait", tmp_path, layout)
    model, source = empty("loaded_cait", size), source_model("loaded_cait").state_dict()
    report = load_pretrained(model, file)
    rows, columns = (size // 8, size // 8) if isinstance(size, int) else (size[0] // 8, size[1] // 8)
    grid = source["pos_embed"].reshape(1, 4, 4, 32).permute(0, 3, 1, 2)
    expected = F.interpolate(grid, size=(rows, columns), mode="bicubic", antialias=True, align_corners=False)
    expected = expected.permute(0, 2, 3, 1).reshape(1, rows * columns, 32)
    for name, value in model.state_dict().items():
        if name == "pos_embed":
            torch.testing.assert_close(value, expected, rtol=0, atol=1e-6)
        else:
            assert torch.equal(value, source[name]), name
    assert report.resized == ((1, 16, 32), (1, rows * columns, 32))
    assert report.resized_names == ("pos_embed",)


@pytest.mark.parametrize(
    ("architecture", "layout", "names"),
    [
        ("loaded_cait", "authors", ("head.bias", "head.weight")),
        ("loaded_swin", "safetensors", ("head.fc.bias", "head.fc.weight")),
        ("loaded_swin", "authors", ("head.bias", "head.weight")),
    ],
)
def test_the_classifier_that_is_dropped_is_named(architecture, layout, names, tmp_path):
    assert load_pretrained(empty(architecture), written(architecture, tmp_path, layout)).dropped == names


def refused(architecture: str, file: Path) -> str:
    """The error's text; the model must be as it was."""
    model = empty(architecture)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(WeightsError) as error:
        load_pretrained(model, file)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    return str(error.value)


@pytest.mark.parametrize("architecture", BOTH)
@pytest.mark.parametrize("other", ["loaded_cait", "loaded_swin", "small_vit"])
def test_a_file_of_another_family_is_refused(architecture, other, tmp_path):
    if other == architecture:
        other = "small_hybrid"
    text = refused(architecture, write(source_model(other), tmp_path / "weights.safetensors"))
    assert f"not a file of {architecture}" in text
    assert "it lacks" in text


@pytest.mark.parametrize(
    ("architecture", "name"),
    [
        ("loaded_cait", "pos_embed"),
        ("loaded_cait", "blocks.1.attn.proj_w.weight"),
        ("loaded_cait", "blocks_token_only.1.gamma_2"),
        ("loaded_swin", "layers.2.blocks.1.attn.relative_position_bias_table"),
        ("loaded_swin", "layers.1.downsample.reduction.weight"),
        ("loaded_swin", "norm.bias"),
    ],
)
def test_one_tensor_too_few_or_too_many_is_refused_with_its_name(architecture, name, tmp_path):
    state = source_model(architecture).state_dict()
    file = tmp_path / "weights.safetensors"
    safetensors.torch.save_file(state | {f"{name}_too": state[name].clone()}, file)
    assert f"it has {name}_too, which the model has not" in refused(architecture, file)
    del state[name]
    safetensors.torch.save_file(state, file)
    assert f"it lacks {name}" in refused(architecture, file)


@pytest.mark.parametrize("architecture", BOTH)
def test_a_truncated_file_is_refused(architecture, tmp_path):
    file = written(architecture, tmp_path, "authors")
    file.write_bytes(file.read_bytes()[:-1000])
    assert "cannot be read" in refused(architecture, file)


def test_swins_file_of_another_window_is_refused(tmp_path):
    """Swin-S3-T's file has Swin-T's names and widths; only the bias tables of one stage differ."""
    other = spread_out(timm.create_model("loaded_swin", num_classes=7, window_size=(4, 8, 4)))
    text = refused("loaded_swin", write(other, tmp_path / "weights.safetensors"))
    assert "layers.1.blocks.0.attn.relative_position_bias_table (225, 2) instead of (49, 2)" in text


def test_caits_file_of_another_input_size_is_refused(tmp_path):
    """CaiT-S24 at 224 and at 384 differ in nothing else."""
    other = spread_out(timm.create_model("loaded_cait", num_classes=7, img_size=48))
    text = refused("loaded_cait", write(other, tmp_path / "weights.safetensors"))
    assert "pos_embed (1, 36, 32) instead of (1, 16, 32)" in text


@pytest.mark.parametrize("architecture", BOTH)
def test_googles_layout_is_refused_for_a_family_that_was_never_published_in_it(architecture, tmp_path):
    import numpy as np

    np.savez(tmp_path / "weights.npz", **google_layout(source_model("small_vit")))
    assert "an .npz holds a ViT" in refused(architecture, tmp_path / "weights.npz")


@pytest.mark.parametrize(
    ("tag", "name"),
    [
        ("cait_xs24_384.fb_dist_in1k", "XS24_384.pth"),
        ("swin_tiny_patch4_window7_224.ms_in1k", "swin_tiny_patch4_window7_224.pth"),
    ],
)
def test_the_authors_file_names_are_found(tag, name, tmp_path):
    (tmp_path / name).touch()
    assert manifest.find_in_folder(tag, tmp_path) == tmp_path / name
