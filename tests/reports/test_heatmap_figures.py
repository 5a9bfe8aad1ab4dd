"""A pair's figure: what it shows is what the models say, it is drawn once, and one broken pair is a reason in words."""

import json
import shutil

import numpy as np
import pytest
import torch
from drawn_runs import pair_of

from benchmark.errors import DataError, RunError, SettingsError
from reports.heatmaps import attention_maps, networks, pair_heatmaps, pick_images
from reports.heatmaps.pair_figure import METHODS
from reports.heatmaps.ranked_lists import is_true_match, nearest

pytest_plugins = ["drawn_fixtures"]


@pytest.fixture(autouse=True)
def _one_thread():
    torch.set_num_threads(1)


def test_the_record_says_what_the_models_say(runs):
    pair = pair_of(runs)
    record = pair_heatmaps.draw(pair)
    assert json.loads((pair.folder / "heatmaps.json").read_text()) == record
    assert record["files"] == ["heatmaps.png", "heatmaps.pdf", "heatmaps.webp"]
    assert pair.folder == runs / "mini" / "figures" / "cub" / "deit_tiny"
    test, result = pair.dataset.test, {m: getattr(pair, m).predictions for m in METHODS}
    assert record["layers"] == [1, 11]
    for row in record["rows"]:
        index = row["index"]
        assert test.files[index] == row["file"]
        assert row["true"] == {"class": pair.dataset.classes[test.labels[index]]}
        for method, arrays in result.items():
            output = row[method]
            predicted = pair.dataset.classes.index(output["predicted"])
            assert predicted == arrays["both_predicted"][index]
            assert output["correct"] == arrays["both_correct"][index]
            assert output["as_recorded"] is True
            np.testing.assert_allclose(
                output["true_probability"], arrays["both_probability"][index], atol=1e-5
            )
            assert output["confidence"] >= output["true_probability"]
            assert (output["confidence"] == output["true_probability"]) == output["correct"]
        assert row["scale"]["rollout"] == [0, max(row[method]["rollout_max"] for method in METHODS)]
        assert row["rule"] in record["caption"]
    gained = pick_images.gains("fgvc", result["baseline"], result["dcal"])
    by_rule = {row["rule"].split("; ")[-1].split(":")[0]: row["index"] for row in record["rows"]}
    assert gained[by_rule["largest gain of the true class's probability"]] == gained.max()
    assert gained[by_rule["largest loss of the true class's probability"]] == gained.min()


def test_a_mini_figure_says_that_its_numbers_are_not_the_papers(runs):
    record = pair_heatmaps.draw(pair_of(runs))
    assert "not comparable with the paper" in record["caption"]
    assert "generated" in record["warning"]
    for part in ("CUB-200-2011", "DeiT-Tiny", "mini", "seed 0"):
        assert part in record["title"]


def test_confidence_is_the_probability_of_the_papers_prediction(runs):
    pair = pair_of(runs)
    network = networks.load_run(pair.dcal)
    picture = network.pictures(pair.dataset.root / pair.dataset.test.files[0])
    (attention,), _ = attention_maps.attention_maps(network, [picture], None, has_classes=True)
    pixels = torch.from_numpy(picture).permute(2, 0, 1)[None] / 255
    mean, std = (torch.tensor(of).view(1, 3, 1, 1) for of in (network.model.mean, network.model.std))
    with torch.no_grad():
        outputs = network.model((pixels - mean) / std)
    expected = (outputs.sa.logits.softmax(1) + outputs.glca.logits.softmax(1))[0] / 2
    np.testing.assert_allclose(attention.scores, expected, atol=1e-5)
    assert attention.rollout.sum() / 64 + attention.class_token_share == pytest.approx(1, abs=1e-5)


def test_a_figure_is_drawn_once_for_the_same_weights_data_picks_and_layers(runs):
    pair, other = pair_of(runs), pick_images.parse("list=0")
    assert pair_heatmaps.is_outdated(pair)
    assert pair_heatmaps.draw_if_outdated(pair) == ""
    drawn = (pair.folder / "heatmaps.png").stat().st_mtime_ns
    assert not pair_heatmaps.is_outdated(pair_of(runs))
    assert pair_heatmaps.draw_if_outdated(pair_of(runs)) == ""
    assert (pair.folder / "heatmaps.png").stat().st_mtime_ns == drawn
    assert pair_heatmaps.is_outdated(pair, other)
    assert pair_heatmaps.is_outdated(pair, layers=(2, 3))
    pair.dcal.result["final_weights_sha256"] = "0" * 64
    assert pair_heatmaps.is_outdated(pair)
    (pair.folder / "heatmaps.pdf").unlink()
    assert pair_heatmaps.is_outdated(pair_of(runs))


def test_layers_are_drawn_as_asked_and_refused_as_none(runs):
    pair, rules = pair_of(runs), pick_images.parse("list=0,5")
    record = pair_heatmaps.draw(pair, rules, (3, 4))
    assert record["layers"] == [3, 4]
    assert "blocks 3–4" in record["caption"]
    with pytest.raises(SettingsError, match="1 ≤ a ≤ b ≤ 12"):
        pair_heatmaps.draw(pair, rules, (3, 13))
    assert json.loads((pair.folder / "heatmaps.json").read_text()) == record  # the figure there stays


