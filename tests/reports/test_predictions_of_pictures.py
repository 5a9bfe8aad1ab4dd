"""`benchmark predict`: the classes of any picture as the run's evaluation saw them, and the overlay."""

import re
import shutil

import cv2
import numpy as np
import pytest
from PIL import Image

from benchmark.__main__ import main
from benchmark.commands import predict as drawing
from benchmark.data import locate
from benchmark.inference.predict import picture_reader
from benchmark.inference.trained import load_trained
from reports.__main__ import main as reports

pytest_plugins = ["drawn_fixtures"]
DCAL, BASELINE, MARKET = "cub/deit_tiny/dcal", "cub/deit_tiny/baseline", "market/deit_tiny/dcal"


@pytest.fixture
def predict(trained, monkeypatch):
    """The command; what it hands to ``python -m reports`` runs in this process."""

    monkeypatch.setattr(drawing, "run_reports", reports)
    return lambda *arguments: main(["predict", "--runs", str(trained), *map(str, arguments)])


@pytest.fixture
def pictures(trained):
    """Files of the test split of the first three classes, in order."""
    dataset = locate.load_fgvc("cub", trained / "mini" / "data", 3)
    return [dataset.root / file for file in dataset.test.files]


def columns(text):
    """The printed table: its heads, and a list of (percent, class) by column."""
    head, *rows = [line for line in text.splitlines() if line.startswith("  ")]
    cells = [re.findall(r"([\d.]+)%  (\S+)", row) for row in rows]
    return head.split(), [list(column) for column in zip(*cells, strict=True)]


def test_each_branch_says_what_it_said_in_the_runs_evaluation(predict, trained, pictures, tmp_path, capsys):
    with np.load(trained / "mini" / DCAL / "seed0" / "predictions.npz") as stored:
        recorded = dict(stored)
    for place in (0, 31):
        out = tmp_path / f"{place}.png"
        assert predict("--image", pictures[place], "--model", DCAL, "--out", out) == 0
        heads, result = columns(capsys.readouterr().out)
        assert heads == ["both", "SA", "GLCA"]
        for branch, column in zip(("both", "sa", "glca"), result, strict=True):
            shares = {name: float(share) for share, name in column}
            assert sum(shares.values()) == pytest.approx(100, abs=0.02)  # there are three classes
            assert list(shares.values()) == sorted(shares.values(), reverse=True)
            assert next(iter(shares)) == recorded["classes"][recorded[f"{branch}_predicted"][place]]
            true = recorded["classes"][recorded["labels"][place]]
            assert shares[true] == pytest.approx(100 * recorded[f"{branch}_probability"][place], abs=0.006)
        assert cv2.imread(str(out)) is not None
        assert out.with_suffix(".pdf").is_file()


def test_several_pictures_each_get_a_figure_and_a_baseline_has_one_column(
    predict, pictures, tmp_path, capsys
):
    arguments = ("--image", *pictures[:2], "--model", BASELINE, "--out", tmp_path / "figures", "--top", "1")
    assert predict(*arguments) == 0
    output = capsys.readouterr().out
    assert output.count("prediction") == 2
    assert "GLCA" not in output
    assert len(re.findall(r"\d%  ", output)) == 2
    figures = sorted(path.name for path in (tmp_path / "figures").glob("*.png"))
    assert figures == sorted(f"{picture.name}_cub_deit_tiny_baseline_seed0.png" for picture in pictures[:2])


def test_a_photograph_is_shown_upright_and_otherwise_as_the_test_pictures(trained, pictures, tmp_path):
    model = load_trained(trained / "mini" / DCAL / "seed0")
    assert (picture_reader(model)(pictures[0]) == model.pictures(pictures[0])).all()
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90°, as phones write it
    upright = np.random.default_rng(0).integers(0, 255, (64, 96, 3), dtype=np.uint8)
    Image.fromarray(upright).save(tmp_path / "upright.png")
    Image.fromarray(np.rot90(upright)).save(tmp_path / "turned.png", exif=exif)
    view = [picture_reader(model)(tmp_path / name) for name in ("upright.png", "turned.png")]
    assert (view[0] == view[1]).all()


