"""Re-identification runs from pictures to record: numbers against the textbook, resumption, bad input."""

import json
import shutil

import numpy as np
import pytest
import textbook
import torch
from quick_runs import StopAfter

import dcal
from benchmark.config.grid import select
from benchmark.config.places import MINI_WEIGHTS, Places
from benchmark.config.resolve import load_profile, resolve
from benchmark.data import locate
from benchmark.data.images import read_image
from benchmark.errors import DataError
from benchmark.records.heartbeat import RunInterrupt
from benchmark.records.run_folder import locate_run, read_result
from benchmark.training import checkpoint, run
from benchmark.training.request import Infrastructure

QUICK = {"train.epochs": 2, "train.warmup_epochs": 0, "train.batch_size": 16, "evaluate.every": 1}
# The paper's optimizer and groups; the mini recipe has AdamW.
QUICK |= {"train.optimizer": "sgd", "train.bias_lr": 2.0, "train.decay_all": True, "train.weight_decay": 1e-4}
LOADER = {**QUICK, "model.pwca_pairing": "loader"}


def cell_of(text):
    return select([text])[0]


DCAL, BASELINE = cell_of("market/deit_tiny/dcal"), cell_of("market/deit_tiny/baseline")


def run_cell(places, cell=DCAL, overrides=QUICK, stop=None, **infrastructure):
    return run.run_cell(
        cell,
        0,
        "mini",
        places,
        overrides=overrides,
        infrastructure=Infrastructure(quiet=True, **infrastructure),
        stop=stop,
    )


def folder(places, cell=DCAL, overrides=QUICK):
    return locate_run(resolve(cell, 0, load_profile("mini"), overrides), places.runs)


@pytest.fixture(scope="module")
def finished(tmp_path_factory, mini_pictures):
    """A finished DCAL run with its places; tests must not change it."""
    places = Places(tmp_path_factory.mktemp("finished"), mini_pictures, MINI_WEIGHTS, generated=True)
    return places, run_cell(places)


def literal_features(model, root, split, size):
    """SA and GLCA class tokens before the neck, one picture at a time, by timm's and the model's own parts."""
    found = {"sa": [], "glca": []}
    from PIL import Image

    for file in split.files:
        resized = Image.fromarray(read_image(root / file)).resize(size[::-1], Image.Resampling.BICUBIC)
        scaled = (np.array(resized) / 255.0 - np.array(model.mean)) / np.array(model.std)
        picture = torch.from_numpy(scaled).permute(2, 0, 1)[None].float()
        with torch.no_grad():
            outputs = model(picture)
        for name, branch in (("sa", outputs.sa), ("glca", outputs.glca)):
            found[name].append(branch.feature[0].double().numpy())
    return found


def test_the_recorded_numbers_are_the_textbooks_on_the_final_weights(finished):
    import benchmark.data.mini.backbones  # noqa: F401 - registers them with timm

    places, result = finished
    settings = resolve(DCAL, 0, load_profile("mini"), QUICK).settings
    dataset = locate.load_reid("market", places.data)
    model = dcal.build(
        result["weights"]["tag"], 32, image_size=settings.data.crop, weights=places.weights, head="bnneck",
        glca=settings.model.glca(), pwca=settings.model.pwca(),
    ).eval()  # fmt: skip
    files = folder(places)
    model.load_state_dict(checkpoint.newest(files, result["config_hash"])["model"])
    queries = literal_features(model, dataset.root, dataset.query, settings.data.crop)
    gallery = literal_features(model, dataset.root, dataset.gallery, settings.data.crop)

    def unit(vector):
        return vector / np.linalg.norm(vector)

    stored = np.load(files.predictions)
    for branch in ("sa", "glca", "both"):
        if branch == "both":
            q, g = (
                [unit(np.concatenate(pair)) for pair in zip(of["sa"], of["glca"], strict=True)]
                for of in (queries, gallery)
            )
        else:
            q, g = ([unit(vector) for vector in of[branch]] for of in (queries, gallery))
        found = [
            textbook.one_query(
                [float(-np.dot(one, other)) for other in g],
                identity,
                camera,
                dataset.gallery.labels,
                dataset.gallery.cameras,
            )
            for one, identity, camera in zip(q, dataset.query.labels, dataset.query.cameras, strict=True)
        ]
        np.testing.assert_allclose(stored[f"{branch}_ap"], [one.ap for one in found], atol=1e-3)
        assert (stored[f"{branch}_first_hit"] == [one.first_hit for one in found]).mean() > 0.97
        prefix = "" if branch == "both" else f"{branch}_"
        assert result["metrics"][f"{prefix}mAP"] == pytest.approx(textbook.mean_ap(found), abs=0.05)