def test_an_unreadable_picture_is_named(runs):
    pair = pair_of(runs)
    file = pair.dataset.root / pair.dataset.test.files[5]
    file.write_bytes(file.read_bytes()[:-200])
    with pytest.raises(DataError, match=file.name):
        pair_heatmaps.draw(pair, pick_images.parse("list=4,5"))
    assert file.name in pair_heatmaps.draw_if_outdated(pair, pick_images.parse("list=5"))
    assert pair_heatmaps.draw_if_outdated(pair, pick_images.parse("list=4")) == ""


def test_a_query_is_shown_with_its_record_and_its_ranked_lists(runs):
    pair = pair_of(runs, "market/deit_tiny")
    record = pair_heatmaps.draw(pair)
    assert record["files"] == [
        "heatmaps.png",
        "heatmaps.pdf",
        "heatmaps.webp",
        "ranked.png",
        "ranked.pdf",
        "ranked.webp",
    ]
    assert record["patches"] == [8, 4]
    for row in record["rows"]:
        index = row["index"]
        assert row["file"] == pair.dataset.query.files[index]
        for method in METHODS:
            result = getattr(pair, method).predictions
            assert row[method]["ap"] == result["both_ap"][index]
            assert row[method]["first_hit"] == result["both_first_hit"][index]
            assert row[method]["correct"] == result["both_rank1_correct"][index]


def test_ranked_lists_leave_out_what_the_evaluation_removes_and_mark_the_first_hit(runs):
    pair = pair_of(runs, "market/deit_tiny")
    query, gallery = pair.dataset.query, pair.dataset.gallery
    for index in range(len(query)):
        places = nearest(pair, "dcal", index)
        assert len(places) == 10
        identity = (query.labels[index], query.cameras[index])
        assert all((gallery.labels[place], gallery.cameras[place]) != identity for place in places)
        right = [is_true_match(pair, index, place) for place in places]
        hit = int(pair.dcal.predictions["both_first_hit"][index])
        assert (right.index(True) + 1 if any(right) else 0) == (hit if hit <= 10 else 0)


def test_a_list_that_names_what_the_evaluation_removes_is_refused(runs):
    pair = pair_of(runs, "market/deit_tiny")
    query, gallery = pair.dataset.query, pair.dataset.gallery
    expected = [
        (q, g)
        for q in range(len(query))
        for g in range(len(gallery))
        if (gallery.labels[g], gallery.cameras[g]) == (query.labels[q], query.cameras[q])
    ]
    index, place = expected[0]
    pair.dcal.predictions["both_nearest"][index, 3] = place
    with pytest.raises(RunError, match="do not belong together"):
        nearest(pair, "dcal", index)


BROKEN = {
    "no checkpoint": (lambda pair: pair.dcal.folder.checkpoint.unlink(), r"no checkpoint\.pt"),
    "torn checkpoint": (
        lambda pair: pair.dcal.folder.checkpoint.write_bytes(pair.dcal.folder.checkpoint.read_bytes()[:5000]),
        r"checkpoint\.pt is torn",
    ),
    "no data": (lambda pair: shutil.rmtree(pair.places.data), "CUB_200_2011"),
    "predictions of another run": (
        lambda pair: shutil.copy(pair.baseline.folder.predictions, pair.dcal.folder.predictions),
        "its digest is",
    ),
    "no result": (
        lambda pair: pair.baseline.folder.result.unlink(),
        "cub/deit_tiny/baseline/seed0 is not done",
    ),
}


@pytest.mark.parametrize(("damage", "message"), BROKEN.values(), ids=BROKEN)
def test_what_cannot_be_drawn_is_a_reason_in_words(runs, damage, message):
    damage(pair_of(runs))
    reason = pair_heatmaps.draw_if_outdated(pair_of(runs))
    assert reason
    assert message.replace("\\", "") in reason
    assert not (runs / "mini" / "figures" / "cub").exists()


def test_other_data_than_the_runs_were_made_from_are_refused(runs):
    pair = pair_of(runs)
    lists = pair.places.data / "CUB_200_2011" / "classes.txt"
    lists.write_text(lists.read_text() + "\n")
    # The state itself becomes stale where the lists changed: nothing is drawn over other pictures.
    assert "other data" in pair_heatmaps.draw_if_outdated(pair_of(runs))


def test_weights_of_another_run_with_the_same_settings_are_refused(runs):
    pair = pair_of(runs)
    record = pair.dcal.folder.result
    digest = pair.dcal.result["final_weights_sha256"]
    record.write_text(record.read_text().replace(digest, "f" * 64))
    with pytest.raises(RunError, match="do not belong together"):
        networks.load_run(pair.dcal)


def test_a_fault_of_the_code_is_a_reason_too(runs, monkeypatch):
    def broken(*_):
        raise ZeroDivisionError("by nothing")

    monkeypatch.setattr(pair_heatmaps, "draw", broken)
    assert pair_heatmaps.draw_if_outdated(pair_of(runs)) == "ZeroDivisionError: by nothing"


def test_many_pairs_are_drawn_by_processes_and_one_failure_is_its_own(runs):
    good, bad = pair_of(runs), pair_of(runs, "market/deit_tiny")
    good.dcal.predictions["labels"]  # an open file does not go to another process
    content = bad.dcal.folder.checkpoint.read_bytes()
    bad.dcal.folder.checkpoint.write_bytes(content[:-5000])
    reasons = pair_heatmaps.draw_many([good, bad], processes=2, rules=pick_images.parse("list=0"))
    assert reasons[good.id] == ""
    assert "torn" in reasons[bad.id]
    assert (good.folder / "heatmaps.png").is_file()
    assert pair_heatmaps.draw_many([good], rules=pick_images.parse("list=0")) == {good.id: ""}
