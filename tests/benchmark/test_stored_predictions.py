"""What a finished run found, read back from its folder, and what is wrong where it cannot be."""

import io
import zipfile

import numpy as np
import pytest

from benchmark.atomic import file_sha256
from benchmark.errors import RunError
from benchmark.predictions import Predictions


@pytest.fixture
def stored(tmp_path):
    path = tmp_path / "predictions.npz"
    classes = np.array(["<script>", "数据", "plain"], dtype=str)
    np.savez_compressed(path, labels=np.arange(50, dtype=np.int32) % 3, classes=classes)
    return path


def test_arrays_come_back_by_name(stored):
    found = Predictions(stored, file_sha256(stored))
    assert found["labels"].tolist() == [index % 3 for index in range(50)]
    assert found["classes"].tolist() == ["<script>", "数据", "plain"]
    assert set(found) == {"labels", "classes"}
    assert "both_nearest" not in found
    assert found.get("both_nearest") is None


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(RunError, match=r"predictions\.npz: no such file"):
        Predictions(tmp_path / "predictions.npz", "0" * 64)["labels"]


def test_another_runs_file_is_refused(stored):
    with pytest.raises(RunError, match="its digest is"):
        Predictions(stored, "0" * 64)["labels"]


@pytest.mark.parametrize("kept", [0, 10, 300])
def test_a_torn_file_is_refused_even_if_the_record_agrees(stored, kept):
    stored.write_bytes(stored.read_bytes()[:kept])
    with pytest.raises(RunError, match="cannot be read"):
        Predictions(stored, file_sha256(stored))["labels"]


def test_a_file_with_pickled_objects_is_refused(tmp_path):
    path = tmp_path / "predictions.npz"
    np.savez(path, labels=np.array([object()], dtype=object), allow_pickle=True)
    with pytest.raises(RunError, match="cannot be read"):
        Predictions(path, file_sha256(path))["labels"]


def archive_with(path, content, flags=None):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("labels.npy", content)
    if flags is not None:  # in the local and in the central header
        found = bytearray(path.read_bytes())
        for place in (6, found.find(b"PK\x01\x02") + 8):
            found[place] |= flags
        path.write_bytes(found)


def hostile(path, kind):
    bare = io.BytesIO()
    np.save(bare, np.arange(3))
    if kind == "bare array":
        path.write_bytes(bare.getvalue())
    elif kind == "no array":
        archive_with(path, b"just text")
    elif kind == "encrypted":
        archive_with(path, bare.getvalue(), flags=1)
    else:
        header = io.BytesIO()
        np.lib.format.write_array_header_1_0(
            header, {"descr": "<i8", "fortran_order": False, "shape": (2**58,)}
        )
        archive_with(path, header.getvalue())


@pytest.mark.parametrize("kind", ["bare array", "no array", "encrypted", "too large"])
def test_a_file_that_is_no_archive_of_arrays_is_refused_although_the_record_agrees(tmp_path, kind):
    path = tmp_path / "predictions.npz"
    hostile(path, kind)
    with pytest.raises(RunError, match=r"predictions\.npz: .*cannot be read"):
        Predictions(path, file_sha256(path))["labels"]
