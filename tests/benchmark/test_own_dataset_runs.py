"""A user's own datasets, trained and evaluated with one command and no code."""

import json

import numpy as np
import pytest
from own_folders import write_class_picture, write_people

from benchmark.__main__ import main
from benchmark.config.datasets import DATASETS
from benchmark.inference.trained import load_trained
from benchmark.records.run_folder import RunFolder, read_result

COLOURS = {"#1 Ä .b": (230, 20, 20), "0.5 zwölf": (20, 230, 20), "-x" + "y" * 150: (20, 20, 230)}
# Suffix, mode and EXIF orientation of each picture of a class.
KINDS = (
    ("a b.jpg", "RGB", 1),
    ("rotated #6.JPG", "RGB", 6),
    ("rotated 8.jpeg", "RGB", 8),
    ("mirrored.png", "RGB", 5),
    ("alpha.png", "RGBA", 1),
    ("palette.png", "P", 1),
    ("Ü.webp", "RGB", 3),
    ("clear.webp", "RGBA", 1),
    ("grey.jpg", "L", 1),
    ("below/it/x.bmp", "RGB", 1),
    ("first.gif", "P", 1),
    ("t.tiff", "RGB", 1),
)


@pytest.fixture
def data(tmp_path):
    """Three classes of twelve pictures, no train and test folders, and files that are no pictures."""
    for place, (name, colour) in enumerate(COLOURS.items()):
        for number, (file, mode, orientation) in enumerate(KINDS):
            path = tmp_path / "my data" / "my_birds" / name / file
            write_class_picture(path, colour, 100 * place + number, mode, orientation)
        (path.parent / ".DS_Store").write_bytes(b"x")
    return tmp_path / "my data"


def run(cell, data, runs, *more, settings="train.epochs=1 train.batch_size=8"):
    places = ("--profile", "mini", "--data", str(data), "--runs", str(runs))
    return main(["run", cell, *places, "--quiet", "--threads", "1", "--set", settings, *more])


def result_of(runs, run_id):
    folder = RunFolder(runs / "mini" / run_id)
    result, damage = read_result(folder)
    assert not damage
    return result, folder


def test_class_folders_train_and_evaluate_with_one_command(data, tmp_path):
    command = ("my_birds/deit_tiny/dcal", data, tmp_path / "runs")
    assert run(*command, settings="train.epochs=4 train.batch_size=8") == 0
    result, folder = result_of(tmp_path / "runs", "my_birds/deit_tiny/dcal/seed0")
    assert result["metrics"]["top1"] == 100  # three colours
    assert (result["data"]["train_images"], result["data"]["test_images"]) == (30, 6)
    assert result["data"]["coverage"] == "own"
    assert "not the paper's" in result["data"]["text"]
    assert set(np.load(folder.predictions)["classes"]) == set(COLOURS)
    log = folder.log.read_text("utf-8")
    assert "3 files that are no pictures are left out" in log
    assert "decoding all 36 pictures once" in log
    assert not (data / "CUB_200_2011").exists()  # the mini sets stay out of a user's folder


def test_a_finished_one_is_not_run_again_and_a_changed_folder_is_noticed(data, tmp_path, capsys):
    command = ("my_birds/deit_tiny/baseline", data / "my_birds", tmp_path / "runs")
    assert run(*command) == 0
    before, folder = result_of(tmp_path / "runs", "my_birds/deit_tiny/baseline/seed0")
    assert run(*command) == 0
    assert read_result(folder)[0] == before
    write_class_picture(data / "my_birds" / "0.5 zwölf" / "new.png", (1, 2, 3), 5)
    assert run(*command) == 1
    said = capsys.readouterr().err
    assert "made from other data than the folder holds now" in said
    assert "(--rerun stale) sets it aside" in said
    assert run(*command, "--rerun", "stale") == 0
    after, folder = result_of(tmp_path / "runs", "my_birds/deit_tiny/baseline/seed0")
    assert after["data"]["train_images"] + after["data"]["test_images"] == 37
    (aside,) = folder.path.parent.glob("seed0.stale-*")
    assert json.loads((aside / "result.json").read_text()) == before


