"""What `dcal.build` cannot build on is refused in words."""

import pytest

import dcal


@pytest.mark.parametrize(
    ("tag", "classes", "said"),
    [
        (
            "vit_tinny_patch16_224",
            5,
            "timm has no model 'vit_tinny_patch16_224'; nearest: vit_tiny_patch16_224",
        ),
        ("vit_tiny_patch16_224", 0, "classes is 0, expected the number of classes"),
        ("resnet18", 5, "resnet18 cannot be built on .*: expected a timm VisionTransformer"),
        ("coat_tiny", 5, "expected a timm VisionTransformer"),
    ],
)
def test_what_dcal_is_not_defined_on_is_refused(tag, classes, said):
    with pytest.raises(ValueError, match=said):
        dcal.build(tag, classes, image_size=32, weights="random")