def test_the_record_states_data_protocol_and_what_was_left_out(finished):
    places, result = finished
    dataset = locate.load_reid("market", places.data)
    assert read_result(folder(places)) == (result, "")
    assert result["data"]["coverage"] == "generated"
    assert result["data"]["protocol"].startswith(
        "single query; gallery pictures of the query's identity and camera"
    )
    assert result["data"]["query_images"] == len(dataset.query)
    assert result["evaluation"]["queries"] == len(dataset.query)
    assert set(result["best"]) == {"epoch", "mAP"}
    with np.load(folder(places).predictions) as stored:
        assert stored["identities"].tolist() == list(dataset.query.labels)
        assert stored["cameras"].tolist() == list(dataset.query.cameras)
        correct = stored["both_rank1_correct"][stored["both_first_hit"] > 0]
        assert result["metrics"]["R1"] == 100.0 * correct.sum() / len(correct)
        # The first picture of the ranked list is right exactly where Rank-1 is.
        first = np.array(dataset.gallery.labels)[stored["both_nearest"][:, 0]]
        assert ((first == stored["identities"]) == stored["both_rank1_correct"]).all()


def test_history_shows_the_last_epochs_numbers_and_three_losses(finished):
    places, result = finished
    lines = [json.loads(line) for line in folder(places).history.read_text().splitlines()]
    assert lines[-1]["metrics"] == result["metrics"]
    assert set(lines[0]["loss"]) == {"sa", "glca", "pwca"} == set(lines[0]["w"])


def test_a_baseline_has_one_branch(places):
    result = run_cell(places, BASELINE)
    assert set(result["metrics"]) == {"mAP", "R1", "R5", "R10"}


@pytest.mark.parametrize(("cell", "overrides"), [(BASELINE, QUICK), (DCAL, QUICK), (DCAL, LOADER)])
def test_stopped_in_mid_epoch_and_resumed_ends_with_the_same_weights(places, finished, cell, overrides):
    other = Places(places.runs / "whole", places.data, places.weights, generated=True)
    whole = finished[1] if (cell, overrides) == (DCAL, QUICK) else run_cell(other, cell, overrides)
    for steps in (5, 12):
        with pytest.raises(RunInterrupt):
            run_cell(places, cell, overrides, stop=StopAfter(steps))
    resumed = run_cell(places, cell, overrides)
    assert resumed["cost"]["attempts"] == 3
    assert resumed["final_weights_sha256"] == whole["final_weights_sha256"]
    assert resumed["metrics"] == whole["metrics"]


def test_worker_processes_do_not_change_the_numbers(places, finished):
    assert run_cell(places, workers=2)["final_weights_sha256"] == finished[1]["final_weights_sha256"]


def test_half_precision_keeps_the_triplet_and_the_ranking_in_float32(places):
    result = run_cell(places, overrides={**QUICK, "train.epochs": 1, "train.precision": "bfloat16"})
    assert result["device"]["precision"] == "bfloat16"
    assert 0 < result["metrics"]["mAP"] < 100


