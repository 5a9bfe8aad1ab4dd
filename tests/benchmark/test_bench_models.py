"""Training, unfused and shapes on the mini backbones, in this process: what they time is what they say."""

import json
from types import SimpleNamespace

import pytest
import torch

import benchmark.data.mini.backbones  # noqa: F401 - registers them with timm
from benchmark.errors import RunError
from benchmark.timing.bench import steps, training, unfused
from benchmark.timing.bench.results import Disagreement, table
from benchmark.timing.bench.training import TrainingBars
from benchmark.timing.measure import Measurement, Meter
from benchmark.training.device import prepare

CUB, MARKET, SWIN = "cub/deit_tiny/dcal", "market/deit_small/dcal", "cub/swin_tiny/dcal"


def measured_here(work, **arguments):
    """``measure`` without a process of its own; what would go between the two is JSON all the same."""
    meter = Meter()
    result = work(meter, **json.loads(json.dumps(arguments)))
    return Measurement(meter.seconds, meter.memory_bytes(), json.loads(json.dumps(result)))


@pytest.fixture(autouse=True)
def mini(monkeypatch):
    """The mini recipe in the paper's place, and afterwards torch as it was."""
    threads, deterministic = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    monkeypatch.setattr(steps, "PROFILE", "mini")
    for module in (training, unfused, training):
        monkeypatch.setattr(module, "measure", measured_here)
        monkeypatch.setattr(module, "usable_cores", lambda: 1)
    for module in (training, unfused):
        monkeypatch.setattr(
            module, "measure_memory", lambda work, **arguments: measured_here(work, **arguments).memory_bytes
        )
    yield
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(deterministic)


def built(side, cell, batch=4):
    config, compute = steps.load_recipe(cell), prepare("cpu", "auto", 1)
    return side(config, steps.random_batch(config, batch, compute), compute)


@pytest.mark.parametrize("side", [steps.Ours, steps.Plain])
@pytest.mark.parametrize("cell", [CUB, MARKET])
def test_a_step_moves_every_parameter_that_is_trained(side, cell):
    one = built(side, cell, batch=8)
    one.model.train()
    before = {name: value.detach().clone() for name, value in one.model.named_parameters()}
    one.train()
    trained = {name: value for name, value in one.model.named_parameters() if value.requires_grad}
    assert all(torch.isfinite(value).all() for value in trained.values())
    unmoved = [name for name, value in trained.items() if torch.equal(value, before[name])]
    assert not [name for name in unmoved if "bias" not in name]  # SGD: a key's bias has a gradient of zero


def test_ours_without_dcal_and_the_plain_model_are_the_same_network():
    ours, plain = built(steps.Ours, "cub/deit_tiny/baseline"), built(steps.Plain, CUB)
    theirs = dict(ours.model.backbone.vit.state_dict())
    theirs |= {f"head.{name}": value for name, value in ours.model.sa_head.classifier.state_dict().items()}
    plain.model.load_state_dict(theirs)
    for one in (ours, plain):
        one.model.eval()
    torch.testing.assert_close(ours.infer(), plain.infer(), rtol=1e-5, atol=1e-6)


def test_dcals_inference_is_the_papers_prediction():
    fgvc, reid = built(steps.Ours, CUB), built(steps.Ours, MARKET, batch=8)
    for one in (fgvc, reid):
        one.model.eval()
    torch.testing.assert_close(
        fgvc.infer().sum(dim=1), torch.full((4,), 2.0)
    )  # SA's and GLCA's probabilities
    assert reid.infer().shape == (8, 2 * reid.model.backbone.width)


def test_a_backbone_without_glca_is_measured_with_pwca_alone():
    one = built(steps.Ours, SWIN)
    one.model.train()
    one.train()
    assert one.model.branch_names == ("sa", "pwca")


