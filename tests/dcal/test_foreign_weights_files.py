"""What servers and tools leave in the place of weights is called what it is, with the same words everywhere."""

import os
import re
import zipfile

import pytest
import torch
from weight_writers import build, source_model

import dcal
from dcal.weights import integrity, manifest
from dcal.weights.integrity import defect

POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"a" * 64 + b"\nsize 22883704\n"
FOREIGN = {
    "page": (b"<!DOCTYPE html>\n<html><body>403 Forbidden</body></html>", "a web page (HTML)"),
    "bare page": (b"\n<HTML><body>404: not found</body></HTML>", "a web page (HTML)"),
    "pointer": (POINTER, "a Git LFS pointer"),
    "xml": (b'<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>', "an XML text"),
    "json": (b'{"error":"Repository not found"}', """text, which begins with '{"error":"Repository"""),
}
SUFFIXES = ["safetensors", "pth", "npz"]


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("kind", FOREIGN)
def test_it_is_called_what_it_is_and_no_librarys_advice_is_passed_on(kind, suffix, tmp_path):
    content, words = FOREIGN[kind]
    file = tmp_path / f"small_vit.test.{suffix}"
    file.write_bytes(content)
    assert defect(file).startswith(f"no weights file but {words}")
    for call in (
        lambda: build("small_vit", file),
        lambda: build("small_vit", tmp_path),
        lambda: dcal.load(file),
    ):
        with pytest.raises(dcal.WeightsError) as error:
            call()
        assert f"no weights file but {words}" in str(error.value)
        assert str(file) in str(error.value)
        for advice in ("weights_only", "torch.load", "load_file", "allow_pickle", "header"):
            assert advice not in str(error.value)


def test_pickled_objects_are_named_without_the_advice_to_load_them(tmp_path):
    torch.save(
        {"model": source_model("small_vit").state_dict(), "args": __import__("argparse").Namespace()},
        tmp_path / "weights.pth",
    )
    with pytest.raises(dcal.WeightsError) as error:
        build("small_vit", tmp_path / "weights.pth")
    assert "holds pickled objects beside tensors (argparse.Namespace)" in str(error.value)
    assert "weights_only" not in str(error.value)


def test_a_damaged_pickle_in_a_whole_archive_is_not_called_pickled_objects(tmp_path):
    file = tmp_path / "weights.pth"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("weights/data.pkl", b"\x80\x02}q\x00X\x05\x00\x00\x00model\xff.")
        archive.writestr("weights/version", b"3\n")
    with pytest.raises(dcal.WeightsError) as error:
        build("small_vit", file)
    assert "its content is damaged" in str(error.value)
    assert "weights_only" not in str(error.value)


def test_an_archive_that_unpacks_to_much_more_is_refused_before_it_is_unpacked(tmp_path, monkeypatch):
    monkeypatch.setattr(integrity, "_SMALL", 2**20)  # else the file would take a second to write
    file = tmp_path / "weights.npz"
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.npy", bytes(30 * 2**20))
    assert re.fullmatch(
        r"no weights file: an archive of 3\d,\d{3} bytes that unpacks to 31,457,280", defect(file)
    )
    with pytest.raises(dcal.WeightsError, match="unpacks to 31,457,280"):
        build("small_vit", file)


def test_a_pipe_in_the_place_of_a_file_never_waits(tmp_path):
    for name in ("small_vit.test.pth", manifest.NAME):
        os.mkfifo(tmp_path / name)
    assert defect(tmp_path / "small_vit.test.pth") == "no file but a folder, a pipe or a device"
    with pytest.raises(dcal.WeightsError, match=r"no weights of small_vit\.test in"):
        build("small_vit", tmp_path)
    with pytest.raises(dcal.WeightsError, match="no weights at"):
        build("small_vit", tmp_path / "small_vit.test.pth")
    with pytest.raises(dcal.WeightsError, match="it is no file"):
        dcal.load(tmp_path / "small_vit.test.pth")
    with pytest.raises(ValueError, match=r"weights\.json is a folder, a pipe or a device"):
        manifest.read(tmp_path)


@pytest.mark.parametrize(
    "row",
    ['{"size": "9"}', '{"size": true}', '{"size": null}', '{"file": 3}', '{"sha256": ["a"]}', "[]", "7"],
)
def test_a_manifest_of_wrong_types_is_damaged(row, tmp_path):
    whole = '{"file": "a.pth", "size": 9, "sha256": "a", "source": "x"}'
    merged = row if row[0] != "{" else whole[:-1] + ", " + row[1:]
    (tmp_path / manifest.NAME).write_text(f'{{"files": {{"tag": {merged}}}}}')
    with pytest.raises(ValueError, match=r"weights\.json is damaged"):
        manifest.read(tmp_path)
    (tmp_path / manifest.NAME).write_text(f'{{"files": {{"tag": {whole}}}}}')
    assert manifest.read(tmp_path)["tag"].size == 9


def test_a_manifest_of_any_size_is_not_read(tmp_path):
    with open(tmp_path / manifest.NAME, "wb") as stream:
        stream.truncate(11 * 2**20)
    with pytest.raises(ValueError, match=r"has 11,534,336 bytes, expected at most 10,485,760"):
        manifest.read(tmp_path)


def test_names_that_no_file_can_have_are_no_crash(tmp_path):
    with pytest.raises(dcal.WeightsError, match="no weights at"):
        build("small_vit", tmp_path / ("x" * 300))
    with pytest.raises(dcal.WeightsError, match="no such file"):
        dcal.load(tmp_path / ("x" * 300))
