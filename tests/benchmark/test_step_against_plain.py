"""The harness's training step beside the plain float32 one, written out, and its bf16 step beside that.

Tolerances: float32 to 1e-5 of a value, as the fused kernels add up in another order; bf16 has 8 significant bits: 1 %
of a loss, and of the gradient as a whole 5 %.
"""

import pytest
import timm
import torch
from step_harness import CLASSES, LABELS, TAG, Harness, batches, model_of, settings_of
from torch import nn
from torch.nn import functional as F

from benchmark.training.optim import scaled_lr


class PlainAdamW:
    """Loshchilov and Hutter's algorithm 2, one tensor at a time."""

    def __init__(self, named, lr, decay):
        self.named = {name: p for name, p in named if p.requires_grad}
        self.lr, self.decay, self.t = lr, decay, 0
        self.m = {name: torch.zeros_like(p) for name, p in self.named.items()}
        self.v = {name: torch.zeros_like(p) for name, p in self.named.items()}

    @torch.no_grad()
    def step(self):
        self.t += 1
        for name, p in self.named.items():
            m, v, g = self.m[name], self.v[name], p.grad
            m.copy_(0.9 * m + 0.1 * g)
            v.copy_(0.999 * v + 0.001 * g * g)
            if p.ndim > 1 and not name.endswith(("cls_token", "pos_embed")):
                p.sub_(self.lr * self.decay * p)
            p.sub_(self.lr * m / (1 - 0.9**self.t) / ((v / (1 - 0.999**self.t)).sqrt() + 1e-8))
            p.grad = None


def plain_training(method):
    """Losses of every step and the trained model, without anything of the harness's step and optimizer."""
    settings = settings_of(method)
    model = model_of(settings, method)
    if method == "baseline":
        vit = timm.create_model(TAG, num_classes=CLASSES, img_size=32, drop_path_rate=0.2).train()
        vit.load_state_dict(
            {
                name.replace("backbone.vit.", "").replace("sa_head.classifier.", "head."): value
                for name, value in model.state_dict().items()
            }
        )
        model, parameters, forward = vit, list(vit.named_parameters()), lambda images: [vit(images)]
        w = torch.zeros(1)
    else:
        w = nn.Parameter(torch.full((3,), settings.model.w_init))
        parameters = [*model.named_parameters(), ("w", w)]

        def forward(images):
            outputs = model(images)
            return [outputs.sa.logits, outputs.glca.logits, outputs.pwca.logits]

    optimizer = PlainAdamW(parameters, scaled_lr(settings.train), settings.train.weight_decay)
    torch.manual_seed(7)
    found = []
    for images in batches():
        losses = [F.cross_entropy(logits, LABELS) for logits in forward(images)]
        if method == "baseline":
            total = losses[0]
        else:
            total = sum(0.5 * (torch.exp(-w[b]) * loss + w[b]) for b, loss in enumerate(losses))
        total.backward()
        optimizer.step()
        found.append(torch.stack(losses).detach())
    return torch.stack(found), [value.detach() for _, value in parameters]


@pytest.mark.parametrize("method", ["baseline", "dcal"])
def test_three_steps_are_the_plain_ones(method):
    expected, values = plain_training(method)
    harness = Harness(method)
    losses = harness.train()
    torch.testing.assert_close(losses, expected, rtol=1e-5, atol=0)
    named = [*harness.model.named_parameters(), *harness.weighting.named_parameters()]
    for (name, found), value in zip(named, values, strict=True):
        if name.endswith(
            "attn.qkv.bias"
        ):  # a key's bias has no gradient but rounding, of which Adam makes whole steps
            found, value = (torch.cat((x.chunk(3)[0], x.chunk(3)[2])) for x in (found, value))
        torch.testing.assert_close(
            found, value, rtol=1e-5, atol=2e-6, msg=lambda text, name=name: f"{name}: {text}"
        )


@pytest.mark.parametrize("method", ["baseline", "dcal"])
def test_a_step_in_bf16_is_near_the_one_in_float32(method):
    def step(precision):
        harness = Harness(method, precision)
        torch.manual_seed(7)
        losses = harness.backward(batches()[0])
        assert all(p.dtype == torch.float32 for p in harness.model.parameters())
        return losses, torch.cat([p.grad.flatten() for p in harness.model.parameters() if p.requires_grad])

    (losses, gradient), (expected, plain) = step("bfloat16"), step("float32")
    assert not torch.equal(gradient, plain)
    torch.testing.assert_close(losses, expected, rtol=0.01, atol=0)
    assert (gradient - plain).norm() < 0.05 * plain.norm()