def test_what_is_wrong_is_said_once_on_the_terminal_and_stays_in_the_log(data, tmp_path, capsys):
    (data / "my_birds" / "empty").mkdir()
    asked = ("--profile", "mini", "--data", str(data), "--runs", str(tmp_path / "runs"), "--threads", "1")
    assert main(["run", "my_birds/deit_tiny/dcal", *asked]) == 1
    assert capsys.readouterr().err.count("a class folder without pictures") == 1
    log = tmp_path / "runs/mini/my_birds/deit_tiny/dcal/seed0/log.txt"
    assert log.read_text("utf-8").count("a class folder without pictures") == 1


def test_a_trained_model_is_loaded_in_a_process_that_has_not_heard_of_its_dataset(
    data, tmp_path, monkeypatch
):
    assert run("my_birds/deit_tiny/dcal", data, tmp_path / "runs") == 0
    monkeypatch.delitem(DATASETS, "my_birds")  # as it is in a new process
    found = load_trained(tmp_path / "runs/mini/my_birds/deit_tiny/dcal/seed0")
    assert set(found.classes) == set(COLOURS)


def test_a_torn_picture_is_named_before_anything_is_trained(data, tmp_path, capsys):
    torn = data / "my_birds" / "0.5 zwölf" / "a b.jpg"
    torn.write_bytes(torn.read_bytes()[:-200])
    assert run("my_birds/deit_tiny/dcal", data, tmp_path / "runs") == 1
    assert f"{torn}: the image is truncated" in capsys.readouterr().err
    assert not (tmp_path / "runs/mini/my_birds/deit_tiny/dcal/seed0/history.jsonl").exists()


def test_markets_layout_with_one_command(tmp_path):
    data = write_people(tmp_path / "people").parent
    settings = "train.epochs=4 train.batch_size=16"
    assert run("people/deit_tiny/dcal", data, tmp_path / "runs", settings=settings) == 0
    result, _ = result_of(tmp_path / "runs", "people/deit_tiny/dcal/seed0")
    assert set(result["metrics"]) >= {"mAP", "R1", "sa_mAP", "glca_mAP"}
    assert result["data"]["gallery_images"] == 9
    assert result["evaluation"]["queries"] == 4


def test_log_and_validation_intervals(data, tmp_path):
    more = ("--log-interval", "4", "--val-interval", "2")
    settings = "train.epochs=3 train.batch_size=8"
    assert run("my_birds/deit_tiny/dcal", data, tmp_path / "runs", *more, settings=settings) == 0
    _, folder = result_of(tmp_path / "runs", "my_birds/deit_tiny/dcal/seed0")
    log = folder.log.read_text("utf-8").splitlines()
    history = [json.loads(line) for line in folder.history.read_text().splitlines()]
    assert ["metrics" in entry for entry in history] == [False, True, True]
    lines = [line for line in log if ", step " in line]
    assert len(lines) == 3  # an epoch has four steps
    for line, entry in zip(lines, history, strict=True):
        said = dict(zip(*[iter(line.partition("loss ")[2].partition(";")[0].split())] * 2, strict=True))
        assert {name: float(value) for name, value in said.items()} == pytest.approx(entry["loss"], abs=1e-4)
        assert f"lr {entry['lr']:.4g};" in line
    assert json.loads(folder.config.read_text())["identity"]["settings"]["evaluate.every"] == 2


def test_the_two_names_of_the_validation_interval_must_agree(data, tmp_path, capsys):
    more = ("--val-interval", "2")
    assert run("my_birds/deit_tiny/dcal", data, tmp_path, *more, settings="evaluate.every=3") == 2
    assert "are one setting: give one of them" in capsys.readouterr().err
