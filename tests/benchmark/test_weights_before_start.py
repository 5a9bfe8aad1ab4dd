"""Missing, cut off or other weights are told before anything starts, and a changed file before anything is trained."""

import json
import shutil

import pytest

from benchmark.__main__ import main
from benchmark.config.grid import select
from benchmark.config.places import MINI_WEIGHTS, Places
from benchmark.config.resolve import load_profile, resolve
from benchmark.errors import RunError
from benchmark.records import status
from benchmark.records.run_folder import locate_run, read_json
from benchmark.training.run import run_cell
from dcal.weights.load import WeightsError, locate

CELL = select(["cub/deit_tiny/baseline"])[0]
TAG = "deit_tiny_patch16_224.fb_in1k"
FILE = f"{TAG}.safetensors"
HEADER = b'{"t":{"dtype":"U8","shape":[50],"data_offsets":[0,50]}}'
WHOLE = len(HEADER).to_bytes(8, "little") + HEADER + bytes(50)


def record(folder, tag=TAG, **changes):
    entry = {"file": FILE, "size": len(WHOLE), "sha256": "a" * 64, "source": "x"} | changes
    (folder / "weights.json").write_text(json.dumps({"schema": 1, "files": {tag: entry}}))


def cut_off(folder):
    (folder / FILE).write_bytes(WHOLE[:-9])
    return (
        f"{FILE} is truncated: {len(WHOLE) - 9} bytes, expected {len(WHOLE)}: `make weights` fetches it again"
    )


def a_web_page(folder):
    (folder / FILE).write_bytes(b"<!DOCTYPE html><html>403 Forbidden</html>")
    return f"{FILE} is no weights file but a web page (HTML)"


def of_another_size(folder):
    (folder / FILE).write_bytes(WHOLE)
    record(folder, size=len(WHOLE) + 1)
    return f"{FILE} has {len(WHOLE)} bytes, weights.json beside it says {len(WHOLE) + 1}"


def of_another_name(folder):
    (folder / FILE).write_bytes(WHOLE)
    record(folder, file=f"{TAG}.pth")
    return f"says that the weights of {TAG} are {TAG}.pth, but {FILE} is found first"


def beside_a_damaged_record(folder):
    (folder / FILE).write_bytes(WHOLE)
    (folder / "weights.json").write_text('{"files": {"x": {}}}')
    return "weights.json is damaged"


def missing(folder):
    return f"no {TAG} in {folder}: `make weights` fetches it"


CASES = [cut_off, a_web_page, of_another_size, of_another_name, beside_a_damaged_record, missing]


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "weights"
    folder.mkdir()
    return folder


@pytest.mark.parametrize("case", CASES)
def test_a_run_without_its_weights_is_not_ready(case, folder, tmp_path):
    words = case(folder)
    asked = resolve(CELL, 0, load_profile("paper"), {})
    places = Places(tmp_path / "runs", None, folder, generated=False)
    assert words in status.weights_problem(asked, places, download=True)


def test_whole_recorded_and_unrecorded_files_are_ready(folder, tmp_path):
    asked = resolve(CELL, 0, load_profile("paper"), {})
    (folder / FILE).write_bytes(WHOLE)
    for weights in (folder, folder / FILE):
        places = Places(tmp_path / "runs", None, weights, generated=False)
        assert status.weights_problem(asked, places, download=False) == ""
    record(folder)
    assert status.weights_problem(asked, places, download=False) == ""


def test_a_damaged_file_in_the_hubs_cache_is_told_even_where_the_hub_may_be_asked(tmp_path, monkeypatch):
    """The hub's client would take it as it is."""
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    snapshot = tmp_path / f"models--timm--{TAG}" / "snapshots" / "0"
    snapshot.mkdir(parents=True)
    (snapshot / "model.safetensors").write_bytes(WHOLE[:-9])
    asked = resolve(CELL, 0, load_profile("paper"), {})
    places = Places(tmp_path / "runs", None, None, generated=False)
    assert "is truncated" in status.weights_problem(asked, places, download=True)


@pytest.mark.parametrize("started", [False, True], ids=["new", "failed before"])
def test_launch_starts_nothing_without_weights_says_why_and_fails(started, own_pictures, folder, capsys):
    words = cut_off(folder)
    asked = resolve(CELL, 0, load_profile("quick"), {})
    run = locate_run(asked, own_pictures.runs)
    if started:
        run.make()
        run.config.write_text(json.dumps({"hash": asked.hash}))
        run.outcome.write_text(json.dumps({"state": "failed", "message": "no power"}))
    places = ["--runs", str(own_pictures.runs), "--data", str(own_pictures.data), "--weights", str(folder)]
    code = main(["launch", "--profile", "quick", "--cells", CELL.id, "--device", "cpu", *places])
    said = capsys.readouterr().err
    assert code == 1
    assert "no-weights, 1 runs not started" in said
    assert words in said
    assert not run.log.exists()


@pytest.mark.parametrize("case", [of_another_size, of_another_name, beside_a_damaged_record, missing])
def test_nothing_is_loaded_from_a_folder_that_is_not_in_order(case, folder):
    words = case(folder)
    with pytest.raises(WeightsError) as error:
        locate(TAG, folder)
    assert words.removesuffix(": `make weights` fetches it").removeprefix("no ") in str(error.value)


def test_a_file_whose_digest_is_not_the_recorded_one_ends_the_run_before_training(
    mini_pictures, folder, tmp_path
):
    asked = resolve(CELL, 0, load_profile("mini"), {})
    file = folder / f"{asked.tag}.safetensors"
    shutil.copy(MINI_WEIGHTS / file.name, file)
    record(folder, asked.tag, file=file.name, size=file.stat().st_size, sha256="a" * 64)
    places = Places(tmp_path / "runs", mini_pictures, folder, generated=True)
    with pytest.raises(RunError, match=r"has sha256 [0-9a-f]{12}…, and aaaaaaaaaaaa… is on record"):
        run_cell(CELL, 0, "mini", places)
    run = locate_run(asked, places.runs)
    assert read_json(run.outcome)["state"] == "failed"
    assert not run.checkpoint.exists()
    assert not run.history.exists()
