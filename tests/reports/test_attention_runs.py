"""The measure over a whole test set: every picture once, by the models of the runs, with the boxes of the pictures."""

import json

import numpy as np
import pytest
import torch
from drawn_runs import pair_of

import dcal
from benchmark.data.readers import cub_boxes
from benchmark.errors import DataError, RunError, SettingsError
from reports.__main__ import main
from reports.heatmaps import networks as models
from reports.heatmaps.attention_run import measure

pytest_plugins = ["drawn_fixtures"]


@pytest.fixture(autouse=True)
def _one_thread():
    torch.set_num_threads(1)


def test_every_picture_is_measured_as_it_is_alone(runs):
    pair = pair_of(runs)
    record = measure(pair)
    assert json.loads((pair.folder / "attention.json").read_text()) == record
    with np.load(pair.folder / "attention.npz") as stored:
        arrays = dict(stored)
    files = pair.dataset.test.files
    assert arrays["files"].tolist() == list(files)
    assert record["pictures"] == len(files) == 60
    assert record["runs"] == pair.identity
    boxes = cub_boxes.load_boxes(pair.dataset.root)
    networks = {"baseline": models.load_run(pair.baseline), "dcal": models.load_run(pair.dcal)}
    for place in (0, 31, 32, 59):  # batches hold 32
        for method, network in networks.items():
            picture = network.pictures(pair.dataset.root / files[place])
            outputs = network.inspect([picture], (1, 11))
            view = cub_boxes.view_box(
                boxes.boxes[files[place]], boxes.sizes[files[place]], network.pictures.view
            )
            covered = cub_boxes.patch_coverage(view, (64, 64), (8, 8)).ravel()
            for name, row in {method: outputs.rollout, "glca": outputs.glca}.items():
                if row is None:
                    continue
                p = row[0, 1:].double().numpy()
                p /= p.sum()
                assert arrays[f"{name}_entropy"][place] == pytest.approx(-(p * np.log(p)).sum(), abs=1e-5)
                assert arrays[f"{name}_inside_box"][place] == pytest.approx((p * covered).sum(), abs=1e-5)
                assert arrays["area_inside_box"][place] == pytest.approx(covered.mean())
    for name in ("baseline", "dcal", "glca"):
        assert record["measures"]["top_tenth"][name] == pytest.approx(arrays[f"{name}_top_tenth"].mean())


def test_a_measure_of_the_same_runs_is_the_same(runs):
    assert measure(pair_of(runs)) == measure(pair_of(runs))


def test_re_identification_is_measured_without_boxes(runs):
    pair = pair_of(runs, "market/deit_tiny")
    record = measure(pair)
    assert record["boxes"] is None
    assert "inside_box" not in record["measures"]
    assert record["pictures"] == len(pair.dataset.query) + len(pair.dataset.gallery)
    with pytest.raises(SettingsError, match="BOX_SIDE is about"):
        measure(pair, box_side=500)


def test_without_a_list_of_boxes_the_rest_is_measured(runs):
    pair = pair_of(runs)
    (pair.dataset.root / "bounding_boxes.txt").unlink()
    record = measure(pair)
    assert record["boxes"] is None
    assert set(record["measures"]) == {"entropy", "effective_patches", "entropy_share", "top_tenth"}


def test_boxes_of_larger_pictures_are_refused_until_their_side_is_named(runs):
    pair = pair_of(runs)
    path = pair.dataset.root / "bounding_boxes.txt"
    sizes = [max(size) for size in cub_boxes.load_boxes(pair.dataset.root).sizes.values()]
    plain, lines = measure(pair), [line.split() for line in path.read_text().splitlines()]
    # As if the pictures of the largest size were halved copies.
    times = [2 if size == max(sizes) else 1 for size in sizes]
    path.write_text(
        "".join(
            f"{number} {' '.join(str(factor * float(value)) for value in box)}\n"
            for factor, (number, *box) in zip(times, lines, strict=True)
        )
    )
    with pytest.raises(DataError, match="stick out"):
        measure(pair)
    record = measure(pair, box_side=2 * max(sizes))
    assert record["boxes"]["scaled"] == times.count(2)
    assert "scaled by 0.5" in record["boxes"]["scaling"]
    assert record["measures"] == plain["measures"]


def test_layers_are_the_same_for_both_models(runs):
    pair = pair_of(runs)
    assert measure(pair, layers=(4, 6))["layers"] == [4, 6]
    with np.load(pair.folder / "attention.npz") as stored:
        result = stored["baseline_entropy"][0]
    network = models.load_run(pair.baseline)
    picture = network.pictures(pair.dataset.root / pair.dataset.test.files[0])
    row = (
        dcal.inspect(network.model, network.prepare(torch.from_numpy(picture)[None]), (4, 6))
        .rollout[0, 1:]
        .double()
    )
    p = row / row.sum()
    assert result == pytest.approx(float(-(p * p.log()).sum()), abs=1e-5)


def test_a_torn_picture_is_named_and_nothing_is_written(runs):
    pair = pair_of(runs)
    file = pair.dataset.root / pair.dataset.test.files[40]
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(DataError, match=file.name):
        measure(pair)
    assert not (pair.folder / "attention.json").exists()


def test_runs_that_are_not_done_are_refused(runs):
    pair = pair_of(runs)
    pair.dcal.folder.result.unlink()
    with pytest.raises(RunError, match="is not done"):
        measure(pair_of(runs))


def test_the_command_prints_the_measures_and_goes_on_behind_a_failure(trained, tmp_path, capsys):
    arguments = ["attention", "--runs", str(trained), "--out", str(tmp_path)]
    assert main([*arguments, "--cells", "cars/deit_tiny cub/deit_tiny"]) == 1
    output = capsys.readouterr()
    assert "cars/deit_tiny/seed0: not measured" in output.err
    assert "cub/deit_tiny/seed0: not measured" not in output.err
    for heading in ("entropy (nats)", "mass in top 10 %", "mass inside box", "not comparable"):
        assert heading in output.out
    assert (tmp_path / "cub" / "deit_tiny" / "attention.json").is_file()
