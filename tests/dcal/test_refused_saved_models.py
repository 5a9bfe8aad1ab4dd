"""Files that are no saved model, or not the one that was saved, are refused with what is wrong."""

import hashlib
import json

import pytest
import safetensors
import safetensors.torch
import torch
from saved_families import glca
from small_models import small_backbone, small_dcal

import dcal


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    path = tmp_path_factory.mktemp("saved") / "bird.safetensors"
    dcal.save(
        small_dcal(glca=glca(select="attention", readout="mean"), pwca=dcal.PWCASettings(stream="figure")),
        path,
    )
    return path


def written_anew(whole, path, change, *, honest=True):
    """The file with ``change(header, tensors)`` made; honest: digests are those of the changed content."""
    with safetensors.safe_open(whole, framework="pt") as opened:
        header = json.loads(opened.metadata()["dcal"])
    tensors = safetensors.torch.load_file(whole)
    change(header, tensors)
    if honest:
        text = json.dumps(header["model"], sort_keys=True, separators=(",", ":"))
        header["model_sha256"] = hashlib.sha256(text.encode()).hexdigest()
        header["weights_sha256"] = digest(tensors)
    safetensors.torch.save_file(tensors, path, {"dcal": json.dumps(header)})
    return path


def digest(tensors):
    found = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        found.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        found.update(tensor.numpy().tobytes())
    return found.hexdigest()


def test_a_file_written_anew_without_a_change_is_read(whole, tmp_path):
    again = dcal.load(written_anew(whole, tmp_path / "same.safetensors", lambda header, tensors: None))
    assert again.glca.settings == glca(select="attention", readout="mean")
    assert again.pwca == dcal.PWCASettings(stream="figure")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (
            lambda data: data[: len(data) // 2],
            r"bird.safetensors is truncated: [\d,]+ bytes, expected [\d,]+",
        ),
        (lambda data: data[:5], "no .safetensors"),
        (lambda data: b"", "is empty"),
        (
            lambda data: data[:-40] + bytes([data[-40] ^ 1]) + data[-39:],
            "tensors are not those that were written",
        ),
    ],
    ids=["half", "5 bytes", "empty", "a flipped bit"],
)
def test_a_damaged_file_is_refused(whole, tmp_path, content, said):
    path = tmp_path / "bird.safetensors"
    path.write_bytes(content(whole.read_bytes()))
    with pytest.raises(dcal.WeightsError, match=said):
        dcal.load(path)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(dcal.WeightsError, match=r"none.safetensors: no such file"):
        dcal.load(tmp_path / "none.safetensors")


def test_timms_own_weights_are_no_saved_model(tmp_path):
    path = tmp_path / "deit.safetensors"
    safetensors.torch.save_file(small_backbone().state_dict(), path, {"format": "pt"})
    with pytest.raises(dcal.WeightsError, match=r"no model that dcal.save wrote.*dcal.build\(weights=…\)"):
        dcal.load(path)


def test_a_setting_changed_by_hand_is_noticed(whole, tmp_path):
    def change(header, tensors):
        header["model"]["glca"]["ratio"] = 0.5

    path = written_anew(whole, tmp_path / "changed.safetensors", change, honest=False)
    with pytest.raises(dcal.WeightsError, match="configuration is not the one that was written"):
        dcal.load(path)


CHANGES = {
    "newer format": (
        lambda header, tensors: header.update(format=2),
        "is of format 2, this dcal reads 1: update dcal",
    ),
    "no model": (lambda header, tensors: header.update(model={}), "configuration cannot be used.*missing"),
    "unknown field": (
        lambda header, tensors: header["model"].update(registers=4),
        "its configuration has registers, which this version of dcal does not know: update dcal",
    ),
    "unknown setting": (
        lambda header, tensors: header["model"]["glca"].update(keys_of="all"),
        "its GLCA settings has keys_of, which this version of dcal does not know: update dcal",
    ),
    "unknown choice": (
        lambda header, tensors: header["model"]["pwca"].update(stream="third"),
        "its PWCA settings cannot be used: stream is 'third': expected one of own, figure",
    ),
    "timm model of nobody's": (
        lambda header, tensors: header["model"].update(tag="my_vit.birds", registered_by="my.models"),
        "it is a my_vit.birds, which timm .* does not know: my.models registers it, import that module first",
    ),
    "timm weights of nobody's": (
        lambda header, tensors: header["model"].update(tag="small_vit.tets"),
        "timm has no model 'small_vit.tets'; nearest: small_vit.test",
    ),
    "names of too few classes": (
        lambda header, tensors: header["model"].update(class_names=["crow"]),
        "1 class names for 5 classes",
    ),
    "a value of another kind": (
        lambda header, tensors: header["model"].update(mean=[0.5, 0.5]),
        r"mean is \(0.5, 0.5\): expected tuple\[float, float, float\]",
    ),
    "a dtype of no weights": (
        lambda header, tensors: header["model"].update(dtype="int64"),
        "its dtype is int64: expected one that torch has for weights",
    ),
    "an impossible size": (
        lambda header, tensors: header["model"].update(image_size=[32, -32]),
        "no model can be built from its configuration: Trying to create tensor with negative dimension",
    ),
    "missing tensor": (
        lambda header, tensors: tensors.pop("glca.norm.weight"),
        "does not fit its own configuration: it lacks glca.norm.weight",
    ),
    "unexpected tensor": (
        lambda header, tensors: tensors.update(w=torch.zeros(3)),
        "it has w, which it should not",
    ),
    "other shape": (
        lambda header, tensors: header["model"].update(image_size=[64, 64]),
        r"it has backbone.vit.pos_embed of shape \(1, 17, 48\) instead of \(1, 65, 48\)",
    ),
    "other dtype": (
        lambda header, tensors: tensors.update({"glca.norm.bias": torch.zeros(48, dtype=torch.float64)}),
        "it has glca.norm.bias in float64 instead of float32",
    ),
}


@pytest.mark.parametrize(("change", "said"), CHANGES.values(), ids=CHANGES)
def test_a_file_that_does_not_fit_is_refused(whole, tmp_path, change, said):
    path = written_anew(whole, tmp_path / "other.safetensors", change)
    with pytest.raises(dcal.WeightsError, match=said):
        dcal.load(path)


def test_a_setting_that_came_after_the_file_takes_its_default(whole, tmp_path):
    def older(header, tensors):
        del header["model"]["glca"]["select"], header["model"]["pwca"]["stream"]

    loaded = dcal.load(written_anew(whole, tmp_path / "older.safetensors", older))
    assert loaded.glca.settings == glca(select="rollout", readout="mean")
    assert loaded.pwca == dcal.PWCASettings(stream="own")
