"""Rollout and input of the bench on tiny sizes: the ways that are compared come to the same, or it refuses."""

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from benchmark.timing.bench import input, rollout
from benchmark.timing.bench.results import Disagreement
from benchmark.timing.measure import Measurement, Meter

ROLLOUT = rollout.RolloutCase("tiny", batch=2, heads=3, tokens=17, blocks=4, repeats=2, times=1e9)
INPUT = input.InputCase("tiny", (30, 40), (44, 44), (32, 32), count=3, repeats=2, times=1e9)


@pytest.fixture(autouse=True)
def measured_here(monkeypatch):
    """``measure`` without a process of its own, and afterwards torch and OpenCV as they were."""
    threads, deterministic = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    decoders = cv2.getNumThreads()

    def measure(work, **arguments):
        meter = Meter()
        result = work(meter, **arguments)
        return Measurement(meter.seconds, meter.memory_bytes(), result)

    for module in (rollout, input):
        monkeypatch.setattr(module, "measure", measure)
    monkeypatch.setattr(
        rollout, "measure_memory", lambda work, **arguments: measure(work, **arguments).memory_bytes
    )
    monkeypatch.setattr(rollout, "usable_cores", lambda: 1)
    yield
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(deterministic)
    cv2.setNumThreads(decoders)


def literal_row(queries_keys):
    """First row of S̄_i … S̄_1, image by image and head by head."""
    q, _ = queries_keys[0]
    batch, heads, tokens, width = q.shape
    rows = []
    for image in range(batch):
        product = torch.eye(tokens)
        for q, k in queries_keys:
            maps = [torch.softmax(q[image, h] @ k[image, h].T / width**0.5, dim=-1) for h in range(heads)]
            product = (0.5 * sum(maps) / heads + 0.5 * torch.eye(tokens)) @ product
        rows.append(product[0])
    return torch.stack(rows)


@pytest.mark.parametrize("way", rollout.WAYS)
def test_every_way_gives_the_first_row_of_the_equation(way):
    drawn = rollout.draw(2, 3, 17, 4, 64, torch.device("cpu"))
    expected = literal_row(drawn)
    assert (expected[:, 1:].std(dim=1) / expected[:, 1:].mean()).min() > 0.1  # not uniform
    torch.testing.assert_close(rollout.WAYS[way](drawn), expected, rtol=1e-5, atol=1e-7)


def test_the_row_chain_is_compared_with_both_others_in_time_and_memory():
    rows = rollout.run("cpu", [ROLLOUT])
    assert [(row.quantity, row.other_name) for row in rows] == [
        (quantity, name)
        for name in ("matrix product", "fused kernel's gradient")
        for quantity in ("time", "memory growth")
    ]
    assert rows[0].met is False
    assert rows[1].most == 2 * 17 * 17 * 4 / 1e6  # one head's map of the batch in float32
    assert [row.times or row.most for row in rows[2:]] == [None, None]
    assert [len(row.ours) for row in rows] == [2, 1, 2, 1]


@pytest.mark.parametrize("way", ["product", "fused"])
def test_a_way_that_comes_to_another_row_is_a_disagreement(monkeypatch, way):
    right = rollout.WAYS[way]
    monkeypatch.setitem(rollout.WAYS, way, lambda drawn: 1.001 * right(drawn))
    with pytest.raises(Disagreement, match=way):
        rollout.run("cpu", [ROLLOUT])


def test_both_pipelines_are_timed_over_the_same_files_in_both_views():
    rows = input.run([INPUT])
    assert [row.quantity for row in rows] == [
        "training view, worker's share", "training view, normalised too",
        "test view, worker's share", "test view, normalised too",
    ]  # fmt: skip
    assert [row.met for row in rows] == [False, None, False, None]
    assert {(row.unit, len(row.ours), len(row.other)) for row in rows} == {("ms", 2, 2)}


def test_pipelines_that_show_other_pictures_disagree(monkeypatch):
    right = input.read_image
    monkeypatch.setattr(input, "read_image", lambda path: right(path)[..., ::-1].copy())
    with pytest.raises(Disagreement, match="tiny"):
        input.run([INPUT])


def test_both_batches_are_whole_and_of_the_types_that_they_are_handed_on_in(tmp_path):
    files = input.write_photographs(tmp_path, 3, (30, 40))
    view = input.ViewSettings((44, 44), (32, 32))
    ours = input.uint8_batch(files, view, "train")
    usual = input.usual_batch(files, input.usual_transform(view, "train"))
    assert (ours.shape, ours.dtype) == ((3, 32, 32, 3), torch.uint8)
    assert (usual.shape, usual.dtype) == ((3, 3, 32, 32), torch.float32)


def test_made_up_photographs_are_always_the_same_and_as_large_as_real_ones(tmp_path):
    (path,) = input.write_photographs(tmp_path, 1, (375, 500))
    with Image.open(path) as image:
        assert image.size == (500, 375)
        decoded = np.asarray(image).astype(float)
    np.testing.assert_array_equal(input.photograph(0, (30, 40)), input.photograph(0, (30, 40)))
    assert np.abs(decoded - input.photograph(0, (375, 500))).mean() < 8
    assert not np.array_equal(input.photograph(0, (30, 40)), input.photograph(1, (30, 40)))
    assert 0.25 < path.stat().st_size / (375 * 500) < 0.75  # bytes a pixel of photographs at this quality
