"""A file that is not this model's weights is refused with its name and the reason, and nothing is loaded."""

import pickle
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import timm
import torch
from small_models import small_backbone
from weight_writers import build, google_layout, source_model, write

import dcal
from dcal.weights.load import load_pretrained


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
    with pytest.raises(dcal.WeightsError, match="no tensors by name: expected a state_dict"):
        build("small_vit", tmp_path / "weights.pth")


def test_an_unknown_tag_is_refused_with_its_nearest_names():
    with pytest.raises(ValueError, match=r"no model 'deit_tny_patch16_224'; nearest: deit_tiny_patch16_224"):
        dcal.build("deit_tny_patch16_224", 5, image_size=224, weights="random")


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


def test_a_web_page_saved_as_pth_is_called_unreadable(tmp_path):
    file = tmp_path / "weights.pth"
    file.write_text("<html><body>404: not found</body></html>")
    with pytest.raises(dcal.WeightsError, match="cannot be read"):
        build("small_vit", file)
