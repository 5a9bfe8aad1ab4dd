"""Networks of runs, of any checkpoint file and of timm's own weights; what is none says so."""

import numpy as np
import pytest
import safetensors.torch
import timm
import torch
from drawn_runs import pair_of

import dcal
from benchmark.config.backbones import BACKBONES
from benchmark.config.grid import select
from benchmark.config.resolve import load_profile, resolve
from benchmark.errors import RunError, SettingsError
from reports.heatmaps import networks
from reports.heatmaps.networks import load_timm

pytest_plugins = ["drawn_fixtures"]
TAG = "deit_tiny_patch16_224.fb_in1k"


def picture_of(pair):
    return pair.dataset.root / pair.dataset.test.files[0]


def logits_of(network, picture):
    return network.inspect([network.pictures(picture)], None).outputs.sa.logits


def test_a_checkpoint_file_is_the_runs_model_whichever_method_it_is_of(trained):
    pair = pair_of(trained)
    for run in (pair.baseline, pair.dcal):
        expected = networks.load_run(run)
        # Whichever of the two cells is named, the tensors say what it is.
        any_one = networks.load_checkpoint(run.folder.checkpoint, pair.dcal.config)
        assert any_one.has_glca == expected.has_glca == (run is pair.dcal)
        assert any_one.weights == expected.weights == run.result["final_weights_sha256"]
        torch.testing.assert_close(
            logits_of(any_one, picture_of(pair)), logits_of(expected, picture_of(pair))
        )
        assert not any_one.model.training


def test_a_state_dict_saved_alone_is_read_as_well(trained, tmp_path):
    pair = pair_of(trained)
    state = torch.load(pair.dcal.folder.checkpoint, weights_only=True)["model"]
    torch.save(state, tmp_path / "alone.pt")
    assert (
        networks.load_checkpoint(tmp_path / "alone.pt", pair.dcal.config).weights
        == networks.load_run(pair.dcal).weights
    )


def test_the_classes_are_as_many_as_the_checkpoints(trained):
    pair = pair_of(trained)
    assert networks.load_run(pair.dcal).classes == pair.dataset.classes
    path = pair.dcal.folder.checkpoint
    assert networks.load_checkpoint(path, pair.dcal.config, ["a", "b"]).classes == ()  # names of another set
    assert networks.load_checkpoint(path, pair.dcal.config, ["a", "b", "c"]).classes == ("a", "b", "c")
    assert logits_of(networks.load_checkpoint(path, pair.dcal.config), picture_of(pair)).shape == (1, 3)


def test_another_architecture_is_refused_with_what_was_found_and_expected(trained):
    bird, person = pair_of(trained), pair_of(trained, "market/deit_tiny")
    with pytest.raises(
        RunError, match=r"12 blocks of width 48 on 32 patches.*expected mini_deit_tiny.* at 64×64.*on 64"
    ):
        networks.load_checkpoint(person.dcal.folder.checkpoint, bird.dcal.config)


def test_files_that_are_no_checkpoints_are_refused(trained, tmp_path):
    pair = pair_of(trained)
    with pytest.raises(RunError, match="no such checkpoint"):
        networks.load_checkpoint(tmp_path / "none.pt", pair.dcal.config)
    for name, content in {
        "empty.pt": b"",
        "text.pt": b"hello",
        "torn.pt": pair.dcal.folder.checkpoint.read_bytes()[:9999],
    }.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(RunError, match=f"{name}.*cannot be read as a checkpoint"):
            networks.load_checkpoint(tmp_path / name, pair.dcal.config)
    torch.save({"model": {"a": torch.zeros(1)}}, tmp_path / "other.pt")
    with pytest.raises(RunError, match="sa_head"):
        networks.load_checkpoint(tmp_path / "other.pt", pair.dcal.config)
    torch.save({"model": ["not", "tensors"]}, tmp_path / "list.pt")
    with pytest.raises(RunError, match="no tensors by name"):
        networks.load_checkpoint(tmp_path / "list.pt", pair.dcal.config)


