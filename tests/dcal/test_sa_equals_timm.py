"""The self-attention stream is timm's: with DCAL off, and as DCAL's SA branch, on small models and real weights."""

import cv2
import numpy as np
import pytest
import safetensors.torch
import timm
import torch
from small_models import FAMILIES, NATIVE, random_images, small_backbone, spread_out

import dcal
from dcal.backbones import make_adapter
from dcal.model import DCAL

DEIT_TINY = "deit_tiny_patch16_224.fb_in1k"
# ImageNet-1k's birds: cock to great grey owl, black grouse to black swan, white stork to albatross.
BIRDS = {*range(7, 25), *range(80, 101), *range(127, 147)}
FLOAT32 = {"rtol": 0, "atol": 1e-5}


def timm_and_dcal(family: str, **settings) -> tuple[torch.nn.Module, DCAL]:
    """A headed timm model, and DCAL on its weights with its classifier as the SA classifier."""
    headed = spread_out(small_backbone(family, num_classes=5)).eval()
    headless = small_backbone(family)
    headless.load_state_dict({k: v for k, v in headed.state_dict().items() if not k.startswith("head.")})
    model = DCAL(make_adapter(headless), 5, **settings)
    model.sa_head.classifier.load_state_dict(headed.head.state_dict())
    return headed, model


@pytest.mark.parametrize("family", FAMILIES)
def test_baseline_logits_equal_timms_forward(family):
    headed, model = timm_and_dcal(family)
    images = random_images(3, NATIVE[FAMILIES[family][0]])
    outputs = model.eval()(images)
    assert outputs.glca is None
    assert outputs.pwca is None
    torch.testing.assert_close(outputs.sa.logits, headed(images), **FLOAT32)


@pytest.mark.parametrize("mode", ["eval", "train"])
@pytest.mark.parametrize("family", FAMILIES)
def test_sa_branch_of_dcal_equals_timms_forward(family, mode):
    """GLCA and PWCA run beside the self-attention stream and leave it alone."""
    headed, model = timm_and_dcal(family, glca=dcal.GLCASettings(), pwca=dcal.PWCASettings())
    images = random_images(3, NATIVE[FAMILIES[family][0]])
    outputs = model.train(mode == "train")(images)
    torch.testing.assert_close(outputs.sa.logits, headed(images), **FLOAT32)


@pytest.mark.parametrize(
    ("refused", "why"),
    [
        ({"reg_tokens": 2}, "prefix tokens"),
        ({"class_token": False, "global_pool": "avg"}, "class token"),
        ({"global_pool": "avg"}, "pooling"),
        ({"attn_drop_rate": 0.1}, "block 1 .*without dropout on it"),
    ],
)
def test_variants_that_the_method_is_not_defined_on_are_refused(refused, why):
    with pytest.raises(ValueError, match=why):
        make_adapter(small_backbone(**refused))


def test_families_without_an_adapter_are_refused():
    with pytest.raises(ValueError, match="no adapter for ResNet"):
        make_adapter(timm.create_model("test_resnet"))


# ---- real weights on real photographs ---------------------------------------------------------------------


@pytest.fixture(scope="module")
def weights_file(shared):
    file = shared / "weights" / f"{DEIT_TINY}.safetensors"
    if not file.is_file():
        pytest.skip(f"needs DeiT-Tiny's weights: no {file}")
    return file


@pytest.fixture(scope="module")
def imagenet_timm(weights_file):
    """timm's DeiT-Tiny with the file's own ImageNet classifier, loaded without dcal."""
    model = timm.create_model(DEIT_TINY, pretrained=False)
    model.load_state_dict({k: v.float() for k, v in safetensors.torch.load_file(weights_file).items()})
    return model.eval()


def imagenet_dcal(weights_file, **settings) -> DCAL:
    model = dcal.build(DEIT_TINY, 1000, image_size=224, weights=weights_file.parent, **settings)
    file = safetensors.torch.load_file(weights_file)
    model.sa_head.classifier.load_state_dict({"weight": file["head.weight"], "bias": file["head.bias"]})
    return model.eval()


@pytest.fixture(scope="module")
def photographs(shared):
    """48 CUB photographs, two of every class where there are 24 classes: shorter side 256, centre 224, RGB 0…1."""
    folders = sorted(path for path in (shared / "data/CUB_200_2011/images").glob("*") if path.is_dir())
    files = [file for folder in folders for file in sorted(folder.glob("*.jpg"))[:2]][:48]
    if len(files) < 48:
        pytest.skip(f"needs 48 CUB photographs: found {len(files)}")
    return torch.stack([photograph(file) for file in files])


def photograph(file) -> torch.Tensor:
    image = cv2.cvtColor(cv2.imread(str(file)), cv2.COLOR_BGR2RGB)
    height, width = image.shape[:2]
    scale = 256 / min(height, width)
    size = (max(256, round(width * scale)), max(256, round(height * scale)))
    image = cv2.resize(image, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
    top, left = (size[1] - 224) // 2, (size[0] - 224) // 2
    return (
        torch.from_numpy(np.ascontiguousarray(image[top : top + 224, left : left + 224])).permute(2, 0, 1)
        / 255
    )


def normalised(model: DCAL, photographs: torch.Tensor) -> torch.Tensor:
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (model.mean, model.std))
    return (photographs - mean) / std


@torch.no_grad()
def test_real_weights_give_timms_logits_and_see_birds_in_photographs_of_birds(
    weights_file, imagenet_timm, photographs
):
    """59 of ImageNet's 1,000 classes are birds. Measured: 44 of 48 photographs have a bird as their top-1; asserted:
    at least 40. A backbone that lost its weights would see about 3."""
    model = imagenet_dcal(weights_file)
    images = normalised(model, photographs)
    logits = model(images).sa.logits
    torch.testing.assert_close(logits, imagenet_timm(images), rtol=0, atol=1e-4)
    birds = sum(label in BIRDS for label in logits.argmax(dim=1).tolist())
    assert birds >= 40, f"{birds} of {len(photographs)} photographs of birds are seen as birds"


@torch.no_grad()
def test_real_weights_give_the_baselines_logits_in_the_sa_branch_of_dcal(
    weights_file, imagenet_timm, photographs
):
    model = imagenet_dcal(weights_file, glca=dcal.GLCASettings(), pwca=dcal.PWCASettings())
    images = normalised(model, photographs[:8])
    torch.testing.assert_close(model(images).sa.logits, imagenet_timm(images), rtol=0, atol=1e-4)
