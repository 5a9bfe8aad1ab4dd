"""Batches onto the device: in order, none ahead, and on a GPU beside the training stream."""

from contextlib import contextmanager

import pytest
import torch

from benchmark.data.loader import ImageBatch
from benchmark.data.prefetcher import Transfer


def batch(number, *, partner=False):
    return ImageBatch(
        torch.full((2, 4, 4, 3), number), torch.tensor([number, number]), torch.tensor([0, 1]),
        partner_images=torch.full((2, 4, 4, 3), 10 + number) if partner else None, counts=(2,),
    )  # fmt: skip


def test_on_a_cpu_batches_are_made_ready_in_order_when_they_are_asked_for():
    asked, prepared = [], []

    def batches():
        for number in range(3):
            asked.append(number)
            yield batch(number, partner=True)

    def prepare(images, erased):
        prepared.append(int(images.flatten()[0]))
        return images.float()

    ready = Transfer(prepare, torch.device("cpu"))(batches())
    for number in range(3):
        got = next(ready)
        assert asked == list(range(number + 1))
        assert (got.images == number).all()
        assert (got.partner_images == 10 + number).all()
        assert got.labels.tolist() == [number, number]
        assert got.counts == (2,)
    assert sorted(prepared) == [0, 1, 2, 10, 11, 12]
    assert next(ready, None) is None


class FakeGPU:
    """torch.cuda's streams, which write down what is asked of them, and in which of them anything happens."""

    def __init__(self):
        self.events, self.current = [], "training"

    def Stream(self, device):
        return FakeStream("beside", self)

    def current_stream(self, device):
        return FakeStream(self.current, self)

    @contextmanager
    def stream(self, stream):
        self.current, before = stream.name, self.current
        yield
        self.current = before


class FakeStream:
    device = torch.device("cuda:0")

    def __init__(self, name, gpu):
        self.name, self.gpu = name, gpu

    def wait_stream(self, other):
        self.gpu.events.append(f"{self.name} waits for {other.name}")


class FakePictures:
    def __init__(self, name, gpu):
        self.name, self.gpu = name, gpu

    def record_stream(self, stream):
        self.gpu.events.append(f"{self.name} are in use by {stream.name}")


@pytest.mark.parametrize("partner", [False, True])
def test_on_a_gpu_pictures_are_prepared_in_a_stream_that_training_waits_for(monkeypatch, partner):
    gpu = FakeGPU()
    for name in ("Stream", "current_stream", "stream"):
        monkeypatch.setattr(torch.cuda, name, getattr(gpu, name))

    def prepare(images, erased):
        name = f"pictures {int(images.flatten()[0])}"
        gpu.events.append(f"{name} prepared in {gpu.current}")
        return FakePictures(name, gpu)

    transfer = Transfer(prepare, torch.device("cuda:0"))
    assert gpu.events == ["beside waits for training"]
    for ready in transfer(batch(number, partner=partner) for number in (1, 2)):
        number = int(ready.labels[0])
        names = [f"pictures {number}", *([f"pictures {10 + number}"] if partner else [])]
        *prepared, waited = gpu.events[1 : 2 + len(names)]
        assert sorted(prepared) == sorted(f"{name} prepared in beside" for name in names)
        assert waited == "training waits for beside"
        assert gpu.events[2 + len(names) :] == [f"{name} are in use by training" for name in names]
        assert gpu.current == "training"
        del gpu.events[1:]
