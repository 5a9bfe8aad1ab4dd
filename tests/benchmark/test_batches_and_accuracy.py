"""Batches, normalisation, evaluation and accuracy against literal versions."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from benchmark.config.grid import select
from benchmark.config.resolve import load_profile, resolve
from benchmark.data import locate
from benchmark.data.loader import TestLoader, TrainLoader, normalise
from benchmark.data.pair_sampler import PartnerBatches
from benchmark.data.samplers import ShuffledBatches
from benchmark.errors import RunError
from benchmark.evaluation.classification import accuracy, predict
from benchmark.training import device
from dcal.heads import Branch
from dcal.model import Outputs

NAMED = SimpleNamespace(classes=("one", "<b>two</b>", "三"))  # all that a prediction reads of a dataset


@pytest.fixture(scope="module")
def dataset(mini_pictures):
    return locate.load_fgvc("cub", mini_pictures, 3)


@pytest.fixture(scope="module")
def settings():
    return resolve(select(["cub/deit_tiny/dcal"])[0], 0, load_profile("mini"), {}).settings.data


def train_loader(dataset, settings, seed=0, *, paired=False, workers=0):
    sampler = ShuffledBatches(len(dataset.train), 16, seed)
    partners = PartnerBatches(len(dataset.train), sampler, seed) if paired else None
    return TrainLoader(dataset, settings, sampler, seed, partners=partners, workers=workers)


def images_of(loader, epoch, start=0):
    return [batch.images for batch in loader.epoch(epoch, start)]


def test_an_epochs_pictures_are_a_function_of_seed_and_epoch(dataset, settings):
    def fresh(seed=0):
        return train_loader(dataset, settings, seed)

    def same(one, other):
        return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))

    first = images_of(fresh(), 0)
    assert same(first, images_of(fresh(), 0))
    assert same(first[2:], images_of(fresh(), 0, start=2))
    assert not same(first, images_of(fresh(), 1))
    assert not same(first, images_of(fresh(seed=1), 0))


def test_workers_bring_the_same_pictures(dataset, settings):
    alone = images_of(train_loader(dataset, settings), 3)
    helped = train_loader(dataset, settings, workers=2)
    try:
        together = images_of(helped, 3)
    finally:
        helped.close()
    assert all(torch.equal(a, b) for a, b in zip(alone, together, strict=True))


def test_pictures_come_as_uint8_with_their_labels(dataset, settings):
    batch = next(train_loader(dataset, settings).epoch(0))
    assert batch.images.shape == (16, 64, 64, 3)
    assert batch.images.dtype == torch.uint8
    assert batch.labels.tolist() == [dataset.train.labels[index] for index in batch.index.tolist()]


def test_the_partner_stream_is_independent_and_leaves_the_first_alone(dataset, settings):
    plain = list(train_loader(dataset, settings).epoch(0))
    paired = list(train_loader(dataset, settings, paired=True).epoch(0))
    for one, other in zip(plain, paired, strict=True):
        assert torch.equal(one.images, other.images)
        assert torch.equal(one.labels, other.labels)
        assert other.partner_images.shape == other.images.shape
        assert not torch.equal(other.partner_images, other.images)


def test_the_test_split_comes_whole_and_in_order(dataset, settings):
    index = torch.cat([batch.index for batch in TestLoader(dataset, settings, 7, workers=0)])
    assert index.tolist() == list(range(len(dataset.test)))


def test_normalisation_is_that_of_the_weights():
    class Model:
        mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

    images = torch.randint(0, 256, (2, 5, 4, 3), dtype=torch.uint8)
    prepared = normalise(Model, torch.device("cpu"))(images)
    literal = np.empty((2, 3, 5, 4))
    for channel in range(3):
        literal[:, channel] = (images[..., channel].numpy() / 255.0 - Model.mean[channel]) / Model.std[
            channel
        ]
    assert prepared.dtype == torch.float32
    np.testing.assert_allclose(prepared.numpy(), literal, atol=1e-5)


class Scripted(torch.nn.Module):
    """A model whose logits are given by the image's index, which is its first pixel."""

    def __init__(self, sa, glca=None):
        super().__init__()
        self.logits = {"sa": sa, "glca": glca}

    def forward(self, images):
        index = images[:, 0, 0, 0].long()
        sa, glca = (
            None if logits is None else Branch(logits[index], logits[index])
            for logits in self.logits.values()
        )
        return Outputs(sa, glca)