def test_re_identification_asks_for_a_gallery_and_finds_the_picture_itself_first(
    predict, trained, tmp_path, capsys
):
    people = trained / "mini" / "data" / "Market-1501-v15.09.15" / "bounding_box_test"
    names = sorted(path.name for path in people.iterdir())[:30]
    (tmp_path / "gallery").mkdir()
    for name in names:
        shutil.copy(people / name, tmp_path / "gallery")
    arguments = ("--image", people / names[7], "--model", MARKET, "--out", tmp_path / "x.png")
    assert predict(*arguments) == 2
    assert "--gallery FOLDER lists the nearest pictures" in capsys.readouterr().err
    assert predict(*arguments, "--gallery", tmp_path / "gallery", "--top", "3") == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines() if line.startswith("  ")][1:]
    assert len(lines) == 3
    assert lines[0] == ["1.0000", names[7]]
    assert float(lines[1][0]) >= float(lines[2][0])
    two = ("--image", people / names[11], people / names[7], "--model", MARKET, "--out", tmp_path / "two")
    assert predict(*two, "--gallery", tmp_path / "gallery", "--top", "3") == 0
    result = [line.split() for line in capsys.readouterr().out.splitlines() if line.startswith("  ")]
    assert result[1] == ["1.0000", names[11]]
    assert [line[-1] for line in result[5:]] == [line[-1] for line in lines]
    assert predict(*two, "--gallery", tmp_path / "nowhere") == 2
    assert capsys.readouterr().out == ""


def torn(picture, folder):
    (folder / "torn.jpg").write_bytes(picture.read_bytes()[:-500])
    return folder / "torn.jpg"


def text(_, folder):
    (folder / "text.jpg").write_text("no picture")
    return folder / "text.jpg"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (torn, "the image is truncated"),
        (text, "cannot be decoded, expected an image"),
        (lambda _, folder: folder, "no picture: cannot read"),
        (lambda _, folder: folder / "none.jpg", "it does not exist"),
    ],
    ids=["torn", "text", "folder", "missing"],
)
def test_what_is_no_picture_is_refused_before_anything_is_said(
    predict, pictures, tmp_path, capsys, make, message
):
    wrong = make(pictures[0], tmp_path)
    assert predict("--image", pictures[0], wrong, "--model", DCAL, "--out", tmp_path / "figures") == 2
    result = capsys.readouterr()
    assert f"{wrong}" in result.err
    assert message in result.err
    assert result.out == ""


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (("--model", "cub/deit_tiny"), "is 2 models"),
        (("--model", "cub/deit_tiny/dcl"), "nearest: cub/deit_tiny/dcal"),
        (("--model", DCAL, "--out", "a.gif"), "expected a file .png"),
        (("--model", DCAL, "--gallery", "."), "--gallery is for re-identification"),
    ],
)
def test_what_makes_no_sense_is_refused(predict, pictures, capsys, more, message):
    assert predict("--image", pictures[0], *more) == 2
    assert message in capsys.readouterr().err


def test_a_picture_is_not_overwritten_by_its_figure(predict, pictures, tmp_path, capsys):
    picture = tmp_path / "bird.png"
    Image.open(pictures[0]).save(picture)
    old = picture.read_bytes()
    assert predict("--image", picture, "--model", DCAL, "--out", tmp_path / "." / "bird.png") == 2
    assert "is the picture itself, which it would overwrite" in capsys.readouterr().err
    assert picture.read_bytes() == old


def test_two_pictures_of_one_name_are_not_drawn_over_each_other(predict, pictures, tmp_path, capsys):
    other = shutil.copy(pictures[0], tmp_path)
    assert predict("--image", pictures[0], other, "--model", DCAL, "--out", tmp_path / "figures") == 2
    assert "two pictures are called" in capsys.readouterr().err
