"""``make heatmaps`` and ``make heatmap``: files where they were asked for, errors that say what to do."""

import json
import re

import cv2
import numpy as np
import pytest
from drawn_runs import CUB_SET, pair_of

from reports.__main__ import main

pytest_plugins = ["drawn_fixtures"]
TAG = "deit_tiny_patch16_224.fb_in1k"


@pytest.fixture
def picture(tmp_path):
    path = tmp_path / "my bird $1.jpg"
    cv2.imwrite(str(path), np.random.default_rng(0).integers(0, 256, (90, 120, 3), dtype=np.uint8))
    return path


def heatmap(runs, *arguments, overrides=""):
    """The runs were made with a SET, which nobody has to give again."""
    return main(
        ["heatmap", "--profile", "mini", "--runs", str(runs), "--set", overrides, *map(str, arguments)]
    )


def test_heatmaps_are_written_where_asked(trained, tmp_path, capsys):
    arguments = [
        "heatmaps",
        "--profile",
        "mini",
        "--runs",
        str(trained),
        "--cells",
        "cub/deit_tiny",
    ]
    out = ["--out", str(tmp_path / "out"), "--jobs", "1", "--pick", "list=2,0", "--layers", "2-7"]
    assert main([*arguments, *out]) == 0
    record = json.loads((tmp_path / "out" / "cub" / "deit_tiny" / "heatmaps.json").read_text())
    assert [row["index"] for row in record["rows"]] == [2, 0]
    assert record["layers"] == [2, 7]
    assert "heatmaps.png" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--cells", "cub/deit_huge"], "deit_huge"),
        (["--layers", "1-x"], "LAYERS='1-x'"),
        (["--pick", "best=1"], "is no rule"),
    ],
)
def test_what_makes_no_sense_is_refused_at_once(trained, tmp_path, capsys, arguments, message):
    command = ["heatmaps", "--runs", str(trained), "--out", str(tmp_path), "--cells", "cub/deit_tiny"]
    assert main([*command, *arguments]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        ["heatmaps", "--jobs", "0"],
        ["heatmaps", "--pick-seed", "-1"],
        ["attention", "--threads", "0"],
        ["attention", "--workers", "-1"],
        ["attention", "--box-side", "0"],
    ],
)
def test_numbers_that_make_no_sense_are_refused_by_their_option(tmp_path, capsys, arguments):
    with pytest.raises(SystemExit) as ended:
        main([*arguments, "--runs", str(tmp_path)])
    assert ended.value.code == 2
    _, option, value = arguments
    output = (
        rf"error: (\w+ \()?{option}\)?: found '{value}', expected a whole number"  # --jobs is make's JOBS
    )
    assert re.match(output, capsys.readouterr().err)


def test_a_pair_that_is_not_there_is_named_and_fails_the_command(trained, tmp_path, capsys):
    arguments = ["heatmaps", "--runs", str(trained), "--out", str(tmp_path), "--cells", "cars/deit_tiny"]
    assert main(arguments) == 1
    assert "cars/deit_tiny/baseline/seed0 is not done" in capsys.readouterr().err


def test_a_backbone_without_class_token_is_left_out_or_refused_where_nothing_else_is_asked(tmp_path, capsys):
    arguments = ["heatmaps", "--runs", str(tmp_path), "--cells"]
    assert main([*arguments, "cub/swin_tiny"]) == 2
    assert "CELLS='cub/swin_tiny': Swin-T has no class token" in capsys.readouterr().err
    assert main([*arguments, "cub/swin_tiny cub/deit_tiny"]) == 1
    output = capsys.readouterr().err
    assert "swin_tiny: left out: Swin-T has no class token" in output
    assert "cub/deit_tiny/seed0: not drawn: cub/deit_tiny/baseline/seed0 is not done" in output


def test_a_picture_is_drawn_under_both_models_of_a_pair(trained, tmp_path, picture, capsys):
    assert heatmap(trained, "--image", picture, "--cell", "cub/deit_tiny", "--out", tmp_path / "out") == 0
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == [f"my-bird-1_cub_deit_tiny_seed0.{kind}" for kind in ("pdf", "png")]
    output = capsys.readouterr().out
    assert output.count("%") == 6  # three classes under each of two models
    assert "baseline seed 0" in output
    assert "dcal seed 0" in output
    for path in names:
        assert path in output


def test_one_method_and_any_checkpoint_and_re_identification_are_drawn(trained, tmp_path, picture, capsys):
    pair = pair_of(trained)
    single = ["--image", picture, "--cell", "cub/deit_tiny/baseline", "--out", tmp_path / "out"]
    assert heatmap(trained, *single) == 0
    assert "dcal" not in capsys.readouterr().out
    # Other blocks are another figure, and leave the first one there.
    assert heatmap(trained, *single, "--layers", "2-3") == 0
    assert "_blocks2-3.png" in capsys.readouterr().out
    other = ["--cell", "cub/deit_tiny", "--checkpoint", pair.dcal.folder.checkpoint]
    assert heatmap(tmp_path / "nowhere", "--image", picture, *other, "--out", tmp_path / "out") == 0
    person = ["--image", picture, "--cell", "market/deit_tiny/dcal", "--out", tmp_path / "out"]
    assert heatmap(trained, *person) == 0
    assert "names no class" in capsys.readouterr().out
    assert len(list((tmp_path / "out").glob("*.png"))) == 4


