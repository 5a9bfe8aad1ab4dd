"""What a finished run found, read back from its folder, and what is wrong where it cannot be."""

import io
import os
import tracemalloc
import zipfile

import numpy as np
import pytest

from benchmark.atomic import file_sha256
from benchmark.errors import RunError
from benchmark.records import predictions
from benchmark.records.predictions import Predictions


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
    elif kind in ("too long", "too long for what it says"):
        inflating(path)
        if kind != "too long":
            found = bytearray(path.read_bytes())
            place = found.find(b"PK\x01\x02") + 24  # the size in the central header
            found[place : place + 4] = (1000).to_bytes(4, "little")
            path.write_bytes(found)
    elif kind in ("packed as bzip2", "packed as lzma"):
        with zipfile.ZipFile(
            path, "w", zipfile.ZIP_BZIP2 if "bzip2" in kind else zipfile.ZIP_LZMA
        ) as archive:
            archive.writestr("labels.npy", bare.getvalue())
    else:
        header = io.BytesIO()
        np.lib.format.write_array_header_1_0(
            header, {"descr": "<i8", "fortran_order": False, "shape": (2**58,)}
        )
        archive_with(path, header.getvalue())


def inflating(path):
    """Labels of 64 MiB zeros, in 300 KB."""
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "|i1", "fortran_order": False, "shape": (2**26,)})
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open("labels.npy", "w") as member,
    ):
        member.write(header.getvalue())
        for _ in range(2**26 // 2**20):
            member.write(bytes(2**20))


HOSTILE = [
    "bare array",
    "no array",
    "encrypted",
    "too large",
    "too long",
    "too long for what it says",
    "packed as bzip2",
    "packed as lzma",
]


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_file_that_is_no_archive_of_arrays_is_refused_although_the_record_agrees(
    tmp_path, kind, monkeypatch
):
    monkeypatch.setattr(predictions, "MEMBER_BYTES", 2**20)
    path = tmp_path / "predictions.npz"
    hostile(path, kind)
    with pytest.raises(RunError, match=r"predictions\.npz: .*cannot be read"):
        Predictions(path, file_sha256(path))["labels"]


def test_nothing_is_unpacked_that_is_larger_than_any_record(tmp_path, monkeypatch):
    path = tmp_path / "predictions.npz"
    monkeypatch.setattr(predictions, "MEMBER_BYTES", 2**26)
    inflating(path)
    tracemalloc.start()
    with pytest.raises(RunError, match=r"labels cannot be read \(unpacked it would have 67,108,9\d\d bytes"):
        Predictions(path, file_sha256(path))["labels"]
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 8 * 2**20


@pytest.mark.parametrize(
    ("name", "array"),
    [
        ("labels", np.zeros(3)),
        ("labels", np.zeros((3, 1), dtype=int)),
        ("both_correct", np.zeros(3, dtype=int)),
        ("sa_probability", np.array(["a"])),
        ("both_nearest", np.zeros(3, dtype=int)),
        ("classes", np.arange(3)),
        ("both_ap", np.zeros(3, dtype=complex)),
        ("glca_ties", np.zeros(3, dtype="M8[s]")),
        ("anything", np.zeros(3, dtype=[("a", "i4")])),
        ("classes", np.array([0xD800, 0x41], dtype=np.uint32).view("U1")),
        ("classes", np.array([0xFFFFFFFF, 0x41], dtype=np.uint32).view("U1")),
    ],
)
def test_an_array_of_another_type_shape_or_content_is_refused_by_name(tmp_path, name, array):
    path = tmp_path / "predictions.npz"
    np.savez(path, **{name: array})
    with pytest.raises(RunError, match=rf"predictions\.npz: {name} cannot be read"):
        Predictions(path, file_sha256(path))[name]


def test_a_pipe_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "predictions.npz")
    with pytest.raises(RunError, match="it is a named pipe, expected a file"):
        Predictions(tmp_path / "predictions.npz", "0" * 64)["labels"]