def test_a_flipped_byte_is_found(trained, tmp_path):
    pair = pair_of(trained)
    content = bytearray(pair.dcal.folder.checkpoint.read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / "flipped.pt").write_bytes(content)
    with pytest.raises(RunError, match="checksum"):
        networks.load_checkpoint(tmp_path / "flipped.pt", pair.dcal.config)


@pytest.mark.parametrize(
    ("backbone", "glca", "message"),
    [
        ("cait_xs24", True, "is 26 blocks of width 48 on 64 patches, with GLCA; expected mini_deit_tiny"),
        ("swin_tiny", False, "is 12 blocks, without GLCA; expected mini_deit_tiny"),
    ],
)
def test_a_checkpoint_of_another_family_is_described(tmp_path, backbone, glca, message):
    import benchmark.data.mini.backbones  # noqa: F401

    model = dcal.build(
        BACKBONES[backbone].mini,
        3,
        image_size=64,
        weights="random",
        glca=dcal.GLCASettings() if glca else None,
    )
    torch.save(model.state_dict(), tmp_path / "other.pt")
    arguments = resolve(select(["cub/deit_tiny/dcal"])[0], 0, load_profile("mini"), {})
    with pytest.raises(RunError, match=message):
        networks.load_checkpoint(tmp_path / "other.pt", arguments)


def test_timms_own_weights_say_what_timm_says(shared, tmp_path):
    file = shared / "weights" / f"{TAG}.safetensors"
    if not file.is_file():
        pytest.skip(f"needs {file.name}")
    network = load_timm(TAG, file.parent)
    vit = timm.create_model(TAG, pretrained=False)
    vit.load_state_dict(safetensors.torch.load_file(file))
    picture = np.random.default_rng(0).integers(0, 256, (224, 224, 3), dtype=np.uint8)
    mean, std = (torch.tensor(vit.pretrained_cfg[name]).view(1, 3, 1, 1) for name in ("mean", "std"))
    with torch.no_grad():
        expected = vit.eval()((torch.from_numpy(picture).permute(2, 0, 1)[None] / 255 - mean) / std)
    outputs = network.inspect([picture], None)
    torch.testing.assert_close(outputs.outputs.sa.logits, expected, rtol=1e-4, atol=1e-4)
    assert len(network.classes) == 1000
    assert network.classes[13] == "junco"
    assert outputs.grid == (14, 14)
    larger = load_timm(TAG, file, (256, 128))
    assert larger.inspect([np.zeros((256, 128, 3), np.uint8)], None).grid == (16, 8)


def test_a_file_without_classifier_names_no_class(tmp_path):
    import benchmark.data.mini.backbones  # noqa: F401
    from benchmark.config.places import MINI_WEIGHTS

    tag = "mini_deit_tiny_patch8_48.generic"
    complete = load_timm(tag, MINI_WEIGHTS)
    state = {
        name: tensor for name, tensor in complete.model.state_dict().items() if not name.startswith("head.")
    }
    safetensors.torch.save_file(state, tmp_path / f"{tag}.safetensors")
    without = load_timm(tag, tmp_path)
    picture = np.zeros((48, 48, 3), np.uint8)
    assert without.inspect([picture], None).outputs is None
    torch.testing.assert_close(
        without.inspect([picture], None).rollout, complete.inspect([picture], None).rollout
    )


@pytest.mark.parametrize(
    ("tag", "size", "message"),
    [
        ("no_such_model", None, "timm has no model"),
        ("resnet18.a1_in1k", None, "cannot be looked into"),
        ("swin_tiny_patch4_window7_224.ms_in1k", None, "cannot be looked into"),
        (TAG, (225, 224), "cannot be looked into|multiples"),
    ],
)
def test_tags_and_sizes_that_cannot_be_are_refused(tag, size, message, tmp_path):
    with pytest.raises(SettingsError, match=message):
        load_timm(tag, tmp_path, size)


def test_missing_weights_are_named(tmp_path):
    with pytest.raises(RunError, match="no weights of"):
        load_timm(TAG, tmp_path)
