"""Keep timm from importing Weights & Biases, which takes seconds in every process (no torch)."""

import sys
from importlib.abc import MetaPathFinder


class _RefuseWandbToTimm(MetaPathFinder):
    """Import hook by which W&B is not installed for timm's own ``import wandb``; other imports do not change.

    ``timm.utils.summary`` imports it wherever it is installed, for a function that is not used here.
    """

    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        if name != "wandb":
            return
        frame = sys._getframe()
        while frame is not None:
            if frame.f_globals.get("__name__") == "timm.utils.summary":
                raise ModuleNotFoundError("not imported for timm (dcal/timm_import.py)", name=name)
            frame = frame.f_back


def refuse_wandb_to_timm() -> None:
    """Install this import hook, once."""
    if not any(type(finder).__name__ == _RefuseWandbToTimm.__name__ for finder in sys.meta_path):
        sys.meta_path.insert(0, _RefuseWandbToTimm())
