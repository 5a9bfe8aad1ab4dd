"""Whether a run can load its pretrained weights, from names, sizes and headers alone (no torch)."""

from __future__ import annotations

from pathlib import Path

from benchmark.config.places import Places
from benchmark.config.resolve import Config
from benchmark.reading import explanation
from dcal.weights import integrity, manifest
from dcal.weights import manifest as weight_manifest


def lacking_weights(config: Config, places: Places, *, download: bool) -> str:
    """Why a run could not load its pretrained weights, or "". download: whether the hub may be asked for them.

    A file that is there must be whole as far as its own header tells and, in name and size, the one that weights.json
    beside it records; its digest is compared when it is loaded.
    """
    try:
        return _lacking_weights(config, places, download=download)
    except OSError as error:
        return explanation(places.weights or Path(config.tag), error)


def _lacking_weights(config: Config, places: Places, *, download: bool) -> str:
    tag, folder = config.tag, places.weights
    if folder is None:
        file = manifest.find_in_hub_cache(tag)
        if file is None and download:
            return ""
        if file is None:
            return (
                f"{tag} is not in the hub's cache, and this run may not ask the network: fetch it where there is "
                "one (make weights), or set WEIGHTS to a folder that holds it"
            )
    elif not folder.exists():
        return f"{folder} does not exist: `make weights` makes it and fetches {tag}"
    elif folder.is_file():
        file = folder
    else:
        file = manifest.find_in_folder(tag, folder)
        if file is None:
            return f"no {tag} in {folder}: `make weights` fetches it"
        try:
            if problem := weight_manifest.disagreement(tag, file, folder):
                return problem
        except ValueError as error:
            return str(error)
    damage = integrity.defect(file)
    return f"{file} is {damage}: `make weights` fetches it again" if damage else ""
