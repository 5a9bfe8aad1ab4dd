"""DCAL taken apart: methods of the paper's ablations, each DCAL with some of its settings fixed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from benchmark.config.backbones import BACKBONES

GLCA_ALONE: dict[str, object] = {"model.pwca_blocks": 0}
PWCA_ALONE: dict[str, object] = {"model.glca_blocks": 0}


@dataclass(frozen=True)
class Variant:
    """A method beside ``baseline`` and ``dcal``.

    key: the method in a cell's id; title: in words. fixed: dotted setting → value; the rest is the profile's.
    """

    key: str
    title: str
    fixed: Mapping[str, object]


def _glca(key: str, title: str, **settings: object) -> Variant:
    return Variant(key, f"GLCA alone, {title}", GLCA_ALONE | _named("glca", settings))


def _pwca(key: str, title: str, **settings: object) -> Variant:
    return Variant(key, f"PWCA alone, {title}", PWCA_ALONE | _named("pwca", settings))


def _instead(key: str, title: str) -> Variant:
    """What takes PWCA's place as the second stream."""
    return Variant(f"pwca_{key}", f"{title} instead of PWCA", PWCA_ALONE | {"model.pwca_regulariser": key})


def _named(branch: str, settings: Mapping[str, object]) -> dict[str, object]:
    return {f"model.{branch}_{name}": value for name, value in settings.items()}


# GLCA alone has the profile's R and M, PWCA alone its T: 10 %, 1 and 12 on CUB with DeiT-Tiny.
VARIANTS: Mapping[str, Variant] = MappingProxyType(
    {
        variant.key: variant
        for variant in (
            Variant("glca", "GLCA alone", GLCA_ALONE),
            Variant("pwca", "PWCA alone", PWCA_ALONE),
            # GLCA's alternatives
            _glca("glca_local", "self-attention among the selected tokens", keys="local"),
            _glca("glca_random", "random local queries", select="random"),
            _glca("glca_attention", "queries by the penultimate layer's attention", select="attention"),
            # amounts
            *(
                _glca(f"glca_r{percent}", f"R = {percent} %", ratio=percent / 100)
                for percent in (1, 5, 30, 50)
            ),
            *(_glca(f"glca_m{blocks}", f"M = {blocks}", blocks=blocks) for blocks in (2, 3)),
            *(_pwca(f"pwca_t{blocks}", f"T = {blocks}", blocks=blocks) for blocks in (1, 4, 8)),
            # in PWCA's place
            _instead("image_noise", "noise on the image"),
            _instead("label_noise", "noise in the labels"),
            _instead("kv_noise", "Gaussian noise as K2 and V2"),
            # PWCA's pairs: the first is what the next three, which bring a second batch, too, are compared with
            _pwca("pwca_loader", "random pairs from a second batch", pairing="loader"),
            _pwca("pwca_same", "pairs of the same class", pairing="same"),
            _pwca("pwca_other", "pairs of different classes", pairing="other"),
            _pwca("pwca_half", "half of the pairs of the same class", pairing="half"),
            _pwca("pwca_hardest", "with the hardest image of another class in the batch", pairing="hardest"),
            # what the paper leaves open
            _glca("glca_mean", "mean read-out", readout="mean"),
            _glca("glca_mean_random", "mean read-out, random local queries", readout="mean", select="random"),
            _glca("glca_init_random", "random initialisation", init="random"),
            _pwca("pwca_figure", "stream as in the figure", stream="figure"),
            Variant("dcal_w185", "DCAL, w from −1.85", {"model.w_init": -1.85}),
            Variant("dcal_w105", "DCAL, w from −1.05", {"model.w_init": -1.05}),
        )
    }
)


def fixed(method: str) -> Mapping[str, object]:
    """The settings that a method fixes: ``baseline`` and ``dcal`` none."""
    return VARIANTS[method].fixed if method in VARIANTS else {}


def fixed_on(method: str, backbone: str) -> Mapping[str, object]:
    """What of it makes a variant another method than ``dcal`` on a backbone: {} where nothing does.

    Where there is no GLCA (``benchmark.config.backbones``), DCAL is PWCA alone, and GLCA cannot be varied.
    """
    settings = fixed(method)
    if BACKBONES[backbone].glca:
        return settings
    is_glca_variant = GLCA_ALONE.items() <= settings.items()
    return (
        {} if is_glca_variant else {name: value for name, value in settings.items() if name not in PWCA_ALONE}
    )
