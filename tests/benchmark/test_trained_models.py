"""A finished run's model, from its folder and from the file that `export` makes of it."""

import json
import sys

import pytest
import torch
from result_example import RESULT
from untrained_run import CLASSES, finished_run

import dcal
from benchmark.__main__ import main
from benchmark.atomic import write_json
from benchmark.errors import RunError
from benchmark.inference.trained import load_trained
from benchmark.training import checkpoint

# What a folder and a file have to say alike: (of_what, settings that are not the profile's).
RUNS = {
    "dcal": ("cub/deit_tiny/dcal", {"data__crop": (48, 64), "model__glca_readout": "mean"}),
    "baseline": ("cub/deit_tiny/baseline", {}),
    "a variant": ("cub/deit_tiny/glca", {}),
    "hybrid": ("cars/r50_vit_base/dcal", {"data__test_crop": "whole"}),
    "re-identification, 0.5": ("market/deit_tiny/dcal", {"data__normalise": "half"}),
    "swin": ("msmt17/swin_tiny/dcal", {}),
}


def exported(folder, path):
    assert main(["export", str(folder.path), "--to", str(path)]) == 0
    return path


@pytest.mark.parametrize(("cell", "settings"), RUNS.values(), ids=RUNS)
def test_a_folder_and_its_file_hold_the_runs_model_and_how_pictures_enter_it(tmp_path, cell, settings):
    folder, config, model = finished_run(tmp_path, cell, **settings)
    images = torch.randint(0, 256, (2, *config.settings.data.crop, 3), dtype=torch.uint8)
    for path in (folder.path, exported(folder, tmp_path / "my models" / "bird.safetensors")):
        found = load_trained(path)
        assert not found.model.training
        assert (found.config.hash, found.config.settings, found.config.tag) == (
            config.hash,
            config.settings,
            config.tag,
        )
        assert found.model.pwca == model.pwca
        assert found.classes == (CLASSES if config.cell.task == "fgvc" else ())
        assert found.result["metrics"]
        state = found.model.state_dict()
        assert state.keys() == model.state_dict().keys()
        assert all(torch.equal(state[name], value) for name, value in model.state_dict().items())
        mean, std = ((0.5,) * 3,) * 2 if "half" in settings.values() else (model.mean, model.std)
        by_hand = (images / 255 - torch.tensor(mean)) / torch.tensor(std)
        torch.testing.assert_close(found.prepare()(images), by_hand.permute(0, 3, 1, 2), rtol=0, atol=1e-5)
    # Whoever has the file alone reads there how its input is normalised.
    alone = dcal.load(tmp_path / "my models" / "bird.safetensors")
    assert (alone.mean, alone.std) == (mean, std)


def test_a_file_names_its_run_and_no_machine(tmp_path):
    folder, config, _ = finished_run(tmp_path)
    path = exported(folder, tmp_path / "bird.safetensors")
    about = dcal.load(path).about
    assert about["identity"] == json.loads(json.dumps(dict(config.identity)))
    assert about["result"]["config_hash"] == config.hash
    assert about["result"]["metrics"] == RESULT["metrics"]
    assert about["result"]["provenance"] == {"commit": "d" * 40, "dirty": False}
    assert b"laptop" not in path.read_bytes()


def test_settings_are_those_of_the_record_whatever_the_recipe_says_now(tmp_path, monkeypatch):
    folder, config, _ = finished_run(tmp_path, data__crop=(32, 32))
    from benchmark.records import run_settings

    changed = run_settings.load_profile("mini")
    changed.tables["fgvc"].update({"data.resize": (200, 200), "train.epochs": 99, "model.glca_keys": "local"})
    monkeypatch.setattr(run_settings, "load_profile", lambda name: changed)
    found = load_trained(folder.path).config
    # glca_keys came after the first records: where one does not name it, it is what was done before.
    assert (found.settings, found.hash) == (config.settings, config.hash)


