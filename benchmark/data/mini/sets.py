"""Write the seven generated mini sets once, in the official layouts (no torch).

python -m benchmark.data.mini.sets --root DIR
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from benchmark.atomic import explained, folder_content
from benchmark.config.datasets import DATASETS
from benchmark.errors import DataError


@dataclass(frozen=True)
class MiniSet:
    """A set: the official name of its folder, and the function that writes it."""

    folder: str
    writer: str


_ROWS = {  # by the dataset's key in the registry
    "cub": MiniSet("CUB_200_2011", "fgvc_layouts.write_cub"),
    "cars": MiniSet("stanford_cars", "fgvc_layouts.write_cars"),
    "aircraft": MiniSet("fgvc-aircraft-2013b", "fgvc_layouts.write_aircraft"),
    "market": MiniSet("Market-1501-v15.09.15", "reid_layouts.write_market"),
    "duke": MiniSet("DukeMTMC-reID", "reid_layouts.write_duke"),
    "msmt17": MiniSet("MSMT17", "reid_layouts.write_msmt17"),
    "veri": MiniSet("VeRi_776", "reid_layouts.write_veri"),
}
FOLDERS = {key: row.folder for key, row in _ROWS.items()}
SETS = {row.folder: row.writer for row in _ROWS.values()}
VERSIONS = {row.folder: DATASETS[key].mini_version for key, row in _ROWS.items()}
SEED = 2022
DONE = "DONE.json"


def _writer(name: str) -> Callable[[Path, int], dict[str, int]]:
    module, function = SETS[name].split(
        "."
    )  # OpenCV and scipy only where pictures are written, not for the versions
    return getattr(import_module(f"benchmark.data.mini.{module}"), function)


def write_all(root: Path) -> None:
    """`write` all seven sets."""
    write(root, FOLDERS)


def write(root: Path, keys: Iterable[str]) -> None:
    """Make sure that ``root`` holds the sets of these registry keys, each complete and of its present version.

    A complete set of this version is left alone, an older or damaged one of ours is replaced as a whole; sets
    that were not asked for are not looked at.
    Raises DataError, before anything is touched, if ``root`` holds files that were not written here: generated
    pictures must never take the place of somebody's data, nor lie beside them.
    Several processes may do this at once: each writes a folder of its own beside and the first one to
    rename it into place wins.
    """
    root, names = Path(root), [FOLDERS[key] for key in keys]
    with explained(root):
        root.mkdir(parents=True, exist_ok=True)
    _refuse_foreign(root)
    for name in names:
        if not is_complete(root / name):
            _write_one(root, name)


def is_generated(folder: Path) -> bool:
    """Whether a dataset folder was written here, whatever its state."""
    return (folder / DONE).is_file()


def _is_ours(entry: Path) -> bool:
    if entry.name not in SETS:
        return False
    try:
        return is_generated(entry) or not any(entry.iterdir())
    except FileNotFoundError:
        return True  # another process is replacing it
    except NotADirectoryError:
        return False


def _refuse_foreign(root: Path) -> None:
    foreign = [
        entry.name for entry in root.iterdir() if not entry.name.startswith(".") and not _is_ours(entry)
    ]
    if foreign:
        raise DataError(
            f"{root} holds {', '.join(sorted(foreign)[:5])}, which the mini profile did not write. Its generated "
            "pictures need a folder of their own and nothing was touched: leave DATA unset, or choose PROFILE=quick "
            "or PROFILE=paper to use these data"
        )


def is_complete(folder: Path) -> bool:
    """Whether ``folder`` is a finished set of this version with every file and byte it was written with."""
    try:
        done = json.loads((folder / DONE).read_text())
        expected = {"version": VERSIONS[folder.name], "seed": SEED, **folder_content(folder, DONE)}
    except (OSError, ValueError):  # OSError also where another process is replacing the folder
        return False
    return isinstance(done, dict) and all(done.get(key) == value for key, value in expected.items())


def _write_one(root: Path, name: str) -> None:
    fresh = Path(tempfile.mkdtemp(prefix=f".{name}.", dir=root))
    try:
        fresh.chmod(0o755)  # mkdtemp's 0700 would shut out others who share the folder
        counts = _writer(name)(fresh, SEED)
        done = {"version": VERSIONS[name], "seed": SEED, **counts, **folder_content(fresh, DONE)}
        (fresh / DONE).write_text(json.dumps(done, indent=2) + "\n")
        _put_in_place(fresh, root / name)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def _put_in_place(fresh: Path, folder: Path) -> None:
    """Rename ``fresh`` to ``folder`` unless another process has finished the same in the meantime."""
    for _ in range(10):
        try:
            os.rename(fresh, folder)  # succeeds only where nothing or an empty folder is
            return
        except OSError:
            if is_complete(folder):
                return
            if not _is_ours(folder):
                raise DataError(
                    f"{folder} appeared meanwhile and was not written here: it is left as it is"
                ) from None
            old = Path(tempfile.mkdtemp(prefix=f".{folder.name}.old.", dir=folder.parent))
            try:
                os.rename(folder, old / folder.name)
            except FileNotFoundError:
                pass  # another process moved it away first
            finally:
                shutil.rmtree(old, ignore_errors=True)
    raise OSError(f"{folder}: other processes keep writing an incomplete set there; stop them and try again")
