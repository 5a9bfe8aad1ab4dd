"""NaN and infinite weights are refused by tensor and file, in every format, before anything is trained with them."""

import re

import numpy as np
import pytest
import safetensors.torch
import small_swin  # noqa: F401  registers it
import torch
from small_models import small_backbone, small_dcal
from weight_writers import authors_layout, build, google_layout, source_model

import dcal
from dcal.weights.load import load_pretrained
from dcal.weights.read import not_finite, read_state

TENSOR = "blocks.3.attn.proj.weight"
ARRAY = "Transformer/encoderblock_3/MultiHeadDotProductAttention_1/out/kernel"
FORMATS = ["safetensors", "pth", "legacy pth", "npz"]


def changed(name, value):
    state = source_model("small_vit").state_dict()
    state[name] = state[name].clone()
    state[name].view(-1)[5] = value
    return state


def save(state, folder, kind):
    file = folder / f"weights.{kind.split()[-1]}"
    if kind == "npz":
        model = source_model("small_vit")
        model.load_state_dict(state)
        np.savez(file, **google_layout(model))
    elif kind == "safetensors":
        safetensors.torch.save_file(state, file)
    else:
        torch.save({"model": state}, file, _use_new_zipfile_serialization="legacy" not in kind)
    return file


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("kind", FORMATS)
def test_a_file_with_one_such_value_is_refused_by_name(kind, value, tmp_path):
    file = save(changed(TENSOR, value), tmp_path, kind)
    shown = f"{ARRAY if kind == 'npz' else TENSOR} ({'NaN' if value != value else 'infinite'})"
    model = small_backbone()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with pytest.raises(dcal.WeightsError) as error:
        load_pretrained(model, file)
    assert str(error.value).startswith(
        f"{file} holds values that are no numbers: {shown}. Nothing was loaded"
    )
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert not_finite(read_state(file)) == shown


@pytest.mark.parametrize("kind", FORMATS)
def test_sound_files_have_none(kind, tmp_path):
    assert not_finite(read_state(save(source_model("small_vit").state_dict(), tmp_path, kind))) == ""


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("kind", ["safetensors", "pth"])
def test_every_floating_point_type_is_looked_at(kind, dtype, tmp_path):
    state = {name: tensor.to(dtype) for name, tensor in changed(TENSOR, float("nan")).items()}
    file = save(state, tmp_path, kind)
    assert not_finite(read_state(file)) == f"{TENSOR} (NaN)"
    with pytest.raises(dcal.WeightsError, match=re.escape(f"{TENSOR} (NaN)")):
        build("small_vit", file)
    assert not_finite(read_state(save({"a": torch.ones(3, dtype=dtype)}, tmp_path, kind))) == ""


def test_an_overflow_of_half_precision_is_called_one(tmp_path):
    state = {name: tensor.half() for name, tensor in changed(TENSOR, 1e6).items()}
    words = f"{TENSOR} (infinite in float16, which holds at most 65,504)"
    file = save(state, tmp_path, "safetensors")
    assert not_finite(read_state(file)) == words
    with pytest.raises(dcal.WeightsError, match=re.escape(words)):
        build("small_vit", file)


def test_a_value_too_large_for_the_model_is_refused(tmp_path):
    state = {name: tensor.double() for name, tensor in source_model("small_vit").state_dict().items()}
    state[TENSOR][0, 0] = 1e300
    file = save(state, tmp_path, "safetensors")
    with pytest.raises(
        dcal.WeightsError, match=re.escape(f"holds values that the model cannot: {TENSOR} (infinite)")
    ):
        build("small_vit", file)


def test_many_are_counted(tmp_path):
    state = {
        name: torch.full_like(t, float("nan")) for name, t in source_model("small_vit").state_dict().items()
    }
    file = save(state, tmp_path, "safetensors")
    with pytest.raises(dcal.WeightsError, match=rf"and {len(state) - 6} more\. Nothing was loaded"):
        build("small_vit", file)


def test_the_classifier_that_is_not_loaded_counts_too(tmp_path):
    with pytest.raises(dcal.WeightsError, match=re.escape("head.bias (NaN)")):
        build("small_vit", save(changed("head.bias", float("nan")), tmp_path, "pth"))


def test_an_attention_mask_may_be_infinite(tmp_path):
    state = authors_layout(source_model("small_swin"))["model"]
    masks = [name for name in state if name.endswith("attn_mask")]
    for name in masks:
        state[name] = state[name].masked_fill(state[name] < 0, float("-inf"))
    assert any(torch.isinf(state[name]).any() for name in masks)
    file = save(state, tmp_path, "pth")
    assert not_finite(read_state(file)) == ""
    build("small_swin", file, size=32)


def test_whole_numbers_are_called_a_quantised_copy(tmp_path):
    state = source_model("small_vit").state_dict()
    state[TENSOR] = state[TENSOR].to(torch.int8)
    with pytest.raises(dcal.WeightsError, match=f"not a quantised copy: {TENSOR} is int8"):
        build("small_vit", save(state, tmp_path, "safetensors"))


def test_an_empty_tensor_is_named_with_its_shape(tmp_path):
    state = source_model("small_vit").state_dict() | {TENSOR: torch.zeros(0, 48)}
    with pytest.raises(dcal.WeightsError, match=re.escape(f"{TENSOR} (0, 48) instead of (48, 48)")):
        build("small_vit", save(state, tmp_path, "safetensors"))


def test_a_model_with_such_values_is_neither_saved_nor_loaded(tmp_path, monkeypatch):
    model = small_dcal()
    name = "sa_head.classifier.weight"
    with torch.no_grad():
        model.sa_head.classifier.weight[0, 0] = float("inf")
    path = tmp_path / "bird.safetensors"
    with pytest.raises(ValueError, match=re.escape(f"{name} (infinite)")):
        dcal.save(model, path)
    assert not path.exists()
    with monkeypatch.context() as patched:  # as versions before wrote it
        patched.setattr("dcal.saving.not_finite", lambda state: "")
        dcal.save(model, path)
    with pytest.raises(
        dcal.WeightsError, match=re.escape(f"{path}: it holds values that are no numbers: {name}")
    ):
        dcal.load(path)
