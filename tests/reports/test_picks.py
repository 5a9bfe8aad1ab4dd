"""Pictures are picked by a stated rule, from hand-made records."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmark.errors import SettingsError
from reports.heatmaps import pick_images

FILES = [f"images/{name}.jpg" for name in "abcdefgh"]
ROOT = Path(__file__).resolve().parents[2]


def fgvc(*probability, labels=range(8)):
    return {"both_probability": np.array(probability, np.float32), "labels": np.array(labels)}


BASELINE = fgvc(0.5, 0.125, 0.75, 0.25, 0.25, 0.5, 0.75, 0.0)
DCAL = fgvc(0.5, 0.625, 0.25, 0.75, 0.75, 0.0, 0.75, 0.25)  # gains 0, .5, −.5, .5, .5, −.5, 0, .25


def chosen(text, gained=None, seed=0, task="fgvc", files=FILES):
    return pick_images.choose(pick_images.parse(text, seed), files, gained, task=task)


def test_a_gain_is_the_rise_of_the_true_classs_probability():
    np.testing.assert_allclose(
        pick_images.gains("fgvc", BASELINE, DCAL), [0, 0.5, -0.5, 0.5, 0.5, -0.5, 0, 0.25], atol=1e-6
    )


def test_largest_gains_and_losses_come_first_and_ties_go_by_place():
    gained = pick_images.gains("fgvc", BASELINE, DCAL)
    result = chosen("gain=4,loss=2", gained)
    assert [pick.index for pick in result] == [1, 3, 4, 7, 2, 5]
    assert result[0].rule == "largest gain of the true class's probability: +0.50"
    assert result[3].rule == "4th largest gain of the true class's probability: +0.25"
    assert result[4].rule == "largest loss of the true class's probability: −0.50"


def test_of_queries_the_average_precision_counts_and_those_with_nothing_to_find_do_not():
    def reid(ap, hits):
        return {"both_ap": np.array(ap), "both_first_hit": np.array(hits), "identities": np.arange(4)}

    gained = pick_images.gains(
        "reid", reid([0.2, 0.0, 0.5, 0.9], [3, 0, 2, 1]), reid([0.3, 0.0, 0.1, 0.9], [2, 0, 9, 1])
    )
    assert np.isnan(gained[1])
    result = chosen("gain=3,loss=1", gained, task="reid", files=FILES[:4])
    assert [pick.index for pick in result] == [0, 3, 2]
    assert result[0].rule == "largest gain of average precision: +0.10"
    assert result[2].rule == (
        "3rd largest gain of average precision: −0.40; largest loss of average precision: −0.40"
    )
    with pytest.raises(SettingsError, match="3 pictures to choose among"):
        chosen("loss=4", gained, task="reid", files=FILES[:4])


def test_random_pictures_depend_on_their_seed_alone_and_are_distinct():
    first = [pick.index for pick in chosen("random=5", seed=3)]
    assert first == [pick.index for pick in chosen("random=5", gained=np.ones(8), seed=3)]
    assert len(set(first)) == 5
    assert any(first != [pick.index for pick in chosen("random=5", seed=seed)] for seed in range(5))
    assert chosen("random=2", seed=3)[0].rule == "random, seed 3, 2 of 8 test images"
    assert chosen("random=2", task="reid")[0].rule == "random, seed 0, 2 of 8 queries"


def test_every_picture_is_drawn_about_as_often():
    counts = np.zeros(8)
    for seed in range(400):
        for pick in chosen("random=2", seed=seed):
            counts[pick.index] += 1
    assert counts.min() > 60  # of an expected 100
    assert counts.max() < 140


def test_pictures_are_listed_by_place_path_or_name():
    result = chosen("list=7,images/b.jpg,c.jpg")
    assert [pick.index for pick in result] == [7, 1, 2]
    assert {pick.rule for pick in result} == {"listed"}


def test_a_picture_of_two_rules_comes_once_with_both():
    (result,) = chosen("list=1,gain=1", pick_images.gains("fgvc", BASELINE, DCAL))
    assert result.rule == "listed; largest gain of the true class's probability: +0.50"


@pytest.mark.parametrize(
    "text",
    ["", "best=3", "random", "random=0", "random=-1", "gain=two", "list=", "random=1,random=2", "list=3,"],
)
def test_rules_that_are_none_are_refused(text):
    with pytest.raises(SettingsError, match="expected"):
        pick_images.parse(text)


@pytest.mark.parametrize("text", ["random=27", "random=20,gain=4,loss=3", f"list={','.join('a' * 27)}"])
def test_more_pictures_than_there_are_letters_for_are_refused(text):
    with pytest.raises(SettingsError, match="27 pictures, expected at most 26"):
        pick_images.parse(text)


@pytest.mark.parametrize("text", ["random=9", "list=8", "list=z.jpg", "list=.jpg"])
def test_pictures_that_are_not_there_are_refused(text):
    with pytest.raises(SettingsError):
        chosen(text)


def test_a_name_that_two_pictures_have_is_refused():
    with pytest.raises(SettingsError, match="2 of the 2"):
        chosen("list=a.jpg", files=["query/a.jpg", "gallery/a.jpg"])


def test_records_without_probabilities_and_of_other_pictures_are_refused():
    with pytest.raises(SettingsError, match="the DCAL run's predictions have no both_probability"):
        pick_images.gains("fgvc", BASELINE, {"labels": np.arange(8)})
    with pytest.raises(SettingsError, match="different pictures"):
        pick_images.gains("fgvc", BASELINE, fgvc(*[0.5] * 8, labels=[0] * 8))


@pytest.mark.parametrize(
    "module",
    [
        "pick_images",
        "run_pairs",
        "pair_heatmaps",
        "any_image_command",
        "attention_command",
        "overlay_command",
    ],
)
def test_what_works_from_records_alone_does_without_torch_and_matplotlib(module):
    heavy = "{'torch', 'timm', 'matplotlib'}"
    code = f"import sys, reports.heatmaps.{module}; sys.exit(bool({heavy} & sys.modules.keys()))"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0
