"""DCAL, dual cross-attention learning, on timm backbones.

    model = dcal.build("deit_tiny_patch16_224.fb_in1k", 200, image_size=448,
                       glca=dcal.GLCASettings(), pwca=dcal.PWCASettings())

Names are loaded on first use, so that the settings and the search for weights files can be imported without torch.
"""

import importlib

from dcal.timm_import import refuse_wandb_to_timm

refuse_wandb_to_timm()

_HOME = {
    "build": "builder",
    "DCAL": "model",
    "Outputs": "model",
    "Branch": "heads",
    "GLCASettings": "settings",
    "PWCASettings": "settings",
    "UncertaintyWeighting": "losses",
    "soft_margin_triplet": "losses",
    "class_scores": "model",
    "retrieval_features": "model",
    "rollout": "inspection",
    "Rollout": "attention_rollout",
    "RolloutHooks": "hooks",
    "rollout_row": "attention_rollout",
    "rollout_matrix": "attention_rollout",
    "attention_map": "attention_rollout",
    "select_top_tokens": "attention_rollout",
    "top_token_mask": "attention_rollout",
    "GlobalLocalCrossAttention": "modules",
    "PairWiseCrossAttention": "modules",
    "sample_partners": "pair_sampling",
    "noisy_labels": "pwca",
    "WeightsError": "weights.load",
    "LoadReport": "weights.load",
    "Inspection": "inspection",
    "inspect": "inspection",
    "inspect_vit": "inspection",
    "export_onnx": "export",
    "export_program": "export",
    "save": "saving",
    "load": "saving",
}
__all__ = sorted(_HOME)


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module 'dcal' has no attribute {name!r}")
    return getattr(importlib.import_module(f"dcal.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return __all__
