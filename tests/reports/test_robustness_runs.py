"""`benchmark evaluate --corrupt` over finished runs: what is written, and from which pictures."""

import json

import numpy as np
import pytest
import torch
from drawn_runs import OVERRIDES

from benchmark.__main__ import main
from benchmark.commands import predict
from benchmark.data import locate
from benchmark.data.corruptions import Corruption
from benchmark.inference import reevaluate, robustness
from benchmark.inference.reevaluate import EvaluationOptions
from benchmark.inference.trained import load_trained
from dcal.model import class_scores
from reports.__main__ import main as reports

pytest_plugins = ["drawn_fixtures"]
PAIR = ("cub/deit_tiny/baseline", "cub/deit_tiny/dcal")


@pytest.fixture
def corrupt(trained, tmp_path, monkeypatch):
    """The command; what it hands to ``python -m reports`` runs in this process."""

    monkeypatch.setattr(predict, "run_reports", reports)

    def run(*models, how, out=tmp_path / "out"):
        return main(["evaluate", "--runs", str(trained), *models, "--corrupt", how, "--out", str(out)])

    return run


def correct(trained, model, corruption):
    """(n,) right or wrong, picture by picture, by the run's own reading of the files."""
    trained_model = load_trained(trained / "mini" / model / "seed0")
    dataset = locate.load_fgvc(
        "cub", trained / "mini" / "data", OVERRIDES["cub/deit_tiny"]["data.class_limit"]
    )
    view = [trained_model.pictures(dataset.root / file) for file in dataset.test.files]
    worse = torch.from_numpy(np.stack([corruption(image, place) for place, image in enumerate(view)]))
    with torch.no_grad():
        scores = class_scores(trained_model.model(trained_model.prepare()(worse)))["both"]
    return scores.argmax(dim=1).numpy() == np.array(dataset.test.labels)


def test_both_models_see_the_same_corrupted_pictures_and_the_recorded_ones(
    corrupt, trained, tmp_path, capsys
):
    assert corrupt(*PAIR, how="occlude=0.4 noise=0.3") == 0
    folder = tmp_path / "out" / "cub" / "deit_tiny"
    record = json.loads((folder / "robustness.json").read_text())
    with np.load(folder / "robustness.npz") as stored:
        outcomes = stored["both_correct"]
    assert [condition["kind"] for condition in record["conditions"]] == ["", "occlude", "noise"]
    assert [run["recorded"] for run in record["runs"]] == ["equal", "equal"]
    for place, model in enumerate(PAIR):
        recorded = json.loads((trained / "mini" / model / "seed0" / "result.json").read_text())["metrics"]
        assert record["runs"][place]["metrics"][0] == recorded
        for condition, corruption in ((1, Corruption("occlude", 0.4)), (2, Corruption("noise", 0.3))):
            expected = correct(trained, model, corruption)
            assert (outcomes[place, condition] == expected).all()
            assert record["runs"][place]["metrics"][condition]["top1"] == 100 * expected.sum() / len(expected)
    assert sorted(path.suffix for path in folder.iterdir()) == [
        ".csv",
        ".json",
        ".md",
        ".npz",
        ".pdf",
        ".png",
    ]
    output = capsys.readouterr().out
    assert "| occlude 0.4 |" in output
    assert "Profile mini is not the paper's recipe" in output


def test_re_identification_counts_average_precision_and_rank_1(corrupt, tmp_path, capsys):
    assert corrupt("market/deit_tiny", how="blur=3") == 0
    table = (tmp_path / "out" / "market" / "deit_tiny" / "robustness.md").read_text()
    assert "DCAL mAP" in table
    assert "DCAL R1" in table
    assert table in capsys.readouterr().out


def test_a_model_that_cannot_be_loaded_is_left_out_and_what_the_others_found_is_drawn(
    runs, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(predict, "run_reports", reports)
    (runs / "mini" / PAIR[0] / "seed0" / "checkpoint.pt").unlink()
    arguments = ("evaluate", "--runs", str(runs), "--corrupt", "blur=3", "--out", str(tmp_path / "out"))
    assert main([*arguments, *PAIR]) == 1
    assert "checkpoint.pt is missing" in capsys.readouterr().err
    table = (tmp_path / "out" / "cub" / "deit_tiny" / "robustness.md").read_text()
    assert "DCAL top-1" in table
    assert "baseline top-1" not in table
    assert main([*arguments, PAIR[0]]) == 2


def test_a_run_twice_or_a_wrong_kind_is_refused_before_anything_is_evaluated(corrupt, tmp_path, capsys):
    assert corrupt(PAIR[0], "cub/deit_tiny", how="blur=3") == 2
    assert corrupt(*PAIR, how="fog=3") == 2
    assert "unknown kind 'fog'" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_models_of_other_pictures_do_not_stand_side_by_side():
    training = {"train.epochs": 2, "data.crop": [8, 8]}
    about = {"profile": "mini", "pictures": "a", "input": [8, 8], "training": training}
    group = robustness.ModelGroup(about, {"labels": np.arange(3)}, [{"run": "x", "source": "A"}])
    for run, labels, other, output in (
        ({"run": "x", "source": "B"}, np.arange(3), {}, "is there already from another source"),
        ({"run": "y", "source": "B"}, np.arange(4), {}, "tested on other pictures"),
        ({"run": "y", "source": "B"}, np.arange(3), {"profile": "quick"}, "profile quick, but A: mini"),
        (
            {"run": "y", "source": "B"},
            np.arange(3),
            {"training": {**training, "train.epochs": 3}},
            "B was trained with train.epochs 3, A with 2",
        ),
    ):
        with pytest.raises(robustness.SettingsError, match=output):
            robustness.require_comparable(group, run, {"labels": labels}, about | other)
    robustness.require_comparable(group, {"run": "y", "source": "B"}, {"labels": np.arange(3)}, about)


def test_out_without_corrupt_is_refused(trained, capsys):
    assert main(["evaluate", "--runs", str(trained), *PAIR, "--out", "x"]) == 2
    assert "--out is the folder for --corrupt" in capsys.readouterr().err


def test_each_ranks_share_of_the_batches_is_drawn_from_its_own_state():
    """Seven batches by three ranks are 3, 2 and 2; the fourth and the sixth begin a share."""
    states = [torch.Generator().manual_seed(rank).get_state() for rank in range(3)]
    generator = torch.Generator().manual_seed(99)
    model = type("Model", (), {"glca": type("GLCA", (), {"generator": generator})})
    drawn = [
        (number, torch.rand(1, generator=generator).item())
        for number in reevaluate.restore_selection(range(7), model, states, 7)
    ]
    expected = []
    for rank, count in enumerate((3, 2, 2)):
        run_network = torch.Generator().manual_seed(rank)
        expected += [torch.rand(1, generator=run_network).item() for _ in range(count)]
    assert drawn == list(enumerate(expected))
    new = torch.rand(1, generator=generator)
    assert new == torch.rand(1, generator=torch.Generator().manual_seed(99))


def test_threads_and_device_are_the_runs_own_unless_others_are_asked_for(trained):
    model = load_trained(trained / "mini" / PAIR[1] / "seed0")
    old = torch.get_num_threads()
    try:
        assert reevaluate.compute_for(model, EvaluationOptions()).threads == model.result["device"]["threads"]
        assert (
            reevaluate.computing_difference(model, reevaluate.compute_for(model, EvaluationOptions())) == ""
        )
        other = reevaluate.compute_for(model, EvaluationOptions(threads=2))
        assert reevaluate.computing_difference(model, other) == "computed with threads 2 instead of 1"
    finally:
        torch.set_num_threads(old)
