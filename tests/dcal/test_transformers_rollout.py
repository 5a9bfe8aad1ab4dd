"""RolloutHooks on Hugging Face's models: what is heard is what they return as their attentions."""

import pytest
import torch
import transformers
from small_models import random_images, spread_out
from torch import nn

import dcal

SHAPE = {
    "hidden_size": 24,
    "num_hidden_layers": 3,
    "num_attention_heads": 3,
    "intermediate_size": 32,
    "image_size": 32,
    "patch_size": 8,
}
MODELS = {  # class → prefix tokens
    "ViTModel": 1,
    "ViTForImageClassification": 1,
    "DeiTModel": 2,
    "DeiTForImageClassificationWithTeacher": 2,
    "Dinov2Model": 1,
    "Dinov2WithRegistersModel": 5,
}


def built(name, implementation="eager", **changed):
    kind = getattr(transformers, name)
    config = kind.config_class(**SHAPE | changed)
    config._attn_implementation = implementation
    model = kind(config)
    with torch.no_grad():  # attention that is far from even
        for parameter in spread_out(model).parameters():
            parameter.mul_(2 if parameter.ndim == 2 else 1)
    return model.double().eval()


def heard(model, images, **arguments):
    with dcal.RolloutHooks(model) as hooks:
        outputs = model(images, **arguments)
    return hooks, outputs


@torch.no_grad()
@pytest.mark.parametrize("name", MODELS)
def test_the_rollout_is_made_of_the_attentions_the_model_returns(name):
    """transformers takes its softmax in float32, hence 1e-7."""
    model, images = built(name), random_images(2).double()
    hooks, outputs = heard(model, images, output_attentions=True)
    eye = product = torch.eye(outputs.attentions[0].shape[-1], dtype=torch.float64)
    assert len(outputs.attentions) == 3
    for s in outputs.attentions:
        product = (0.5 * s.double().mean(dim=1) + 0.5 * eye) @ product
    seen = hooks.rollout((1, 3))
    torch.testing.assert_close(seen.row, product[:, 0], rtol=0, atol=1e-7)
    assert (seen.prefix, seen.grid) == (MODELS[name], (4, 4))
    assert seen.top_tokens(0.25).shape == (2, 4)


@torch.no_grad()
@pytest.mark.parametrize("implementation", ["eager", "sdpa"])
@pytest.mark.parametrize("name", ["ViTForImageClassification", "DeiTModel"])
def test_outputs_are_bit_for_bit_those_without_hooks(name, implementation):
    model, images = built(name, implementation), random_images(2).double()
    plain = model(images)
    _, outputs = heard(model, images)
    assert plain.keys() == outputs.keys()
    assert all(torch.equal(plain[key], outputs[key]) for key in plain)


@torch.no_grad()
def test_the_fused_kernel_and_the_eager_one_are_heard_alike():
    images = random_images(2).double()
    rows = [heard(built("ViTModel", kind), images)[0].rollout().row for kind in ("eager", "sdpa")]
    torch.testing.assert_close(*rows, rtol=0, atol=1e-7)


@torch.no_grad()
def test_pictures_of_another_size_have_another_grid():
    model, images = built("ViTModel"), random_images(2, (64, 40)).double()
    hooks, _ = heard(model, images, interpolate_pos_encoding=True)
    assert hooks.rollout().heatmap().shape == (2, 8, 5)


@torch.no_grad()
def test_images_may_be_given_by_name():
    model, images = built("ViTModel"), random_images(2).double()
    with dcal.RolloutHooks(model) as hooks:
        model(pixel_values=images)
    assert torch.equal(hooks.rollout().row, dcal.rollout(model, images).row)


def test_attention_of_another_family_is_refused():
    config = transformers.CLIPVisionConfig(**SHAPE)
    with pytest.raises(ValueError, match="found: 3 CLIPAttention"):
        dcal.RolloutHooks(transformers.CLIPVisionModel(config))


class ViTSelfAttention(nn.Module):
    """Of transformers 5.0, as far as hooks see it: other names of the same projections."""

    __module__ = "transformers.models.vit.modeling_vit"

    def __init__(self, of) -> None:
        super().__init__()
        self.query, self.key, self.of = of.q_proj, of.k_proj, [of]
        self.num_attention_heads = of.num_attention_heads

    def forward(self, x, *more, **named):
        self.query(x), self.key(x)
        return self.of[0](x, *more, **named)


@torch.no_grad()
def test_transformers_older_names_of_the_projections_are_known():
    model, images = built("ViTModel"), random_images(2).double()
    expected = heard(model, images)[0].rollout().row
    for layer in model.layers:
        layer.attention = ViTSelfAttention(layer.attention)
    assert torch.equal(heard(model, images)[0].rollout().row, expected)
