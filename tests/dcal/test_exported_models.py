"""Exported models give the model's outputs, for any batch size, and what cannot be exported is refused."""

import json
import sys
from types import SimpleNamespace

import pytest
import timm
import torch
from saved_families import glca, with_moved_statistics
from small_cait import visible
from small_models import random_images, small_backbone, small_dcal

import dcal
from dcal import attention_rollout, export
from dcal.backbones import make_adapter
from dcal.model import DCAL, class_scores, retrieval_features

BATCHES = (1, 2, 5)


def shallow(name, **arguments):
    """A headless timm model of few blocks: what is exported does not depend on how many there are."""
    return timm.create_model(name, num_classes=0, **arguments)


def model_of(backbone, **arguments):
    return with_moved_statistics(visible(DCAL(make_adapter(backbone), 5, **arguments))).eval()


def vit(**arguments):
    return model_of(small_backbone(depth=3, img_size=(32, 64)), **arguments)


# name → (model, input size, what its outputs are)
EXPORTED = {
    "hybrid with GLCA, bnneck": (
        lambda: model_of(shallow("small_hybrid", depth=2), glca=glca(readout="mean"), head="bnneck"),
        64,
        retrieval_features,
    ),
    "cait with GLCA": (
        lambda: model_of(shallow("small_cait", depth=1), glca=glca(readout="mean")),
        32,
        class_scores,
    ),
    "swin, baseline": (
        lambda: model_of(shallow("small_swin", depths=(2,), num_heads=(2,), img_size=(28, 20))),
        (28, 20),
        class_scores,
    ),
}


@pytest.mark.parametrize(("make", "size", "outputs"), EXPORTED.values(), ids=EXPORTED)
def test_a_program_gives_the_models_outputs_for_any_batch_size_and_says_what_it_is(
    tmp_path, make, size, outputs
):
    model, path = make(), tmp_path / "bird.pt2"
    dcal.export_program(model, path, class_names="abcde")
    files = {"dcal.json": ""}
    run = torch.export.load(path, extra_files=files).module()
    said = json.loads(files["dcal.json"])
    assert (said["class_names"], said["mean"]) == (list("abcde"), [0.5] * 3)
    for batch in BATCHES:
        images = random_images(batch, size, seed=batch)
        with torch.no_grad():
            expected = outputs(model(images))
        found = run(images)
        assert found.keys() == expected.keys()
        for name, value in expected.items():
            torch.testing.assert_close(found[name], value, rtol=0, atol=1e-5)


def test_an_onnx_graph_gives_the_models_outputs_for_any_batch_size_and_says_what_it_is(tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime")
    # With the mean read-out the selection, and so the rollout, is in the outputs.
    model, path = (
        vit(glca=glca(readout="mean", blocks=2), pwca=dcal.PWCASettings(blocks=3)),
        tmp_path / "bird.onnx",
    )
    difference = dcal.export_onnx(model, path, class_names="abcde", about={"top1": 84.6})
    assert 0 < difference < 1e-5
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    for batch in BATCHES:
        images = random_images(batch, (32, 64), seed=batch)
        with torch.no_grad():
            expected = class_scores(model(images))
        found = dict(zip(names, session.run(None, {"images": images.numpy()}), strict=True))
        assert found.keys() == expected.keys() == {"sa", "glca", "both"}
        for name, value in expected.items():
            torch.testing.assert_close(torch.from_numpy(found[name]), value, rtol=0, atol=1e-5)
    said = json.loads(session.get_modelmeta().custom_metadata_map["dcal"])
    assert (said["class_names"], said["about"], said["mean"]) == (list("abcde"), {"top1": 84.6}, [0.5] * 3)


@pytest.mark.parametrize("batch", [1, 3])
def test_the_rollout_of_an_export_is_the_rollout(monkeypatch, batch):
    generator = torch.Generator().manual_seed(0)
    queries_keys = [torch.randn(2, batch, 3, 17, 8, generator=generator).double().unbind() for _ in range(4)]
    expected = torch.zeros(batch, 17, dtype=torch.float64)
    expected[:, 0] = 1
    for q, k in reversed(queries_keys):
        maps = torch.softmax(torch.einsum("bhid,bhjd->bhij", q, k) / 8**0.5, dim=-1).mean(dim=1)
        expected = torch.einsum("bi,bij->bj", expected, 0.5 * maps + 0.5 * torch.eye(17, dtype=torch.float64))
    monkeypatch.setattr(torch.compiler, "is_exporting", lambda: True)
    torch.testing.assert_close(attention_rollout.rollout_row(queries_keys), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("model", "path", "said"),
    [
        (lambda: small_dcal().eval(), "bird.pt", "ends in .pt2"),
        (small_dcal, "bird.pt2", r"training mode cannot be exported: call model.eval\(\)"),
        (
            lambda: small_dcal().double().eval(),
            "bird.pt2",
            r"float64 cannot be exported: call model.cpu\(\).float",
        ),
        (
            lambda: small_dcal(glca=glca(select="random")).eval(),
            "bird.pt2",
            "selects its queries at random here, anew in every call",
        ),
    ],
    ids=["suffix", "training", "float64", "random selection"],
)
def test_what_cannot_be_exported_is_refused_in_a_sentence(tmp_path, model, path, said):
    with pytest.raises(ValueError, match=said):
        dcal.export_program(model(), tmp_path / path)
    assert not list(tmp_path.iterdir())


def test_a_program_with_other_outputs_than_the_models_is_not_written(tmp_path, monkeypatch):
    model = small_dcal().eval()
    other = SimpleNamespace(module=lambda: lambda images: class_scores(model(images + 1)))
    monkeypatch.setattr(export, "_trace", lambda inference, configuration: (other, ["sa", "both"]))
    with pytest.raises(ValueError, match=r"exported small_vit.test differs from the model by 0\.\d+"):
        dcal.export_program(model, tmp_path / "bird.pt2")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("package", ["onnx", "onnxscript", "onnxruntime"])
def test_a_missing_extra_is_named_with_what_installs_it(tmp_path, monkeypatch, package):
    for name in ("onnx", "onnxscript", "onnxruntime"):
        monkeypatch.setitem(sys.modules, name, None if name == package else sys)
    said = f"^ONNX export needs {package}, which is not installed: `make optional` installs it$"
    with pytest.raises(ImportError, match=said):
        dcal.export_onnx(small_dcal().eval(), tmp_path / "bird.onnx")
    assert not list(tmp_path.iterdir())
