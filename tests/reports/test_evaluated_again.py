"""`benchmark evaluate` over finished runs: the recorded numbers bit for bit, and other pictures."""

import hashlib
import json
import shutil

import numpy as np
import torch
from drawn_runs import OVERRIDES

from benchmark.__main__ import main
from benchmark.atomic import file_sha256
from benchmark.config.grid import select
from benchmark.config.places import Places
from benchmark.records.run_folder import RunFolder
from benchmark.training import checkpoint
from benchmark.training.request import Infrastructure
from benchmark.training.run import run_cell

pytest_plugins = ["drawn_fixtures"]
CUB, MARKET = "cub/deit_tiny/dcal/seed0", "market/deit_tiny/dcal/seed0"


def evaluate(runs, *arguments):
    return main(["evaluate", "--runs", str(runs), *map(str, arguments)])


def contents(folder):
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def change_result(folder, change):
    result = json.loads((folder / "result.json").read_text())
    change(result)
    (folder / "result.json").write_text(json.dumps(result))


def test_every_finished_run_gives_its_recorded_numbers_and_is_left_as_it_is(trained, tmp_path, capsys):
    old = contents(trained / "mini")
    assert evaluate(trained, "--json", tmp_path / "new" / "numbers.json") == 0
    assert "4 models: 4 equal, bit for bit" in capsys.readouterr().out
    assert contents(trained / "mini") == old
    written = json.loads((tmp_path / "new" / "numbers.json").read_text())["evaluated"]
    assert len(written) == 4
    for entry in written:
        recorded = json.loads((trained / "mini" / entry["run"] / "result.json").read_text())
        assert entry["metrics"] == recorded["metrics"]
        assert (entry["compared"], entry["differences"]) == ("equal", [])


def test_a_recorded_number_that_is_not_what_comes_out_is_found(runs, capsys):
    change_result(
        runs / "mini" / CUB,
        lambda result: result["metrics"].update(top1=np.nextafter(result["metrics"]["top1"], 0)),
    )
    assert evaluate(runs, CUB) == 1
    output = capsys.readouterr().out
    assert "DIFFERENT, 1 of" in output
    assert "top1: recorded" in output


def test_an_array_of_which_one_bit_was_changed_is_found(runs, capsys):
    folder = runs / "mini" / MARKET
    with np.load(folder / "predictions.npz") as stored:
        arrays = dict(stored)
    arrays["glca_ap"][3] = np.nextafter(arrays["glca_ap"][3], 0)
    np.savez_compressed(folder / "predictions.npz", **arrays)
    digest = file_sha256(folder / "predictions.npz")
    change_result(folder, lambda result: result.update(predictions_sha256=digest))
    assert evaluate(runs, "cub/deit_tiny/dcal", "market/deit_tiny") == 1
    output = capsys.readouterr().out
    assert "glca_ap: 1 of" in output
    assert "3 models: 2 equal, bit for bit, 1 DIFFERENT" in output


def test_a_torn_checkpoint_stops_no_other_model(runs, capsys):
    torn = runs / "mini" / CUB / "checkpoint.pt"
    torn.write_bytes(torn.read_bytes()[:-1000])
    assert evaluate(runs, "cub/deit_tiny") == 1
    output = capsys.readouterr()
    assert "2 models: 1 equal, bit for bit, 1 not evaluated" in output.out
    assert f"{torn.parent}: not evaluated" in output.err
    assert evaluate(runs, CUB) == 2


def test_another_way_of_computing_is_said_where_numbers_differ(runs, capsys):
    def elsewhere(result):
        result["device"] |= {"type": "cuda", "name": "NVIDIA X"}
        result["metrics"]["top1"] = np.nextafter(result["metrics"]["top1"], 0)

    change_result(runs / "mini" / CUB, elsewhere)
    if not torch.cuda.is_available():
        assert evaluate(runs, CUB) == 2
        assert "was evaluated on NVIDIA X, and no GPU is visible here" in capsys.readouterr().err
    assert evaluate(runs, CUB, "--device", "cpu") == 0
    output = capsys.readouterr().out
    assert "equal to rounding; computed with name " in output
    assert " instead of NVIDIA X" in output


def test_class_folders_under_the_models_names_count_as_the_test_pictures_did(trained, tmp_path, capsys):
    data, folder = trained / "mini" / "data" / "CUB_200_2011", trained / "mini" / CUB
    with np.load(folder / "predictions.npz") as stored:
        predictions = dict(stored)
    from benchmark.data import locate

    test = locate.load_fgvc("cub", trained / "mini" / "data", 3).test
    taken = [place for place, label in enumerate(test.labels) if label != 1][::3]
    for place in taken:
        name = predictions["classes"][test.labels[place]]
        (tmp_path / "mine" / name).mkdir(parents=True, exist_ok=True)
        shutil.copy(data / test.files[place], tmp_path / "mine" / name / f"{place}.jpg")
    assert evaluate(trained, CUB, "--data", tmp_path / "mine") == 0
    output = capsys.readouterr().out
    expected = 100 * predictions["both_correct"][taken].mean()
    assert f"{CUB}  top1 {expected:.2f}  not compared: these are not the run's own pictures" in output
    assert f"{len(taken)} pictures of 2 of the model's 3 classes" in output
    (tmp_path / "mine" / name).rename(tmp_path / "mine" / "Dodo")
    assert evaluate(trained, CUB, "--data", tmp_path / "mine") == 2
    output = capsys.readouterr().err
    assert "folder 'Dodo' is none of the 3 classes of the model" in output