@pytest.mark.parametrize("checkpoint", [False, True])
def test_a_figure_says_that_its_recipe_is_not_the_papers(trained, picture, monkeypatch, checkpoint):
    output = []
    monkeypatch.setattr(
        "reports.heatmaps.any_image.draw",
        lambda path, networks, title, warning, *_, **__: output.append(warning) or [],
    )
    options = ["--checkpoint", pair_of(trained).dcal.folder.checkpoint] if checkpoint else []
    overrides = CUB_SET if checkpoint else ""
    assert heatmap(trained, "--image", picture, "--cell", "cub/deit_tiny", *options, overrides=overrides) == 0
    assert output == ["Profile mini with settings changed: not the paper's recipe."]


def test_timms_weights_are_drawn(shared, tmp_path, picture, capsys):
    if not (shared / "weights" / f"{TAG}.safetensors").is_file():
        pytest.skip("needs DeiT-Tiny's weights")
    arguments = [
        "--image",
        picture,
        "--tag",
        TAG,
        "--weights",
        shared / "weights",
        "--size",
        "96x64",
        "--out",
        tmp_path,
    ]
    assert heatmap(tmp_path, *arguments) == 0
    assert (tmp_path / f"my-bird-1_{TAG}.png").is_file()
    assert capsys.readouterr().out.count("%") == 5


REFUSED = {
    "no picture": ([], "which picture"),
    "missing picture": (["--image", "nowhere.jpg", "--cell", "cub/deit_tiny"], "nowhere.jpg: it does not exist"),
    "no model": (["--image", "PICTURE"], "which model"),
    "two models": (["--image", "PICTURE", "--cell", "cub/deit_tiny", "--tag", TAG], "which model"),
    "unknown cell": (["--image", "PICTURE", "--cell", "cub/deit_huge"], "matches none"),
    "several cells": (["--image", "PICTURE", "--cell", "cub"], "expected one"),
    "not finished": (["--image", "PICTURE", "--cell", "cub/deit_small"], "cub/deit_small/baseline/seed0 is not done"),
    "several seeds": (["--image", "PICTURE", "--cell", "cub/deit_tiny", "--seeds", "0 1"], "one seed"),
    "other settings": (
        ["--image", "PICTURE", "--cell", "cub/deit_tiny", "--set", "train.epochs=7"],
        "train.epochs is 1: a finished run is read as it was made, with SET='data.class_limit=3 train.epochs=1 eval",
    ),
    "layers": (["--image", "PICTURE", "--cell", "cub/deit_tiny", "--layers", "0-3"], "1 ≤ a ≤ b ≤ 12"),
    "reversed layers": (["--image", "PICTURE", "--cell", "cub/deit_tiny", "--layers", "5-3"], "1 ≤ a ≤ b ≤ 12"),
    "missing checkpoint": (["--image", "PICTURE", "--cell", "cub/deit_tiny", "--checkpoint", "no.pt"], "no such che"),
    "size of a cell": (["--image", "PICTURE", "--cell", "cub/deit_tiny", "--size", "64x64"], "--size is for --tag"),
    "size": (["--image", "PICTURE", "--tag", TAG, "--size", "large"], "224x224"),
    "checkpoint of a tag": (["--image", "PICTURE", "--tag", TAG, "--checkpoint", "a.pt"], "needs the --cell"),
    "no class token": (
        ["--image", "PICTURE", "--cell", "cub/swin_tiny", "--checkpoint", "BASELINE"],
        "CELL='cub/swin_tiny' cannot be looked into: Swin-T has no class token",
    ),
    "other method": (
        ["--image", "PICTURE", "--cell", "cub/deit_tiny/dcal", "--checkpoint", "BASELINE"],
        "is of method baseline",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("arguments", "message"), REFUSED.values(), ids=REFUSED)
def test_errors_say_what_to_do(trained, tmp_path, picture, capsys, arguments, message):
    real = {"PICTURE": str(picture), "BASELINE": str(pair_of(trained).baseline.folder.checkpoint)}
    assert heatmap(trained, "--out", tmp_path / "out", *[real.get(word, word) for word in arguments]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert message in error
    assert not (tmp_path / "out").exists()


def test_a_torn_picture_and_a_torn_checkpoint_are_named(runs, tmp_path, picture, capsys):
    picture.write_bytes(picture.read_bytes()[:500])
    assert heatmap(runs, "--image", picture, "--cell", "cub/deit_tiny", "--out", tmp_path) == 2
    assert "truncated" in capsys.readouterr().err
    checkpoint = pair_of(runs).dcal.folder.checkpoint
    checkpoint.write_bytes(checkpoint.read_bytes()[:5000])
    assert heatmap(runs, "--image", picture, "--cell", "cub/deit_tiny", "--out", tmp_path) == 2
    assert "checkpoint.pt is torn" in capsys.readouterr().err
