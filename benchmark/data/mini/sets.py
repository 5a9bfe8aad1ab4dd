"""Write the seven generated mini sets once, in the official layouts (no torch)."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

from benchmark.atomic import explained, folder_content
from benchmark.config.datasets import DATASETS
from benchmark.errors import DataError

# The official name of each set's folder, by its key in the registry.
FOLDERS = {key: row.folders[0] for key, row in DATASETS.items() if row.mini_version}
SETS = {folder: key for key, folder in FOLDERS.items()}
VERSIONS = {folder: DATASETS[key].mini_version for folder, key in SETS.items()}
SEED = 2022
DONE = "DONE.json"


def _writer(name: str) -> Callable[[Path, int], dict[str, int]]:
    """The function that writes the set of a folder's name; OpenCV and scipy are imported only for that."""
    from benchmark.data.mini.layouts import write_set

    return partial(write_set, SETS[name])


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
