"""`--weights ViT-B_16.npz`: one file under Google's names, through a whole run."""

import numpy as np
import timm
import torch
from own_folders import write_class_picture
from weight_writers import google_layout

from benchmark.__main__ import main
from benchmark.config.places import MINI_WEIGHTS
from benchmark.records.run_folder import RunFolder, read_result

TAG = "mini_vit_base_patch8_48.generic"


def test_a_run_starts_from_the_tensors_of_the_one_file(tmp_path):
    import benchmark.data.mini.backbones  # noqa: F401 - registers it with timm

    source = timm.create_model(TAG.partition(".")[0], checkpoint_path=MINI_WEIGHTS / f"{TAG}.safetensors")
    np.savez(tmp_path / "ViT-B_16.npz", **google_layout(source))
    for number in range(4):
        colour = ((230, 20, 20), (20, 20, 230))[number % 2]
        write_class_picture(tmp_path / "mine" / "ab"[number % 2] / f"{number}.png", colour, number)

    places = ["--profile", "mini", "--data", str(tmp_path), "--runs", str(tmp_path / "runs")]
    still = ["--set", "train.epochs=1 train.lr=1e-30"]  # a step that moves nothing
    weights = ["--weights", str(tmp_path / "ViT-B_16.npz")]
    assert main(["run", "mine/vit_base/dcal", "--quiet", "--threads", "1", *places, *weights, *still]) == 0

    folder = RunFolder(tmp_path / "runs/mini/mine/vit_base/dcal/seed0")
    assert read_result(folder)[0]["weights"]["file"] == "ViT-B_16.npz"
    ended = torch.load(folder.checkpoint, weights_only=True)["model"]
    resized_or_dropped = {"pos_embed", "head.weight", "head.bias"}
    for name, tensor in source.state_dict().items():
        if name not in resized_or_dropped:
            assert torch.equal(ended[f"backbone.vit.{name}"], tensor), name
