"""Check whether a run can load its pretrained weights, from file names, sizes and headers only."""

from __future__ import annotations

from pathlib import Path

from benchmark.config.places import Places
from benchmark.config.resolve import Config
from benchmark.reading import explanation
from dcal.weights import integrity, manifest


def weights_problem(config: Config, places: Places, *, download: bool) -> str:
    """Why a run could not load its pretrained weights, or "".

    An existing file must be complete according to its own header, and have the name and size that weights.json beside
    it records. Its digest is only compared when it is loaded.

    download: whether the file may be downloaded from the hub.
    """
    try:
        return _weights_problem(config.tag, places.weights, download)
    except OSError as error:
        return explanation(places.weights or Path(config.tag), error)


def _weights_problem(tag: str, folder: Path | None, download: bool) -> str:
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
            if problem := manifest.disagreement(tag, file, folder):
                return problem
        except ValueError as error:
            return str(error)
    defect = integrity.defect(file)
    return f"{file} is {defect}: `make weights` fetches it again" if defect else ""
