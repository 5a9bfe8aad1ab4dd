"""A saved model is the same model, here and in another process."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import safetensors.torch
import torch
from saved_families import SAVED, glca, trained_like
from small_models import random_images, small_backbone, small_dcal

import dcal
from dcal.atomic import write_bytes
from dcal.backbones import make_adapter
from dcal.model import DCAL

HERE = Path(__file__).parent
ELSEWHERE = """
import sys
import safetensors.torch, torch
torch.set_num_threads(2)
import small_models, small_cait, small_swin, dcal
folder = sys.argv[1]
images = safetensors.torch.load_file(f"{folder}/images")
found = {}
for name, given in images.items():
    model = dcal.load(f"{folder}/{name}.safetensors")
    found |= {f"{name}: {key}": value for key, value in model.state_dict().items()}
    with torch.no_grad():
        for branch, output in model.double()(given).branches().items():
            found |= {f"{name}, {branch} logits": output.logits, f"{name}, {branch} feature": output.feature}
safetensors.torch.save_file({key: value.contiguous() for key, value in found.items()}, f"{folder}/found")
"""


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory):
    """What another process, with other threads, makes of every saved model: tensors, and outputs in float64."""
    folder = tmp_path_factory.mktemp("saved models")
    images = {}
    for name in SAVED:
        model, size = trained_like(name)
        dcal.save(model, folder / f"{name}.safetensors")
        images[name] = random_images(3, size).double()
    safetensors.torch.save_file(images, folder / "images")
    path = os.pathsep.join((str(HERE), str(HERE.parents[1])))
    environment = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "2", "HF_HUB_OFFLINE": "1"}
    subprocess.run([sys.executable, "-c", ELSEWHERE, str(folder)], check=True, env=environment)
    return images, safetensors.torch.load_file(folder / "found")


@pytest.mark.parametrize("name", SAVED)
def test_in_another_process_weights_are_the_same_bit_for_bit_and_outputs_equal(elsewhere, name):
    images, found = elsewhere
    model, _ = trained_like(name)
    expected = {f"{name}: {key}": value for key, value in model.state_dict().items()}
    assert expected.keys() == {key for key in found if key.startswith(f"{name}: ")}
    for key, value in expected.items():
        assert torch.equal(found[key], value), key
    with torch.no_grad():
        outputs = model.double()(images[name]).branches()
    for branch, output in outputs.items():
        torch.testing.assert_close(found[f"{name}, {branch} logits"], output.logits, rtol=0, atol=1e-10)
        torch.testing.assert_close(found[f"{name}, {branch} feature"], output.feature, rtol=0, atol=1e-10)


def test_a_loaded_model_says_how_it_is_fed_and_goes_on_training_as_before(tmp_path):
    model, size = trained_like("vit")
    names, about = (
        ["crow", "Käuzchen", "wren", "rail", "auk"],
        {"run": "cub/…/seed0", "top1": 84.6, "n": {1: [2]}},
    )
    model.mean = (0.1, 0.2, 0.3)
    dcal.save(model, tmp_path / "bird.safetensors", class_names=names, about=about)
    loaded = dcal.load(tmp_path / "bird.safetensors")
    assert not loaded.training
    assert (loaded.mean, loaded.std) == ((0.1, 0.2, 0.3), model.std)
    assert loaded.class_names == tuple(names)
    assert loaded.about == {**about, "n": {"1": [2]}}  # as JSON has it
    assert (loaded.pwca, loaded.glca.settings) == (model.pwca, model.glca.settings)
    images = random_images(3, size)
    features = []
    for one in (model.train(), loaded.train()):
        torch.manual_seed(0)  # partners and dropped paths
        features.append(one(images, partner=torch.tensor([1, 2, 0])).pwca.feature)
    assert torch.equal(*features)


def test_saved_again_a_model_keeps_its_class_names_and_drops_what_was_said_about_it(tmp_path):
    model, _ = trained_like("baseline")
    dcal.save(model, tmp_path / "first.safetensors", class_names="abcde", about={"top1": 50})
    dcal.save(dcal.load(tmp_path / "first.safetensors"), tmp_path / "second.safetensors")
    again = dcal.load(tmp_path / "second.safetensors")
    assert (again.class_names, again.about) == (tuple("abcde"), {})


def test_random_selection_goes_on_where_it_stood(tmp_path):
    model = small_dcal(glca=glca(select="random", readout="mean")).eval()
    images = random_images(2)
    with torch.no_grad():
        first = model(images).glca.feature
        dcal.save(model, tmp_path / "drawn.safetensors")
        second = model(images).glca.feature
        loaded = dcal.load(tmp_path / "drawn.safetensors")(images).glca.feature
    assert not torch.equal(first, second)
    assert torch.equal(loaded, second)


def test_other_dtypes_are_kept(tmp_path):
    model = small_dcal().bfloat16().eval()
    dcal.save(model, tmp_path / "half.safetensors")
    with torch.no_grad():
        images = random_images(1).bfloat16()
        assert torch.equal(
            dcal.load(tmp_path / "half.safetensors")(images).sa.logits, model(images).sa.logits
        )


def test_saving_and_loading_draw_nothing_from_the_callers_random_stream(tmp_path):
    model, _ = trained_like("vit")
    torch.manual_seed(3)
    dcal.save(model, tmp_path / "a.safetensors")
    dcal.load(tmp_path / "a.safetensors")
    drawn = torch.rand(1)
    torch.manual_seed(3)
    assert torch.equal(drawn, torch.rand(1))


def test_the_same_model_is_the_same_file_byte_for_byte(tmp_path):
    for name in ("a", "b"):
        dcal.save(trained_like("vit")[0], tmp_path / f"{name}.safetensors", about={"z": 1, "a": 2})
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()


def test_a_write_that_fails_leaves_the_old_file_and_nothing_beside_it(tmp_path, monkeypatch):
    path = tmp_path / "bird.safetensors"
    path.write_text("old")

    def refuse(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(OSError, match="No space left"):
        dcal.save(trained_like("baseline")[0], path)
    assert [file.name for file in tmp_path.iterdir()] == ["bird.safetensors"]
    assert path.read_text() == "old"


def test_of_two_that_write_at_once_the_last_to_end_leaves_its_whole_file(tmp_path, monkeypatch):
    path = tmp_path / "bird.safetensors"
    flush = os.fsync

    def another_writes_meanwhile(stream):
        monkeypatch.setattr(os, "fsync", flush)
        write_bytes(path, b"the other's")
        assert path.read_bytes() == b"the other's"
        flush(stream)

    monkeypatch.setattr(os, "fsync", another_writes_meanwhile)
    write_bytes(path, b"ours")
    assert path.read_bytes() == b"ours"
    assert [file.name for file in tmp_path.iterdir()] == ["bird.safetensors"]


@pytest.mark.parametrize("write", [dcal.save, dcal.export_program])
def test_what_is_no_dcal_model_is_refused(tmp_path, write):
    path = tmp_path / ("a.safetensors" if write is dcal.save else "a.pt2")
    with pytest.raises(ValueError, match="found a VisionTransformer: expected a model as"):
        write(small_backbone().eval(), path)


def test_a_model_that_could_not_be_built_again_is_not_saved(tmp_path):
    model = DCAL(make_adapter(small_backbone(num_heads=6)), 5)  # the same tensors as with 3 heads
    with pytest.raises(ValueError, match=r"attn\.head_dim is 8, and 16 in a small_vit.test from dcal.build"):
        dcal.save(model, tmp_path / "heads.safetensors")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("name", "arguments", "said"),
    [
        ("bird.pt", {}, "ends in .safetensors"),
        ("bird.safetensors", {"class_names": ["crow"]}, "1 class names for 5 classes"),
        ("bird.safetensors", {"about": {"model": object()}}, "about has to be what JSON can hold"),
        ("bird.safetensors", {"about": {"top1": float("nan")}}, "about has to be what JSON can hold"),
    ],
)
def test_what_cannot_be_written_is_refused(tmp_path, name, arguments, said):
    with pytest.raises(ValueError, match=said):
        dcal.save(small_dcal(), tmp_path / name, **arguments)
    assert not list(tmp_path.iterdir())
