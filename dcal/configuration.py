"""Configuration of a saved model: arguments of its architecture, normalisation, class names."""

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

# Attributes of a module that have no effect on its outputs.
IGNORED_ATTRIBUTES = {"training", "grad_checkpointing", "fused_attn"}


@dataclass(frozen=True, kw_only=True)
class Configuration:
    """A model's configuration, in values that JSON has.

    tag: timm model with the name of its pretrained weights. registered_by: the module that registers it with timm.
    image_size: (height, width) in pixels. drop_path: stochastic depth rate of the last block.
    glca, pwca: the settings' fields by name; None for a branch that is off.
    mean, std: normalisation of the input, RGB in 0…1. dtype: of all weights, torch's name of it.
    class_names: by index; () without names. about: free remarks of the author, by name.

    Raises ValueError for a value of another type than its field's, and for another number of names than classes.
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
            if not _has_type(kind, value):
                raise ValueError(f"{name} is {value!r}: expected {kind if get_args(kind) else kind.__name__}")
        if self.class_names and len(self.class_names) != self.classes:
            raise ValueError(
                f"{len(self.class_names)} class names for {self.classes} classes: expected one for each"
            )

    @classmethod
    def read(cls, values: Mapping[str, Any]) -> Configuration:
        """A configuration from parsed JSON. Raises ValueError for an unknown field and for a missing one."""
        values = {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
        return _construct(cls, values, "configuration")

    def build(self) -> DCAL:
        """The model with untrained weights, on the CPU. It does not change the caller's random state.

        A missing field of the settings takes its default: the default of a new field is the behaviour before the field
        existed, so it is right for older files.
        Raises ValueError for unknown settings and an unknown timm model.
        """
        if not timm.is_model(self.tag):
            raise ValueError(
                f"it is a {self.tag}, which timm {timm.__version__} does not know: {self.registered_by} registers it, "
                "import that module first, or install the timm that has it"
            )
        glca = None if self.glca is None else _construct(GLCASettings, self.glca, "GLCA settings")
        pwca = None if self.pwca is None else _construct(PWCASettings, self.pwca, "PWCA settings")
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
        except (RuntimeError, TypeError) as error:  # from torch and timm, for impossible sizes
            raise ValueError(f"no model can be built from its configuration: {error}") from error
        model.mean, model.std = self.mean, self.std
        return model.to(dtype)


def model_configuration(
    model: DCAL, class_names: tuple[str, ...] = (), about: dict[str, Any] | None = None
) -> Configuration:
    """Configuration of a model. class_names, about: as in ``Configuration``.

    Raises ValueError for anything but a DCAL model, and for another number of names than classes.
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
    """Raises ValueError for a model that its configuration does not reproduce: one of mixed dtypes, or one with other
    arguments for timm, which may change its outputs without changing a tensor's shape (the number of heads).
    """
    with torch.device("meta"):  # shapes and attributes only
        rebuilt = configuration.build()
    attributes, expected = _attributes(model), _attributes(rebuilt)
    for name in sorted(attributes.keys() | expected.keys()):
        if attributes.get(name) != expected.get(name):
            raise ValueError(
                f"this model cannot be built again from its configuration: {name} is {attributes.get(name)}, and "
                f"{expected.get(name)} in a {configuration.tag} from dcal.build. Only models as dcal.build makes them "
                "can be saved"
            )


def _attributes(model: nn.Module) -> dict[str, object]:
    """All plain attributes of all modules but the model itself, whose mean and std come from the configuration, and
    shape and dtype of all tensors, by name.
    """
    attributes: dict[str, object] = {
        name: (tuple(tensor.shape), tensor.dtype) for name, tensor in model.state_dict().items()
    }
    for path, module in model.named_modules():
        attributes[path] = type(module).__name__
        for name, value in vars(module).items() if path else ():
            if isinstance(value, bool | int | float | str | tuple) and name not in IGNORED_ATTRIBUTES:
                attributes[f"{path}.{name}"] = value
    return attributes


def _drop_path(vit: nn.Module) -> float:
    """Stochastic depth rate of the last block, the highest."""
    rate = max((part.drop_prob for part in vit.modules() if isinstance(part, DropPath)), default=0.0)
    return float(f"{rate:.7g}")  # timm computes the rates in float32


def _has_type(kind: Any, value: object) -> bool:
    """Whether a value has the type of a field; an integer also counts as a float."""
    origin, parts = get_origin(kind), get_args(kind)
    if origin is UnionType:
        return any(_has_type(part, value) for part in parts)
    if origin is tuple and isinstance(value, tuple):
        parts = parts[:1] * len(value) if parts[-1] is Ellipsis else parts
        return len(parts) == len(value) and all(map(_has_type, parts, value))
    return isinstance(value, int | float if kind is float else origin or kind)


def _construct(kind: type, values: Mapping[str, Any], label: str) -> Any:
    """An instance of a dataclass. label: for the message. Raises ValueError for unknown fields and refused values."""
    if unknown := sorted(values.keys() - {part.name for part in fields(kind)}):
        raise ValueError(
            f"its {label} has {', '.join(unknown)}, which this version of dcal does not know: update dcal"
        )
    try:
        return kind(**values)
    except (TypeError, ValueError) as error:
        raise ValueError(f"its {label} cannot be used: {error}") from error
