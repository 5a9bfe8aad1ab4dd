"""MATLAB files in a process of their own: whatever a file does to the reader, this process names it and goes on."""

import os
import re

import numpy as np
import pytest
from scipy.io import savemat

from benchmark.data import locate
from benchmark.data.check import check
from benchmark.data.readers import cars, matlab_files
from benchmark.errors import DataError

# A reader that answers for the first file and then ends as scipy did on damaged ones.
ENDING = """
import json, os, signal, sys, time
print(json.dumps({"names": ["class_names"], "variables": {}}), flush=True)
print('{"names": ["half a line', end="", flush=True)
%s
"""


@pytest.fixture
def files(tmp_path, write_cars):
    root = write_cars(tmp_path / "stanford_cars")
    return root, cars.annotation_files(root)


def with_reader(monkeypatch, folder, end):
    path = folder / "reader.py"
    path.write_text(ENDING % end)
    monkeypatch.setattr(matlab_files, "READER", path)


def test_a_sound_file_is_read_there_as_here(files):
    root, (names, train, _) = files
    found = matlab_files.load({names: ["class_names"], train: ["annotations"]}, ("class", "fname"), "")
    assert found[names].variables["class_names"].columns[""][1] == "Acura RL Sedan 2012"
    assert found[train].variables["annotations"].columns == {
        "class": [3, 1, 2],
        "fname": ["00002.jpg", "00001.jpg", "00003.jpg"],
    }
    assert cars.read(root).train.labels == (2, 0, 1)


@pytest.mark.parametrize(
    ("end", "words"),
    [
        ("os.kill(os.getpid(), signal.SIGSEGV)", "its reader crashed: SIGSEGV"),
        ("os.kill(os.getpid(), signal.SIGKILL)", "its reader crashed: SIGKILL"),
        ("sys.exit('no memory')", "its reader failed: no memory"),
        ("time.sleep(60)", "its reader did not end within 1 s"),
    ],
    ids=["segmentation fault", "killed", "error", "endless"],
)
def test_however_the_reader_ends_the_file_is_named(end, words, files, tmp_path, monkeypatch):
    root, (_, train, _) = files
    with_reader(monkeypatch, tmp_path, end)
    if "sleep" in end:
        monkeypatch.setattr(matlab_files, "TIMEOUT", 1)
    with pytest.raises(DataError) as error:
        cars.read(root)
    assert str(error.value).startswith(
        f"{train}: found {train.stat().st_size:,} bytes that cannot be read as a MATLAB"
    )
    assert words in str(error.value)
    report = check("cars", tmp_path, decode=False)
    assert words in report.contradictions[0]
    assert not report.sound


def test_more_entries_than_any_annotation_file_has_are_refused(tmp_path):
    """They pack into a file of 6 kB."""
    file = tmp_path / "cars_annos.mat"
    savemat(file, {"annotations": np.zeros(6_000_000, np.uint8)}, do_compression=True)
    with pytest.raises(DataError, match=r"6,000,000 entries, expected at most 5,000,000"):
        matlab_files.load({file: ["annotations"]}, ("class",), "")


def test_files_that_are_no_files_never_wait(files):
    root, (_, train, _) = files
    train.unlink()
    os.mkfifo(train)
    with pytest.raises(DataError, match=r"cars_train_annos\.mat"):
        cars.read(root)
    train.unlink()
    with open(train, "wb") as stream:
        stream.truncate(matlab_files.MAX_FILE_BYTES + 1)
    with pytest.raises(DataError, match=r"cannot read .*cars_train_annos\.mat: .*67,108,865 bytes"):
        cars.read(root)


def test_listing_reads_no_annotations(files, monkeypatch):
    root, _ = files
    monkeypatch.setattr(matlab_files, "_run", lambda request: pytest.fail("it was read"))
    assert locate.locate("cars", root.parent) == root
    assert len(locate.fingerprint(root, "cars")) == 64


def test_real_files_that_crashed_scipy_are_named(shared):
    crashing = sorted((shared / "cases" / "data").glob("*.mat"))
    if not crashing:
        pytest.skip(f"needs the damaged files in {shared}/cases/data (set DCAL_SHARED)")
    words = "|".join(("cannot be read as a MATLAB file", "expected the variable", "fields", "entries"))
    for file in crashing:
        try:
            columns = cars._annotations(file, ("fname", "class"))
        except DataError as error:
            assert re.search(rf"^{file}: .*({words})", str(error))  # noqa: PT017  it may be read on another machine
        else:
            assert columns.keys() == {"fname", "class"}
