"""One small model a family and head, to be saved and exported, with its input size."""

from small_cait import small_cait_dcal
from small_models import small_dcal, spread_out
from small_swin import SIZES, small_swin_dcal

import dcal

PWCA = dcal.PWCASettings()


def glca(**settings):
    return dcal.GLCASettings(**({"ratio": 0.3} | settings))


def hybrid():
    model = dcal.build(
        "small_hybrid.test", 5, image_size=64, weights="random", head="bnneck", glca=glca(), drop_path=0.0
    )
    return spread_out(model)


# name → (model, height and width)
SAVED = {
    "vit": (lambda: small_dcal(glca=glca(readout="mean"), pwca=PWCA, drop_path=0.1), (32, 32)),
    "baseline": (lambda: small_dcal(image_size=(32, 64)), (32, 64)),
    "hybrid, bnneck": (hybrid, (64, 64)),
    "cait": (lambda: small_cait_dcal(glca=glca(), pwca=dcal.PWCASettings(blocks=6)), (32, 32)),
    "swin": (lambda: small_swin_dcal(pwca=dcal.PWCASettings(blocks=8)), SIZES["filled"]),
}


def with_moved_statistics(model):
    """Running statistics of a BNNeck as training leaves them: not 0 and 1."""
    for name, buffer in model.named_buffers():
        if name.endswith("running_mean"):
            buffer.add_(0.3)
        elif name.endswith("running_var"):
            buffer.mul_(1.7)
    return model


def trained_like(name):
    """The model in eval mode, and its input size."""
    make, size = SAVED[name]
    return with_moved_statistics(make()).eval(), size