def test_running_statistics_of_the_neck_are_those_of_the_self_attention_branch_alone(places):
    """One step from given weights: the neck's running mean moved by SA's batch mean and by nothing else."""
    import benchmark.data.mini.backbones  # noqa: F401 - registers them with timm
    from benchmark.training.tasks import TASKS

    torch.manual_seed(0)
    model = dcal.build(
        "mini_deit_tiny_patch8_48.generic", 8, image_size=(64, 32), weights=places.weights, head="bnneck",
        drop_path=0.0, pwca=resolve(DCAL, 0, load_profile("mini"), QUICK).settings.model.pwca(),
    ).train()  # fmt: skip
    images, labels = torch.randn(8, 3, 64, 32), torch.arange(4).repeat_interleave(2)
    outputs = model(images)
    sum(TASKS["reid"].loss(branch, labels) for branch in outputs.branches().values()).backward()
    moved = 0.1 * outputs.sa.feature.detach().mean(dim=0)
    torch.testing.assert_close(model.sa_head.neck.running_mean, moved)
    assert not torch.allclose(outputs.pwca.feature.mean(dim=0), outputs.sa.feature.mean(dim=0), rtol=1e-3)


def test_msmt17_says_which_version_and_lists_it_was_trained_on(places):
    overrides = {**QUICK, "train.epochs": 1}
    cell = cell_of("msmt17/deit_tiny/baseline")
    merged = run_cell(places, cell, overrides)
    alone = Places(places.runs / "alone", places.data, places.weights, generated=True)
    plain = run_cell(alone, cell, {**overrides, "data.merge_val": False})
    assert merged["data"]["version"] == "V1, train + val"
    assert plain["data"]["version"] == "V1, train only"
    assert merged["data"]["train_images"] > plain["data"]["train_images"]


@pytest.fixture
def own_market(tmp_path, mini_pictures):
    """A copy of the mini Market-1501 that a test may damage, as official pictures of a user's."""
    root = tmp_path / "own"
    shutil.copytree(mini_pictures / "Market-1501-v15.09.15", root / "Market-1501-v15.09.15")
    return Places(tmp_path / "runs", root, MINI_WEIGHTS, generated=False)


def market(places):
    return places.data / "Market-1501-v15.09.15"


def test_a_name_that_does_not_parse_is_refused_and_left_out_where_that_is_asked_for(own_market):
    first = sorted((market(own_market) / "query").glob("*.jpg"))[0]
    first.rename(first.with_name("somebody.jpg"))
    with pytest.raises(DataError, match=r"somebody\.jpg"):
        run_cell(own_market)
    overrides = {**QUICK, "train.epochs": 1, "data.skip_unparsable": True}
    result = run_cell(own_market, overrides=overrides)
    assert result["data"]["skipped_images"] == 1


def test_more_identities_a_batch_than_the_set_has_is_refused(places):
    with pytest.raises(DataError, match=r"needs 40 identities .* has 32"):
        run_cell(places, overrides={**QUICK, "train.batch_size": 160})


def test_an_identity_in_train_and_test_is_refused(own_market):
    for file in sorted((market(own_market) / "query").glob("*.jpg"))[:1]:
        shutil.copy(file, market(own_market) / "bounding_box_train" / file.name)
    with pytest.raises(DataError, match="in train and test"):
        run_cell(own_market)


def test_an_empty_gallery_is_refused(own_market):
    for file in (market(own_market) / "bounding_box_test").glob("*.jpg"):
        file.unlink()
    with pytest.raises(DataError, match="gallery"):
        run_cell(own_market)


def test_queries_whose_identity_no_other_camera_saw_are_refused_if_it_is_all_of_them(own_market):
    for file in (market(own_market) / "bounding_box_test").glob("*.jpg"):
        identity = file.name.partition("_")[0]
        if identity not in ("0000", "-1"):
            file.unlink()
    with pytest.raises(DataError, match=r"quer"):
        run_cell(own_market)


def test_a_torn_picture_is_named_and_nothing_trained_is_lost(own_market):
    train = sorted((market(own_market) / "bounding_box_train").glob("*.jpg"))
    with pytest.raises(RunInterrupt):
        run_cell(own_market, stop=StopAfter(14))
    whole = {file: file.read_bytes() for file in train}
    for file in train:
        file.write_bytes(whole[file][:300])
    with pytest.raises(DataError, match=r"truncated|cannot be decoded"):
        run_cell(own_market)
    for file, content in whole.items():
        file.write_bytes(content)
    run_cell(own_market)
    assert "going on from epoch 1, step 15" in folder(own_market).log.read_text()
