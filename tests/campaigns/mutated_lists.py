"""Damage lists, annotation files and names in thousands of ways: each reads as it is, whole, or is refused by name.

    python -m tests.campaigns.mutated_lists

For every dataset of the paper the reader, the fingerprint, ``make list``'s look at the data and ``make check-data``'s
report are called on the damaged folder. Prints the counts by dataset; ends with 1 if anything else than a DataError
came out of one of them, a refusal named neither the file nor the folder, or a row of a list that was read is missing.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import sys
import tempfile
import traceback
from collections import Counter
from pathlib import Path

from benchmark.config.datasets import DATASETS
from benchmark.config.places import Places
from benchmark.data import locate
from benchmark.data.check import check
from benchmark.data.readers import matlab_files, matlab_reader
from benchmark.data.splits import Contradictions
from benchmark.errors import DataError
from benchmark.records.status import data_fingerprint

from . import list_mutations as mutations
from .sound_lists import WRITERS, write_cars

SEED = 0
PER_DATASET = {
    "cub": 800,
    "cars": 600,
    "aircraft": 500,
    "veri": 600,
    "msmt17": 600,
    "market": 300,
    "duke": 300,
}
_SPLITS = ("train", "test", "query", "gallery")


def campaign(root: Path, counts: dict[str, int], seed: int = SEED) -> Counter[tuple[str, str]]:
    """(dataset, outcome) → how often.

    Outcomes: ``same``, ``changed``, ``refused by file``, ``refused by folder``, ``crash of scipy refused by file``, or
    in capital letters what is wrong.
    """
    outcomes: Counter[tuple[str, str]] = Counter()
    for key, count in counts.items():
        draw = random.Random(f"{seed} {key}")
        sound = root / "sound" / DATASETS[key].folders[0]
        shutil.rmtree(sound, ignore_errors=True)
        for number in range(count):
            if number == 0 or (key == "cars" and number == count // 2):
                shutil.rmtree(sound, ignore_errors=True)
                (write_cars(sound, compressed=number > 0) if key == "cars" else WRITERS[key](sound))
                before = _load(key, sound.parent)
            data = root / "damaged"
            shutil.rmtree(data, ignore_errors=True)
            damaged = data / sound.name
            shutil.copytree(sound, damaged)
            file = _damage(key, damaged, draw)
            outcomes[key, _outcome(key, data, file, before, full=key != "cars" or number % 10 == 0)] += 1
        shutil.rmtree(sound)
    return outcomes


def _damage(key: str, root: Path, draw: random.Random) -> Path:
    files = sorted(path for path in root.rglob("*") if path.is_file())
    file = draw.choice(files)
    if key in ("market", "duke"):
        mutations.rename(file, draw)
        return file
    kind = draw.random()
    if kind < 0.06:
        mutations.replace_file(file, draw)
    elif file.suffix == ".mat" or kind < 0.4:
        file.write_bytes(mutations.change_bytes(file.read_bytes(), draw))
    elif kind < 0.9:
        file.write_bytes(mutations.change_lines(file.read_bytes(), draw))
    else:
        file.write_bytes(mutations.change_all(file.read_bytes(), draw))
    return file


def _load(key: str, data: Path) -> tuple:
    """Everything a run takes from the lists."""
    dataset = (locate.load_fgvc if DATASETS[key].task == "fgvc" else locate.load_reid)(key, data)
    splits = [getattr(dataset, name) for name in _SPLITS if hasattr(dataset, name)]
    return dataset.classes, splits, dataset.root


def _outcome(key: str, data: Path, file: Path, before: tuple, *, full: bool) -> str:
    try:
        report = check(key, data, decode=False) if full else None
        data_fingerprint(key, Places(data / "runs", data, None, generated=False))
        after = _load(key, data)
    except DataError as error:
        text = "\n".join(error.problems) + str(error) if isinstance(error, Contradictions) else str(error)
        if report is not None and report.sound:
            return "SOUND BY CHECK-DATA, REFUSED BY THE READER"
        if str(data) not in text and file.name not in text:
            return f"REFUSED WITHOUT A NAME: {text[:200]}"
        if "its reader crashed" in text:
            return "crash of scipy refused by file"
        return "refused by file" if file.name in text else "refused by folder"
    except Exception:
        traceback.print_exc()
        return f"RAISED {traceback.format_exc().splitlines()[-1][:100]}"
    if after[:2] == before[:2]:
        return "same"
    read, listed = _rows(after), _listed(key, after[2])
    return "changed" if read == listed else f"READ {read} OF {listed} ROWS"


def _rows(loaded: tuple) -> list[int]:
    """Rows read, by split; of re-identification ``test`` is query and gallery once more."""
    splits = loaded[1]
    return [len(split) for split in ([splits[0], *splits[2:]] if len(splits) > 2 else splits)]


def _listed(key: str, root: Path) -> list[int]:
    """Rows of the damaged lists, counted by themselves."""

    def lines(*names: str) -> int:
        texts = [(root / name).read_bytes().decode("utf-8-sig") for name in names]
        return sum(bool(line.strip()) for text in texts for line in text.split("\n"))

    def names(folder: str) -> int:
        return sum(
            path.name.lower().endswith((".jpg", ".png")) and not path.name.startswith("-1")
            for path in (root / folder).iterdir()
        )

    if key == "cub":
        splits = [
            line.split()
            for line in (root / "train_test_split.txt").read_text("utf-8-sig").split("\n")
            if line.strip()
        ]
        train = sum(int(flag) for _, flag in splits)
        return [train, lines("images.txt") - train]
    if key == "aircraft":
        return [lines(f"data/images_variant_{split}.txt") for split in ("trainval", "test")]
    if key == "veri":
        return [lines(f"name_{split}.txt") for split in ("train", "query", "test")]
    if key == "msmt17":
        return [lines("list_train.txt", "list_val.txt"), lines("list_query.txt"), lines("list_gallery.txt")]
    if key == "cars":
        files = [root / "devkit" / "cars_train_annos.mat", root / "cars_test_annos_withlabels.mat"]
        loaded = matlab_files.load({file: ["annotations"] for file in files}, ("fname",), "")
        return [loaded[file].variables["annotations"].shape[0] for file in files]
    return [names(folder) for folder in ("bounding_box_train", "query", "bounding_box_test")]


def read_forked(request: str) -> tuple[list[str], str]:
    """``matlab_files._run`` in a fork of this process, which has scipy already: a hundredth of the time."""
    read_end, write_end = os.pipe()
    process = os.fork()
    if process == 0:
        signal.alarm(matlab_files.TIMEOUT)
        os.dup2(write_end, 1)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        sys.argv, sys.stdout = ["", request], os.fdopen(1, "w")
        try:
            matlab_reader.main()
        finally:
            os._exit(0)
    os.close(write_end)
    with os.fdopen(read_end) as stream:
        lines = [line for line in stream if line.endswith("\n")]
    status = os.waitpid(process, 0)[1]
    return lines, f"its reader crashed: {signal.Signals(status).name}" if status else "its reader failed"


def main() -> int:
    """Run all of it in a temporary folder."""
    matlab_files._run = read_forked
    with tempfile.TemporaryDirectory() as folder:
        outcomes = campaign(Path(folder), PER_DATASET)
    for key in PER_DATASET:
        found = {outcome: count for (one, outcome), count in outcomes.items() if one == key}
        print(
            f"{key:<9} {sum(found.values()):>5}  "
            + ", ".join(f"{count} {outcome}" for outcome, count in sorted(found.items()))
        )
    wrong = {outcome: count for (_, outcome), count in outcomes.items() if outcome[0].isupper()}
    print(f"{sum(outcomes.values()):,} mutations, {sum(wrong.values())} wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