class Indexed:
    """Batches of images that hold their own index."""

    def __init__(self, labels, size):
        self.labels, self.size = labels, size

    def __iter__(self):
        from benchmark.data.loader import ImageBatch

        for start in range(0, len(self.labels), self.size):
            index = torch.arange(start, min(start + self.size, len(self.labels)))
            yield ImageBatch(index.view(-1, 1, 1, 1).expand(-1, 2, 2, 3).float(), self.labels[index], index)


@pytest.mark.parametrize("size", [1, 3, 50, 64])
@pytest.mark.parametrize("classes", [3, 12])
def test_accuracy_equals_a_literal_count_for_any_batch_size(size, classes):
    torch.manual_seed(classes)
    labels = torch.randint(0, classes, (50,))
    sa, glca = torch.randn(50, classes), torch.randn(50, classes)
    found = predict(Scripted(sa, glca), NAMED, Indexed(labels, size), lambda images: images)

    def softmax(row):
        e = [np.exp(value) for value in row]
        return np.array([value / sum(e) for value in e])

    hits = {"top1": 0, "top5": 0, "sa_top1": 0, "glca_top1": 0}
    for i in range(50):
        p_sa, p_glca = softmax(sa[i].double().tolist()), softmax(glca[i].double().tolist())
        order = np.argsort(-(p_sa + p_glca))
        hits["top1"] += int(order[0] == labels[i])
        hits["top5"] += int(labels[i] in order[:5])
        hits["sa_top1"] += int(p_sa.argmax() == labels[i])
        hits["glca_top1"] += int(p_glca.argmax() == labels[i])
        np.testing.assert_allclose(found.probability["both"][i], (p_sa + p_glca)[labels[i]] / 2, rtol=1e-5)
        np.testing.assert_allclose(found.probability["glca"][i], p_glca[labels[i]], rtol=1e-5)
    assert found.metrics() == {name: 100.0 * count / 50 for name, count in hits.items()}


def test_a_baseline_has_one_prediction(dataset):
    labels = torch.tensor([0, 1, 2])
    found = predict(Scripted(torch.eye(3)), NAMED, Indexed(labels, 2), lambda images: images)
    assert found.metrics() == {"top1": 100.0, "top5": 100.0}
    arrays = found.arrays()
    assert set(arrays) == {
        "classes", "labels", "top5_correct", "both_predicted", "both_correct", "both_probability",
    }  # fmt: skip
    assert arrays["classes"].tolist() == list(NAMED.classes)
    probability = math.e / (math.e + 2)  # logits 1, 0, 0
    np.testing.assert_allclose(arrays["both_probability"], [probability] * 3, rtol=1e-6)


def test_evaluation_gives_the_model_back_in_its_mode():
    model = Scripted(torch.eye(3)).train()
    predict(model, NAMED, Indexed(torch.tensor([0, 1, 2]), 2), lambda images: images)
    assert model.training


def test_accuracy_of_nothing_is_refused():
    with pytest.raises(ValueError, match="no images"):
        accuracy(np.array([], dtype=bool))


def test_precision_follows_the_device():
    assert device.prepare("cpu", "auto", 1).precision == "float32"
    assert device.prepare("cpu", "bfloat16", 1).amp == torch.bfloat16
    with pytest.raises(RunError, match="needs a GPU"):
        device.prepare("cpu", "float16", 1)


def test_a_gpu_that_torch_cannot_use_is_refused(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(RunError, match="not to torch"):
        device.prepare("cuda", "auto", 1)
