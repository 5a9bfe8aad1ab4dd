"""`make weights MIRROR=folder`: copied and verified; what is whole is never overwritten, nothing false recorded."""

import argparse
import hashlib
import json
import struct

import numpy as np
import pytest
import torch

from benchmark.__main__ import main
from benchmark.config.places import MINI_WEIGHTS

TINY, SMALL = "deit_tiny_patch16_224.fb_in1k", "deit_small_patch16_224.fb_in1k"


def whole(fill=7):
    """A .safetensors of one tensor."""
    header = b'{"t":{"dtype":"U8","shape":[5000],"data_offsets":[0,5000]}}'
    return len(header).to_bytes(8, "little") + header + bytes([fill]) * 5000


def sha256(content):
    return hashlib.sha256(content).hexdigest()


@pytest.fixture
def mirror(tmp_path):
    folder = tmp_path / "a mirror"
    folder.mkdir()
    return folder


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "weights"
    folder.mkdir()
    return folder


@pytest.fixture
def weights(mirror, folder, capsys, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")

    def call(cells="cub/deit_tiny", *more, profile="paper", into=folder, source=mirror):
        places = ["--weights", str(into or ""), "--mirror", str(source or "")]
        status = main(["weights", "--profile", profile, "--cells", cells, *places, *more])
        said = capsys.readouterr()
        return status, said.out.splitlines() or said.err.splitlines()

    return call


def manifest(folder):
    return json.loads((folder / "weights.json").read_text())["files"]


def record(folder, tag, file, content, **changes):
    entry = {"file": file, "size": len(content), "sha256": sha256(content), "source": "x"} | changes
    (folder / "weights.json").write_text(json.dumps({"schema": 1, "files": {tag: entry}}))


@pytest.mark.parametrize(
    ("cells", "name", "target"),
    [
        ("cub/deit_tiny", f"{TINY}.safetensors", f"{TINY}.safetensors"),
        ("cub/deit_tiny", f"{TINY}/model.safetensors", f"{TINY}.safetensors"),
        ("cub/vit_base", "ViT-B_16.npz", "ViT-B_16.npz"),
        ("cub/r50_vit_base", "R50+ViT-B_16.npz", "R50+ViT-B_16.npz"),
    ],
)
def test_a_file_under_any_accepted_name_is_copied_and_recorded(cells, name, target, weights, mirror, folder):
    source = mirror / name
    source.parent.mkdir(exist_ok=True)
    if name.endswith(".npz"):
        np.savez(source, x=np.arange(100.0))
    else:
        source.write_bytes(whole())
    content = source.read_bytes()
    status, lines = weights(cells)
    assert status == 0
    assert lines[0].endswith(f"  {target}  {len(content):,} bytes  {sha256(content)[:12]}  copied")
    assert (folder / target).read_bytes() == content
    assert sorted(path.name for path in folder.iterdir()) == sorted([target, "weights.json"])
    (entry,) = manifest(folder).values()
    assert entry == {"file": target, "size": len(content), "sha256": sha256(content), "source": str(source)}


def test_a_file_that_is_there_and_recorded_is_not_copied_again(weights, mirror, folder):
    (mirror / f"{TINY}.safetensors").write_bytes(whole())
    weights()
    (mirror / f"{TINY}.safetensors").unlink()
    status, lines = weights()
    assert status == 0
    assert lines[0].endswith("there already")


def test_a_file_that_somebody_put_there_is_recorded_and_entries_of_others_stay(weights, folder):
    record(folder, SMALL, "other.pth", b"")
    (folder / f"{TINY}.safetensors").write_bytes(whole())
    assert weights()[0] == 0
    found = manifest(folder)
    assert set(found) == {TINY, SMALL}
    assert found[TINY] == {
        "file": f"{TINY}.safetensors",
        "size": len(whole()),
        "sha256": sha256(whole()),
        "source": "found",
    }


def test_a_truncated_file_is_replaced_and_set_aside(weights, mirror, folder):
    (mirror / f"{TINY}.safetensors").write_bytes(whole())
    (folder / f"{TINY}.safetensors").write_bytes(whole()[:100])
    status, lines = weights()
    assert (status, lines[0].split()[-1]) == (0, "copied")
    assert (folder / f"{TINY}.safetensors").read_bytes() == whole()
    assert (folder / f"{TINY}.safetensors.damaged").read_bytes() == whole()[:100]


def refused(weights, folder):
    """What was said of the one tag asked for; the folder's files must be as they were."""
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    status, lines = weights()
    assert status == 1
    assert lines[-1].endswith("1 failed")
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    return lines[0]


def test_a_truncated_file_in_the_mirror_is_not_copied(weights, mirror, folder):
    (mirror / f"{TINY}.safetensors").write_bytes(whole()[:-1])
    assert f"truncated: {len(whole()) - 1:,} bytes, expected {len(whole()):,}" in refused(weights, folder)


def test_a_truncated_file_stays_where_the_mirror_has_none(weights, folder):
    (folder / f"{TINY}.safetensors").write_bytes(whole()[:-1])
    assert "looked for" in refused(weights, folder)


def test_a_mirrors_own_record_counts(weights, mirror, folder):
    (mirror / f"{TINY}.safetensors").write_bytes(whole())
    record(mirror, TINY, f"{TINY}.safetensors", whole(), sha256="c" * 64)
    assert "expected cccccccccccc" in refused(weights, folder)


def test_a_whole_file_that_is_not_the_recorded_one_is_left_alone(weights, mirror, folder):
    (mirror / f"{TINY}.safetensors").write_bytes(whole())
    (folder / f"{TINY}.safetensors").write_bytes(whole(fill=8))
    record(folder, TINY, f"{TINY}.safetensors", whole())
    assert f"weights.json beside it says {sha256(whole())[:12]}" in refused(weights, folder)


def test_a_copy_that_is_not_the_recorded_file_is_refused(weights, mirror, folder):
    (mirror / f"{TINY}.safetensors").write_bytes(whole(fill=8))
    record(folder, TINY, f"{TINY}.safetensors", whole())
    assert "remove the tag's entry there if the new file is wanted" in refused(weights, folder)


def test_a_published_name_whose_digest_is_another_is_refused(weights, mirror, folder):
    np.savez(mirror / "x.npz", x=np.arange(3.0))
    (mirror / "x.npz").rename(mirror / "deit_tiny_patch16_224-a1311bcf.pth")
    assert "begins with a1311bcf" in refused(weights, folder)


def test_a_damaged_record_is_named(weights, mirror, folder):
    (mirror / f"{TINY}.safetensors").write_bytes(whole())
    (folder / "weights.json").write_text("{")
    assert "weights.json is damaged" in refused(weights, folder)


def with_nan():
    """A .safetensors of one tensor whose second value is NaN."""
    header = b'{"t":{"dtype":"F32","shape":[3],"data_offsets":[0,12]}}'
    return len(header).to_bytes(8, "little") + header + struct.pack("<3f", 1, float("nan"), 2)


def test_values_that_are_no_numbers_are_neither_copied_nor_recorded(weights, mirror, folder):
    (mirror / f"{TINY}.safetensors").write_bytes(with_nan())
    said = refused(weights, folder)
    assert f"{mirror / TINY}.safetensors holds values that are no numbers: t (NaN)" in said
    (folder / f"{TINY}.safetensors").write_bytes(with_nan())
    said = refused(weights, folder)
    assert f"{folder / TINY}.safetensors holds values that are no numbers: t (NaN): delete it" in said


def test_pickled_objects_are_neither_copied_nor_recorded(weights, mirror, folder):
    torch.save({"model": {"t": torch.ones(3)}, "args": argparse.Namespace()}, mirror / f"{TINY}.pth")
    assert "holds pickled objects beside tensors (argparse.Namespace)" in refused(weights, folder)


def test_a_truncated_file_of_torchs_old_format_is_replaced_and_set_aside(weights, mirror, folder):
    name = f"{TINY}.pth"
    torch.save({"model": {"t": torch.ones(3000)}}, mirror / name, _use_new_zipfile_serialization=False)
    whole = (mirror / name).read_bytes()
    (folder / name).write_bytes(whole[:-100])
    assert weights()[0] == 0
    assert (folder / name).read_bytes() == whole
    assert (folder / f"{name}.damaged").read_bytes() == whole[:-100]


def test_a_web_page_is_called_one(weights, mirror, folder):
    (mirror / f"{TINY}.pth").write_bytes(b"<!DOCTYPE html><html>403 Forbidden</html>")
    assert f"{mirror / TINY}.pth is no weights file but a web page (HTML)" in refused(weights, folder)


def test_mini_backbones_come_with_the_checkout_and_nothing_is_written_beside_them(weights):
    before = sorted(MINI_WEIGHTS.iterdir())
    status, lines = weights("cub/deit_tiny", profile="mini", into=None, source=None)
    assert status == 0
    assert lines[0].endswith("there already")
    assert "come with the checkout" in lines[1]
    assert sorted(MINI_WEIGHTS.iterdir()) == before


@pytest.mark.parametrize(
    ("into", "source", "words"),
    [
        ("", "mirror", "WEIGHTS=folder is needed"),
        ("mirror", "mirror", "the same folder"),
        ("file", "mirror", "is a file"),
        ("weights", "nowhere", "is no folder"),
    ],
)
def test_folders_that_make_no_sense_are_refused(into, source, words, weights, mirror, folder, tmp_path):
    (tmp_path / "file").touch()
    known = {
        "": None,
        "mirror": mirror,
        "weights": folder,
        "file": tmp_path / "file",
        "nowhere": tmp_path / "no",
    }
    status, lines = weights(into=known[into], source=known[source])
    assert status == 2
    assert words in lines[0]