def test_a_re_id_batch_has_as_many_pictures_of_an_identity_as_the_recipe_takes():
    batch = built(steps.Plain, MARKET, batch=8).batch
    assert batch.labels.tolist() == [0, 0, 0, 0, 1, 1, 1, 1]
    assert built(steps.Plain, CUB).batch.labels.tolist() == [0, 1, 2, 3]


def test_an_optimizers_state_is_made_without_gradients_left():
    one = built(steps.Ours, CUB)
    steps.make_state(one.optimizer)
    trained = [value for value in one.model.parameters() if value.requires_grad]
    assert all(value.grad is None for value in trained)
    assert all(one.optimizer.state[value]["exp_avg"].shape == value.shape for value in trained)


def test_training_has_time_and_memory_of_both_phases_with_bars_that_are_upper_ones():
    case = training.TrainingCase("mini", CUB, 2, 2, repeats=2, bars=TrainingBars(1e9, 1e9, 1e-9))
    rows = training.run("cpu", [case])
    assert [row.quantity for row in rows] == [
        "training step", "training step, memory growth", "inference", "inference, memory growth",
    ]  # fmt: skip
    assert {(row.case, row.other_name, row.cost) for row in rows} == {("mini, batch 2", "timm", True)}
    assert [len(row.ours) for row in rows] == [2, 1, 2, 1]
    assert [len(row.other) for row in rows] == [2, 1, 2, 1]
    assert rows[0].met is True
    assert rows[2].met is False
    assert rows[3].met is None


def test_memory_of_training_counts_what_the_backward_pass_keeps():
    setting = {"cell": CUB, "batch": 64, "device": "cpu", "threads": 1, "side": "timm"}
    train = measured_here(training.work_of_memory, **setting, phase="train").memory_bytes
    infer = measured_here(training.work_of_memory, **setting, phase="infer").memory_bytes
    assert train > 2 * infer


def test_our_step_is_held_against_both_literal_ones_with_a_bar_on_the_second(monkeypatch):
    case = unfused.UnfusedCase("mini", CUB, 2, repeats=2, times=(("pairs", 1e9),))
    rows = unfused.run("cpu", [case])
    assert [(row.quantity, row.other_name, row.met) for row in rows] == [
        ("training step", "literal, batch's tokens", None),
        ("training step, memory growth", "literal, batch's tokens", None),
        ("training step", "literal, both images", False),
        ("training step, memory growth", "literal, both images", None),
    ]
    assert [len(row.other) for row in rows] == [2, 1, 2, 1]
    assert rows[0].ratio == pytest.approx(sum(rows[0].other) / sum(rows[0].ours))
    assert rows[0].ours == rows[2].ours
    assert rows[0].other != rows[2].other
    assert "both images through the network" in rows[2].case
    assert table(rows).count("the literal step") == 2


def test_the_literal_step_of_pairs_runs_their_second_images_through_the_network(monkeypatch):
    streams, written = [], unfused.literal()
    spy = SimpleNamespace(
        loss=written.loss,
        forward=lambda *given, **setting: (
            streams.append(setting["pair_streams"]) or written.forward(*given, **setting)
        ),
    )
    monkeypatch.setattr(unfused, "literal", lambda: spy)
    for way in unfused.WAYS:
        measured_here(unfused.work_of_memory, cell=CUB, batch=2, device="cpu", threads=1, side=way)
    assert streams == [False, False, True, True]


def wrong_loss(written):
    return {"loss": lambda *arguments: 1.001 * written.loss(*arguments)}


def wrong_logits(written):
    def forward(*arguments, **setting):
        found = written.forward(*arguments, **setting)
        found.logits["pwca"][1, 2] += 1e-3 * found.logits["pwca"].abs().max()
        return found

    return {"forward": forward}


