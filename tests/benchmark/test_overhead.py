"""The file of GLCA's cost: counted once for this code, at the paper's sizes whatever the profile."""

import json

import pytest

from benchmark.__main__ import main
from benchmark.records import forecasts
from benchmark.timing import counting, glca_overhead


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    runs = tmp_path_factory.mktemp("it's a folder")
    assert main(["overhead", "--runs", str(runs), "--profile", "quick"]) == 0
    return runs / "quick" / "ablations" / "overhead.json"


@pytest.fixture
def path(written, tmp_path):
    """A copy of the file that a test may change."""
    copied = tmp_path / "overhead.json"
    copied.write_text(written.read_text())
    return copied


@pytest.fixture
def counted(monkeypatch):
    """Calls of the counting, which takes seconds."""
    calls = []
    cost = forecasts.GLCACost(100, 9, 1000, 20, 100)
    monkeypatch.setattr(counting, "glca_cost", lambda *of, **options: calls.append((of, options)) or cost)
    return calls


def test_it_holds_the_published_models_at_the_papers_sizes(written):
    found = forecasts.read_glca_cost(written)
    rounded = {
        pair: (round(cost.parameters_percent), round(cost.multiply_adds_percent))
        for pair, cost in found.costs.items()
    }
    assert rounded == {("cub", "deit_tiny"): (9, 2), ("veri", "vit_base"): (8, 3)}
    assert round(found.costs["cub", "deit_tiny"].rollout_percent, 1) == 18.6  # at 448², not at quick's 224²


@pytest.mark.parametrize(
    ("pair", "patches", "queries", "width", "classes"),
    [(("cub", "deit_tiny"), 784, 78, 192, 200), (("veri", "vit_base"), 256, 76, 768, 0)],
)
def test_it_is_what_the_layers_sizes_give(written, pair, patches, queries, width, classes):
    """classes: 0 where no classifier counts."""
    tokens, square, head = patches + 1, width * width, classes * width
    block = (
        12 * tokens * square + 2 * tokens * tokens * width
    )  # q, k, v, out and the MLP's 4 + 4; scores and sum
    glca = (10 * (queries + 1) + 2 * tokens) * square + 2 * (queries + 1) * tokens * width
    block_parameters, norm = 12 * square + 13 * width, 2 * width
    assert forecasts.read_glca_cost(written).costs[pair] == forecasts.GLCACost(
        parameters=12 * block_parameters + norm + (768 + 1 + tokens + 1) * width + head + classes,
        added_parameters=block_parameters + norm + head + classes,
        multiply_adds=12 * block + patches * 768 * width + head,
        added_multiply_adds=glca + head,
        rollout_multiply_adds=11 * (tokens * tokens * width + tokens * tokens * width // 64),
    )


def test_it_says_which_code_and_versions_counted(written):
    made = forecasts.read_glca_cost(written).made
    assert {"commit", "dirty", "versions", "started", "code", "torch", "timm"} <= made.keys()


def test_what_is_asked_for_is_the_papers_recipe(path, counted):
    path.unlink()
    glca_overhead.complete(path)
    (cub, cub_options), (veri, veri_options) = counted
    assert cub[:3] == ("deit_tiny_patch16_224.fb_in1k", 200, (448, 448))
    assert veri[:3] == ("vit_base_patch16_224.orig_in21k", 576, (256, 256))
    assert (cub[3].ratio, veri[3].ratio) == (0.1, 0.3)
    assert (cub_options, veri_options) == ({"classifier": True}, {"classifier": False})


def test_what_this_code_counted_is_not_counted_again(path, counted):
    before = path.read_bytes()
    glca_overhead.complete(path)
    assert not counted
    assert path.read_bytes() == before


@pytest.mark.parametrize("name", ["code", "torch", "timm"])
def test_what_other_code_or_versions_counted_is(path, counted, name):
    content = json.loads(path.read_text())
    content["made"][name] = "another"
    path.write_text(json.dumps(content))
    assert glca_overhead.complete(path).costs["cub", "deit_tiny"].added_parameters == 9
    assert len(counted) == 2


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content["costs"].pop(),
        lambda content: content["costs"][0]["cost"].update(parameters="many"),
        lambda content: content["costs"][0]["cost"].pop("parameters"),
        lambda content: content.pop("made"),
    ],
    ids=["a model lacks", "no number", "a number lacks", "no origin"],
)
def test_a_file_of_another_form_is_none(path, damage):
    content = json.loads(path.read_text())
    damage(content)
    path.write_text(json.dumps(content))
    assert forecasts.read_glca_cost(path) is None


def test_a_torn_file_is_counted_anew(path, counted):
    path.write_text(path.read_text()[:50])
    assert glca_overhead.complete(path) == forecasts.read_glca_cost(path)
    assert len(counted) == 2


def test_the_text_has_published_and_counted_side_by_side(written):
    first, second = glca_overhead.text(forecasts.read_glca_cost(written)).splitlines()
    assert first.startswith("GLCA, cub/deit_tiny at 448×448: parameters +8.52 % (paper 9 %)")
    assert "multiply-adds +3.40 % (paper 3 %)" in second
