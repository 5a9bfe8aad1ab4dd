"""Registers the small models with timm, and keeps torch on one thread, so that sums have one order."""

import small_models  # noqa: F401
import torch

torch.set_num_threads(1)