def test_official_data_with_other_classes_are_refused_by_name(trained, tmp_path, capsys):
    data = shutil.copytree(trained / "mini" / "data" / "CUB_200_2011", tmp_path / "CUB_200_2011")
    for list_ in ("classes.txt", "images.txt"):
        text = (data / list_).read_text()
        (data / list_).write_text(text.replace("002.Ring_eyed", "002.Other"))
    (folder,) = (data / "images").glob("002.*")
    folder.rename(data / "images" / folder.name.replace("Ring_eyed", "Other"))
    assert evaluate(trained, CUB, "--data", tmp_path) == 2
    output = capsys.readouterr().err
    assert "1 of its classes are none of the model's, 002.Other_Hedgeling" in output
    assert "the model tells 3 apart, 001.Plain_Hedgeling" in output


def test_a_folder_that_is_not_there_and_a_file_in_its_place_are_named(trained, tmp_path, capsys):
    (tmp_path / "file").write_text("x")
    for name, output in (("nowhere", "is not there"), ("file", "is a file")):
        assert evaluate(trained, CUB, "--data", tmp_path / name) == 2
        expected = f"{tmp_path / name} {output}, expected the folder that holds CUB_200_2011"
        assert expected in capsys.readouterr().err
    assert evaluate(trained, CUB, "--data", tmp_path / ("x" * 300)) == 2
    assert "the name is too long for this file system" in capsys.readouterr().err


def test_numbers_of_corrupted_pictures_are_in_a_file_of_their_own(trained, tmp_path, capsys):
    arguments = ("--corrupt", "noise=0.1", "--json", tmp_path / "numbers.json")
    assert evaluate(trained, CUB, *arguments) == 2
    assert "--json is for an evaluation without --corrupt" in capsys.readouterr().err


def test_queries_and_gallery_in_markets_layout_are_enough(trained, tmp_path, capsys):
    data = trained / "mini" / "data" / "Market-1501-v15.09.15"
    for part in ("query", "bounding_box_test"):
        shutil.copytree(data / part, tmp_path / "people" / part)
    recorded = json.loads((trained / "mini" / MARKET / "result.json").read_text())["metrics"]
    assert evaluate(trained, MARKET, "--data", tmp_path / "people", "--json", tmp_path / "found.json") == 0
    (result,) = json.loads((tmp_path / "found.json").read_text())["evaluated"]
    assert result["metrics"] == recorded
    assert result["compared"] == "not compared"
    assert "75 queries of " in capsys.readouterr().out


def test_a_saved_file_gives_the_recorded_metrics(trained, tmp_path, capsys):
    file = tmp_path / "model.safetensors"
    assert main(["export", "--runs", str(trained), CUB, "--to", str(file)]) == 0
    assert evaluate(trained, file) == 0
    output = capsys.readouterr().out
    assert "equal, bit for bit (" in output
    assert "and 0 arrays)" in output


def test_where_random_selection_counts_the_numbers_are_exact_all_the_same(tmp_path, trained, capsys):
    places = Places.of("mini", tmp_path, trained / "mini" / "data", None)
    settings = {"model.glca_select": "random", "model.glca_readout": "mean", "model.glca_ratio": 0.05}
    overrides = OVERRIDES["cub/deit_tiny"] | settings

    def run():
        (cell,) = select(["cub/deit_tiny/dcal"])
        return run_cell(
            cell, 0, "mini", places, overrides=overrides, infrastructure=Infrastructure(quiet=True)
        )

    result, folder = run(), RunFolder(tmp_path / "mini" / CUB)
    arguments = (tmp_path, CUB, "--data", trained / "mini" / "data")
    assert evaluate(*arguments) == 0
    assert "equal, bit for bit" in capsys.readouterr().out
    # A run of which the result alone was lost is measured again, from the same draws.
    folder.result.unlink()
    assert run()["predictions_sha256"] == result["predictions_sha256"]
    # PairFigures otherwise, other numbers come out; and where nobody knows what was drawn, nothing is compared.
    state = checkpoint.newest(folder, result["config_hash"])
    torch.save(state | {"selections": [torch.Generator().manual_seed(9).get_state()]}, folder.checkpoint)
    assert evaluate(*arguments) == 1
    del state["selections"]
    torch.save(state, folder.checkpoint)
    assert evaluate(*arguments) == 0
    assert "not compared: GLCA's random selection counts here" in capsys.readouterr().out
