"""The class token's rollout as a chain of rows: the same numbers as the product of matrices, without the maps."""

import weakref

import pytest
import torch
from small_models import random_images, small_dcal
from torch.utils._python_dispatch import TorchDispatchMode

import dcal
from dcal import attention_rollout


def queries_keys(blocks, batch, heads, tokens, width=16, dtype=torch.float64, scale=1.5, seed=0):
    generator = torch.Generator().manual_seed(seed)
    shape = (batch, heads, tokens, width)
    draw = lambda: scale * torch.randn(shape, generator=generator, dtype=torch.float64)  # noqa: E731
    return [(draw().to(dtype), draw().to(dtype)) for _ in range(blocks)]


def literal_product(pairs, image):
    """Eq. 2 in float64 from explicit softmax maps, for one image of the batch."""
    tokens = pairs[0][0].shape[2]
    product = torch.eye(tokens, dtype=torch.float64)
    for q, k in pairs:
        mean = torch.zeros(tokens, tokens, dtype=torch.float64)
        for h in range(q.shape[1]):
            scores = q[image, h].double() @ k[image, h].double().T / q.shape[3] ** 0.5
            mean += scores.softmax(dim=1) / q.shape[1]
        product = (0.5 * mean + 0.5 * torch.eye(tokens, dtype=torch.float64)) @ product
    return product


@pytest.mark.parametrize(
    ("blocks", "batch", "heads", "tokens"), [(1, 1, 1, 5), (2, 3, 2, 17), (11, 2, 3, 65), (11, 1, 6, 129)]
)
def test_row_equals_the_first_row_of_the_matrix_product(blocks, batch, heads, tokens):
    """Absolute difference below 1e-12 in float64; entries are about 1/tokens."""
    pairs = queries_keys(blocks, batch, heads, tokens)
    row = dcal.rollout_row(pairs)
    for image in range(batch):
        assert (row[image] - literal_product(pairs, image)[0]).abs().max() < 1e-12


@pytest.mark.parametrize("budget", [0, 10**9])
def test_row_is_the_same_head_by_head_and_all_heads_at_once(budget, monkeypatch):
    monkeypatch.setattr(attention_rollout, "SCORE_BYTES", budget)
    pairs = queries_keys(3, 2, 4, 9)
    assert (dcal.rollout_row(pairs)[1] - literal_product(pairs, 1)[0]).abs().max() < 1e-12


def test_row_in_float32_at_785_tokens_is_within_1e_6_of_float64():
    """784 patches at 448². Relative to the entry; measured 3e-7 and below."""
    pairs = queries_keys(11, 1, 3, 785, width=64, dtype=torch.float32, scale=1.0)
    row = dcal.rollout_row(pairs)
    exact = dcal.rollout_row([(q.double(), k.double()) for q, k in pairs])
    assert row.dtype == torch.float32
    assert ((row.double() - exact) / exact).abs().max() < 1e-6


def test_half_precision_queries_are_rolled_out_in_float32():
    pairs = queries_keys(3, 1, 2, 33, dtype=torch.bfloat16)
    exact = dcal.rollout_row([(q.double(), k.double()) for q, k in pairs])
    with torch.autocast("cpu", dtype=torch.bfloat16):
        row = dcal.rollout_row(pairs)
    assert row.dtype == torch.float32
    torch.testing.assert_close(row.double(), exact, rtol=1e-5, atol=0)


def test_every_row_sums_to_one():
    row = dcal.rollout_row(queries_keys(11, 4, 3, 50))
    assert (row.sum(dim=1) - 1).abs().max() < 1e-12


def test_matrix_equals_the_literal_product():
    pairs = queries_keys(4, 2, 3, 21)
    matrix = dcal.rollout_matrix([attention_rollout.attention_map(q, k) for q, k in pairs])
    for image in range(2):
        assert (matrix[image] - literal_product(pairs, image)).abs().max() < 1e-12


def test_nothing_to_roll_out_is_refused():
    with pytest.raises(ValueError, match="at least one block"):
        dcal.rollout_row([])
    with pytest.raises(ValueError, match="at least one block"):
        dcal.rollout_matrix([])


class Allocations(TorchDispatchMode):
    """Elements of the tensors made while it is on: the largest, the most alive at once, and those alive now."""

    def __init__(self, *given: torch.Tensor) -> None:
        super().__init__()
        self.given = {tensor.untyped_storage().data_ptr() for tensor in given}
        self.users, self.live, self.peak, self.largest = {}, 0, 0, 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        for tensor in result if isinstance(result, tuple | list) else (result,):
            if isinstance(tensor, torch.Tensor):
                self._made(tensor)
        return result

    def _made(self, tensor: torch.Tensor) -> None:
        storage = tensor.untyped_storage()
        key, size = storage.data_ptr(), storage.nbytes() // tensor.element_size()
        if key in self.given or key == 0:
            return
        self.users[key] = self.users.get(key, 0) + 1
        if self.users[key] == 1:
            self.live += size
        self.peak = max(self.peak, self.live)
        self.largest = max(self.largest, tensor.numel())
        weakref.finalize(tensor, self._gone, key, size)

    def _gone(self, key: int, size: int) -> None:
        self.users[key] -= 1
        if self.users[key] == 0:
            del self.users[key]
            self.live -= size


def allocations_of_a_row(blocks: int, heads: int, tokens: int = 65, batch: int = 2):
    pairs = queries_keys(blocks, batch, heads, tokens, width=4, dtype=torch.float32)
    with Allocations(*(tensor for pair in pairs for tensor in pair)) as made:
        row = dcal.rollout_row(pairs)
    return made, row


def test_row_holds_one_heads_map_of_the_batch_however_many_heads_and_blocks(monkeypatch):
    monkeypatch.setattr(attention_rollout, "SCORE_BYTES", 0)  # as little as possible, as at 448²
    one_map = 4 * 65 * 65
    few, _ = allocations_of_a_row(blocks=2, heads=2, batch=4)
    many, _ = allocations_of_a_row(blocks=11, heads=12, batch=4)
    assert many.peak == few.peak
    assert many.peak <= one_map


def test_row_takes_heads_together_only_within_its_budget(monkeypatch):
    one_map = 2 * 65 * 65
    budget = 7 * one_map
    monkeypatch.setattr(attention_rollout, "SCORE_BYTES", 4 * budget)
    made, _ = allocations_of_a_row(blocks=2, heads=12)
    assert 0.8 * budget < made.peak <= budget


def test_row_keeps_nothing_but_itself():
    made, row = allocations_of_a_row(blocks=4, heads=3)
    assert made.live == row.numel()


def test_row_asks_for_no_gradient():
    pairs = [(q.requires_grad_(), k.requires_grad_()) for q, k in queries_keys(2, 1, 2, 5)]
    assert not dcal.rollout_row(pairs).requires_grad


def test_a_training_step_keeps_no_attention_map_for_the_backward_pass():
    """A B×H×(N+1)×(N+1) tensor would be the largest at 144 patches; the fused kernel keeps none."""
    model = small_dcal(image_size=96, glca=dcal.GLCASettings(), pwca=dcal.PWCASettings())
    images, map_size = random_images(2, 96), 2 * 3 * 145 * 145
    saved = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: saved.append(t.numel()) or t, lambda t: t):
        model(images)
    assert saved
    assert max(saved) < map_size
