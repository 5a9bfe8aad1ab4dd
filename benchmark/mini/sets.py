"""Write the three generated mini sets once, in the official layouts (no torch).

python -m benchmark.mini.sets --root DIR
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from benchmark.atomic import explained
from benchmark.errors import DataError

VERSION = 2  # raise it whenever a picture, a list or a label changes
SEED = 2022
DONE = "DONE.json"
SETS = {"CUB_200_2011": "write_cub", "stanford_cars": "write_cars", "fgvc-aircraft-2013b": "write_aircraft"}


def _writer(name: str) -> Callable[[Path, int], dict[str, int]]:
    from benchmark.mini import layouts  # OpenCV and scipy only where pictures are written, not for VERSION

    return getattr(layouts, SETS[name])


def write_all(root: Path) -> None:
    """Make sure that ``root`` holds the three sets of this version, complete.

    A complete set of this version is left alone, an older or damaged one of ours is replaced as a whole.
    Raises DataError, before anything is touched, if ``root`` holds files that were not written here: generated
    pictures must never take the place of somebody's data, nor lie beside them.
    Several processes may do this at once: each writes a folder of its own beside and the first one to
    rename it into place wins.
    """
    root = Path(root)
    with explained(root / "CUB_200_2011"):
        root.mkdir(parents=True, exist_ok=True)
    _refuse_foreign(root)
    for name in SETS:
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
        expected = {"version": VERSION, "seed": SEED, **_content(folder)}
    except (OSError, ValueError):  # OSError also where another process is replacing the folder
        return False
    return isinstance(done, dict) and all(done.get(key) == value for key, value in expected.items())


def _content(folder: Path) -> dict[str, int]:
    """Number and size of the files in ``folder``, DONE.json aside."""
    sizes = [f.stat().st_size for f in folder.rglob("*") if f.is_file() and f.name != DONE]
    return {"files": len(sizes), "bytes": sum(sizes)}


def _write_one(root: Path, name: str) -> None:
    fresh = Path(tempfile.mkdtemp(prefix=f".{name}.", dir=root))
    try:
        fresh.chmod(0o755)  # mkdtemp's 0700 would shut out others who share the folder
        counts = _writer(name)(fresh, SEED)
        done = {"version": VERSION, "seed": SEED, **counts, **_content(fresh)}
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


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmark.mini.sets", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--root", type=Path, required=True, help="folder that will hold the three sets")
    root = parser.parse_args().root
    write_all(root)
    for name in SETS:
        done = json.loads((root / name / DONE).read_text())
        print(
            f"{root / name}: {done['train']} training and {done['test']} test pictures, {done['classes']} classes"
        )


if __name__ == "__main__":
    main()
