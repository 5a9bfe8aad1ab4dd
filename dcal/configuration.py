"""What a saved model says of itself: all that its architecture is built from, and what belongs to its use."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from types import UnionType
from typing import Any, get_args, get_origin, get_type_hints

import timm
import torch
from timm.layers import DropPath
from torch import nn

from dcal.builder import build
from dcal.heads import HEADS
from dcal.model import DCAL
from dcal.settings import GLCASettings, PWCASettings

# Plain attributes of a module that do not change what it computes.
INDIFFERENT = {"training", "grad_checkpointing", "fused_attn"}


@dataclass(frozen=True, kw_only=True)
class Configuration:
    """A model in JSON's terms.

    tag: timm model with the name of its pretrained weights; registered_by: the module that makes it known to timm.
    image_size: (height, width) in pixels. drop_path: stochastic depth rate of the last block.
    glca, pwca: the settings' fields by name, None for a branch that is off.
    mean, std: normalisation of the input, RGB in 0…1. dtype: of all weights, as torch names it.
    class_names: by index; () where none were given. about: whatever its maker says of it.

    Raises ValueError for a value of another kind than its field's, and for names that are not one a class.
    """

    tag: str
    registered_by: str
    classes: int
    image_size: tuple[int, int]
    head: str
    drop_path: float
    dtype: str
    glca: dict[str, Any] | None
    pwca: dict[str, Any] | None
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    class_names: tuple[str, ...] = ()
    about: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, kind in get_type_hints(Configuration).items():
            value = getattr(self, name)
            if not _is_of(kind, value):
                raise ValueError(f"{name} is {value!r}: expected {kind if get_args(kind) else kind.__name__}")
        if self.class_names and len(self.class_names) != self.classes:
            raise ValueError(
                f"{len(self.class_names)} class names for {self.classes} classes: expected one for each"
            )

    @classmethod
    def read(cls, values: Mapping[str, Any]) -> Configuration:
        """From parsed JSON. Raises ValueError for a field that is unknown here or missing."""
        values = {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
        return _made(cls, values, "configuration")

    def build(self) -> DCAL:
        """The model with untrained weights, on the CPU. Draws nothing from the caller's random stream.

        A field of the settings that is missing takes its default: a new field's default is what was done before there
        was a choice, so it is what was in force when the file was written.
        Raises ValueError for settings and a timm model that are unknown here.
        """
        if not timm.is_model(self.tag):
            raise ValueError(
                f"it is a {self.tag}, which timm {timm.__version__} does not know: {self.registered_by} registers it, "
                "import that module first, or install the timm that has it"
            )
        glca = None if self.glca is None else _made(GLCASettings, self.glca, "GLCA settings")
        pwca = None if self.pwca is None else _made(PWCASettings, self.pwca, "PWCA settings")
        dtype = getattr(torch, self.dtype, None)
        if not isinstance(dtype, torch.dtype) or not dtype.is_floating_point:
            raise ValueError(
                f"its dtype is {self.dtype}: expected one that torch has for weights, such as float32"
            )
        try:
            with torch.random.fork_rng(devices=[]):
                model = build(
                    self.tag,
                    self.classes,
                    image_size=self.image_size,
                    weights="random",
                    head=self.head,
                    drop_path=self.drop_path,
                    glca=glca,
                    pwca=pwca,
                )
        except (RuntimeError, TypeError) as error:  # torch's and timm's of impossible sizes
            raise ValueError(f"no model can be built from its configuration: {error}") from error
        model.mean, model.std = self.mean, self.std
        return model.to(dtype)


def configuration_of(
    model: DCAL, class_names: tuple[str, ...] = (), about: dict[str, Any] | None = None
) -> Configuration:
    """What ``model`` says of itself.

    Raises ValueError for what is no DCAL model, and for names that are not one a class.
    """
    if not isinstance(model, DCAL):
        raise ValueError(
            f"found a {type(model).__name__}: expected a model as dcal.build makes it; of one that was compiled or "
            "made parallel give the model inside"
        )
    vit = model.backbone.vit
    cfg = vit.pretrained_cfg
    classifier = model.sa_head.classifier
    return Configuration(
        tag=f"{cfg['architecture']}.{cfg['tag']}" if cfg.get("tag") else cfg["architecture"],
        registered_by=timm.model_entrypoint(cfg["architecture"]).__module__,
        classes=classifier.out_features,
        image_size=tuple(vit.patch_embed.img_size),
        head=next(name for name, kind in HEADS.items() if type(model.sa_head) is kind),
        drop_path=_drop_path(vit),
        dtype=str(classifier.weight.dtype).removeprefix("torch."),
        glca=asdict(model.glca.settings) if model.glca else None,
        pwca=asdict(model.pwca) if model.pwca else None,
        mean=tuple(getattr(model, "mean", cfg["mean"])),
        std=tuple(getattr(model, "std", cfg["std"])),
        class_names=class_names,
        about=about or {},
    )


def require_buildable(model: DCAL, configuration: Configuration) -> None:
    """Raises ValueError for a model that its configuration does not give again: one built with other arguments of
    timm's, which may change what it computes and no tensor's shape (the number of heads), or one of mixed dtypes.
    """
    with torch.device("meta"):  # shapes and attributes only
        again = configuration.build()
    found, expected = _attributes(model), _attributes(again)
    for name in sorted(found.keys() | expected.keys()):
        if found.get(name) != expected.get(name):
            raise ValueError(
                f"this model cannot be built again from its configuration: {name} is {found.get(name)}, and "
                f"{expected.get(name)} in a {configuration.tag} from dcal.build. Only models as dcal.build makes them "
                "can be saved"
            )


def _attributes(model: nn.Module) -> dict[str, object]:
    """Every plain attribute of every part, and shape and dtype of every tensor, by name. The model's own attributes,
    mean and std, are what the configuration says.
    """
    found: dict[str, object] = {
        name: (tuple(tensor.shape), tensor.dtype) for name, tensor in model.state_dict().items()
    }
    for path, module in model.named_modules():
        found[path] = type(module).__name__
        for name, value in vars(module).items() if path else ():
            if isinstance(value, bool | int | float | str | tuple) and name not in INDIFFERENT:
                found[f"{path}.{name}"] = value
    return found


def _drop_path(vit: nn.Module) -> float:
    rate = max((part.drop_prob for part in vit.modules() if isinstance(part, DropPath)), default=0.0)
    return float(f"{rate:.7g}")  # timm computes the rates in float32


def _is_of(kind: Any, value: object) -> bool:
    """Whether a value is of a field's kind; a whole number is a float, too."""
    origin, parts = get_origin(kind), get_args(kind)
    if origin is UnionType:
        return any(_is_of(part, value) for part in parts)
    if origin is tuple and isinstance(value, tuple):
        parts = parts[:1] * len(value) if parts[-1] is Ellipsis else parts
        return len(parts) == len(value) and all(map(_is_of, parts, value))
    return isinstance(value, int | float if kind is float else origin or kind)


def _made(kind: type, values: Mapping[str, Any], what: str) -> Any:
    known = [part.name for part in fields(kind)]
    if unknown := sorted(values.keys() - set(known)):
        raise ValueError(
            f"its {what} has {', '.join(unknown)}, which this version of dcal does not know: update dcal"
        )
    try:
        return kind(**values)
    except (TypeError, ValueError) as error:
        raise ValueError(f"its {what} cannot be used: {error}") from error