def test_random_selection_draws_what_the_last_evaluation_drew(tmp_path):
    folder, config, model = finished_run(tmp_path, model__glca_select="random", model__glca_readout="mean")
    images = torch.randn(2, 3, *config.settings.data.crop)
    with torch.no_grad():
        model(images)  # the generator has moved on since the model was built
        state = {
            "hash": config.hash,
            "model": model.state_dict(),
            "selections": [model.glca.generator.get_state()],
        }
        checkpoint.save(folder, state)
        expected = model(images).glca.feature
        file = exported(folder, tmp_path / "drawn.safetensors")
        for path in (folder.path, file):
            assert torch.equal(load_trained(path).model(images).glca.feature, expected)


def test_what_is_no_finished_run_is_refused(tmp_path):
    folder, _, _ = finished_run(tmp_path)
    with pytest.raises(RunError, match=r"none: no such run folder or file"):
        load_trained(tmp_path / "none")
    with pytest.raises(
        RunError, match=r"neither a run folder nor a .safetensors file: name the folder that holds"
    ):
        load_trained(folder.checkpoint)
    folder.result.unlink()
    with pytest.raises(RunError, match=r"holds no finished run: result\.json is missing"):
        load_trained(folder.path)
    folder.config.write_text("{")
    with pytest.raises(RunError, match=r"holds no finished run: config\.json is missing or no JSON"):
        load_trained(folder.path)


def test_records_that_do_not_belong_together_are_refused(tmp_path):
    folder, config, model = finished_run(tmp_path)
    started = json.loads(folder.config.read_text())
    other = {**started, "identity": {**started["identity"], "numbers_version": 0}}
    write_json(folder.config, other)
    with pytest.raises(RunError, match=r"config.json is of other settings than result.json"):
        load_trained(folder.path)
    write_json(folder.config, {**started, "identity": {"run": "cub"}})
    with pytest.raises(RunError, match=r"config.json does not say which run it is of"):
        load_trained(folder.path)
    write_json(folder.config, started)
    with torch.no_grad():
        model.sa_head.classifier.bias[0] = 7
    checkpoint.save(folder, {"hash": config.hash, "model": model.state_dict()})
    with pytest.raises(RunError, match=r"holds weights .*result.json was made with .*do not belong together"):
        load_trained(folder.path)


def test_a_file_without_its_runs_record_or_with_other_weights_is_refused(tmp_path):
    folder, _, _ = finished_run(tmp_path)
    file = exported(folder, tmp_path / "bird.safetensors")
    model = dcal.load(file)
    dcal.save(model, tmp_path / "alone.safetensors")
    with pytest.raises(RunError, match=r"without the record of its run.*`python -m benchmark export"):
        load_trained(tmp_path / "alone.safetensors")
    with torch.no_grad():
        model.sa_head.classifier.bias[0] = 7
    dcal.save(model, tmp_path / "changed.safetensors", about=model.about)
    with pytest.raises(RunError, match=r"holds other weights than the run that it names"):
        load_trained(tmp_path / "changed.safetensors")
    file.write_bytes(file.read_bytes()[:-9])
    with pytest.raises(RunError, match=r"bird.safetensors is truncated"):
        load_trained(file)


def test_export_refuses_in_a_sentence_and_leaves_nothing(tmp_path, monkeypatch, capsys):
    folder, _, _ = finished_run(tmp_path)
    to = tmp_path / "to"

    def said(name):
        assert main(["export", str(folder.path), "--to", str(to / name)]) == 2
        return capsys.readouterr().err

    assert "has to end in .safetensors, .onnx, .pt2" in said("bird.zip")
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    assert "ONNX export needs onnxscript, which is not installed: `make optional` installs it" in said(
        "bird.onnx"
    )
    monkeypatch.setattr(
        "os.replace", lambda *_: (_ for _ in ()).throw(PermissionError(13, "Permission denied"))
    )
    assert "cannot write" in said("bird.safetensors")
    assert not list(to.iterdir())