def one_other_patch_of_the_second_image(written):
    def forward(*arguments, **setting):
        found = written.forward(*arguments, **setting)
        found.selected[1, 0] = min(set(range(1, 37)) - {*found.selected[1].tolist()})
        return found

    return {"forward": forward}


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        (wrong_loss, "loss"),
        (wrong_logits, "pwca logits"),
        (one_other_patch_of_the_second_image, "images with other local queries': 1.0"),
    ],
)
def test_a_literal_step_that_comes_to_something_else_is_a_disagreement(wrong, named, monkeypatch):
    written = unfused.literal()
    functions = {"forward": written.forward, "loss": written.loss} | wrong(written)
    monkeypatch.setattr(unfused, "literal", lambda: SimpleNamespace(**functions))
    with pytest.raises(Disagreement, match=rf"mini.*{named}"):
        unfused.run("cpu", [unfused.UnfusedCase("mini", CUB, 2, repeats=1)])


def test_the_same_patches_in_another_order_agree(monkeypatch):
    written = unfused.literal()

    def forward(*arguments, **setting):
        found = written.forward(*arguments, **setting)
        return SimpleNamespace(logits=found.logits, selected=found.selected.flip(1))

    monkeypatch.setattr(unfused, "literal", lambda: SimpleNamespace(forward=forward, loss=written.loss))
    setting = {"cell": CUB, "batch": 2, "device": "cpu", "threads": 1}
    found = measured_here(unfused.work_of_agreement, **setting).result
    unfused.check("mini", found)
    assert len(found) == 2 * 5


def test_agreement_is_of_float32_whatever_the_step_is_timed_in(monkeypatch):
    asked = []
    monkeypatch.setattr(
        unfused,
        "prepare",
        lambda device, precision, threads: asked.append(precision) or prepare("cpu", precision, 1),
    )
    setting = {"cell": CUB, "batch": 2, "device": "cpu", "threads": 1}
    unfused.check("mini", measured_here(unfused.work_of_agreement, **setting).result)
    assert asked == ["float32"] * 3
    unfused.check("mini", {"loss": 1e-4})
    with pytest.raises(Disagreement):
        unfused.check("mini", {"loss": float("nan")})


def test_a_checkout_without_the_literal_implementation_is_refused_at_once(monkeypatch, tmp_path):
    monkeypatch.setattr(unfused, "LITERAL", tmp_path / "unfused.py")
    monkeypatch.setattr(unfused, "measure", None)
    with pytest.raises(RunError, match=r"unfused\.py: no such file.* --only"):
        unfused.run("cpu")


def test_shapes_are_table_1s_at_448_and_table_2s_at_both_sizes(monkeypatch):
    monkeypatch.setattr(steps, "PROFILE", "paper")
    at_448 = ["DeiT-Tiny", "DeiT-Small", "DeiT-Base", "ViT-Base", "R50-ViT-Base"]
    expected = {f"{name} 448×448, batch 16" for name in at_448}
    expected |= {f"{name} {size}, batch 64" for name in at_448[:4] for size in ("256×256", "256×128")}
    assert sorted(shape.title for shape in training.shapes()) == sorted(expected)


def test_a_shapes_rates_are_pictures_by_seconds(monkeypatch):
    found = {f"{phase} {side}": [2.0, 4.0] for phase in ("train", "infer") for side in ("ours", "timm")}
    monkeypatch.setattr(training, "measure", lambda *_, **__: Measurement({}, 0, found))
    train, infer = training.run_shapes("cuda", [training.GridShape("mini", CUB, 16)])
    assert (train.unit, list(train.ours), list(infer.other)) == ("pictures/s", [8.0, 4.0], [8.0, 4.0])


def test_a_shape_is_measured_in_both_phases_and_on_both_sides():
    found = measured_here(
        training.work_of_shape, cell=MARKET, batch=8, device="cpu", threads=1, repeats=2
    ).result
    assert {name: len(seconds) for name, seconds in found.items()} == {
        "train ours": 2, "infer ours": 2, "train timm": 2, "infer timm": 2,
    }  # fmt: skip
