"""A weights file that is cut off or damaged is told from a whole one by its own structure, in every format."""

import pickle
import struct

import numpy as np
import pytest
import safetensors.torch
import torch

from dcal.weights.integrity import defect, digest_contradiction
from dcal.weights.read import WeightsError, read_state

TENSORS = {
    "a": torch.arange(600.0).reshape(20, 30),
    "half": torch.ones(7, dtype=torch.float16),
    "b16": torch.ones(5, dtype=torch.bfloat16),
    "count": torch.tensor(3),
    "mask": torch.zeros(9, dtype=torch.bool),
}
KINDS = ["safetensors", "pth", "bin", "legacy pth", "legacy pt", "npz"]


def is_legacy(kind):
    """Whether the kind is torch's format before 1.6, which states no lengths: it is looked at by reading it."""
    return "legacy" in kind


def written(folder, kind):
    file = folder / f"weights.{kind.split()[-1]}"
    if kind == "safetensors":
        safetensors.torch.save_file(TENSORS, file, metadata={"format": "pt"})
    elif kind == "npz":
        np.savez(file, **{f"x/{name}": np.arange(50.0) for name in TENSORS})
    else:
        shared = TENSORS | {"view": TENSORS["a"][3:5]}  # two tensors of one storage
        wrapped = {"model": shared, "epoch": 300}
        torch.save(wrapped, file, _use_new_zipfile_serialization=not is_legacy(kind))
    return file


@pytest.mark.parametrize("kind", KINDS)
def test_a_whole_file_has_no_defect(kind, tmp_path):
    file = written(tmp_path, kind)
    assert defect(file) == ""
    assert defect(file, thorough=True) == ""


@pytest.mark.parametrize("kept", [1, 7, 40, 0.3, 0.7, 0.98, -1])
@pytest.mark.parametrize("kind", KINDS)
def test_a_file_cut_off_anywhere_has_one(kind, kept, tmp_path):
    file = written(tmp_path, kind)
    content = file.read_bytes()
    file.write_bytes(content[: int(kept * len(content)) if isinstance(kept, float) else kept])
    assert defect(file, thorough=is_legacy(kind)) != ""
    with pytest.raises(WeightsError, match="cannot be read as"):
        read_state(file)


def test_found_and_expected_sizes_are_named(tmp_path):
    file = written(tmp_path, "safetensors")
    size = file.stat().st_size
    file.write_bytes(file.read_bytes()[:-5])
    assert defect(file) == f"truncated: {size - 5:,} bytes, expected {size:,}"
    file = written(tmp_path, "legacy pth")
    file.write_bytes(file.read_bytes()[:-5])
    assert defect(file, thorough=True).startswith("truncated or damaged: unexpected EOF")


@pytest.mark.parametrize("kind", ["safetensors", "legacy pth"])
def test_bytes_behind_the_end_are_a_defect(kind, tmp_path):
    file = written(tmp_path, kind)
    file.write_bytes(file.read_bytes() + b"more")
    assert defect(file, thorough=is_legacy(kind)).startswith("damaged: ")


@pytest.mark.parametrize("kind", ["pth", "npz"])
def test_bytes_lost_in_the_middle_of_an_archive_are_a_defect(kind, tmp_path):
    file = written(tmp_path, kind)
    content = file.read_bytes()
    file.write_bytes(content[:700] + content[764:])
    assert defect(file) != ""


@pytest.mark.parametrize("kind", ["pth", "npz"])
def test_a_changed_bit_in_an_archive_is_found_by_its_checksums(kind, tmp_path):
    file = written(tmp_path, kind)
    content = bytearray(file.read_bytes())
    where = content.index(struct.pack("<f", 17.0) if kind == "pth" else struct.pack("<d", 17.0))
    content[where] ^= 1
    file.write_bytes(content)
    assert defect(file) == ""
    assert "checksum" in defect(file, thorough=True) or "CRC" in defect(file, thorough=True)


@pytest.mark.parametrize("kind", ["pth", "npz"])
def test_a_member_marked_as_a_folder_is_a_defect(kind, tmp_path):
    # One bit of the archive's directory; torch then reads the member as zeros.
    file = written(tmp_path, kind)
    content = bytearray(file.read_bytes())
    content[content.index(b"PK\x01\x02") + 38] |= 0x10  # external attributes
    file.write_bytes(content)
    assert "is marked as a folder" in defect(file)


@pytest.mark.parametrize("suffix", ["safetensors", "pth", "npz", "bin"])
@pytest.mark.parametrize("content", [b"<html>404: not found</html>", b"", pickle.dumps({"a": 1})])
def test_what_is_no_weights_file_has_a_defect(content, suffix, tmp_path):
    file = tmp_path / f"weights.{suffix}"
    file.write_bytes(content)
    assert defect(file) != ""


def test_a_file_that_is_not_there_has_a_defect(tmp_path):
    assert defect(tmp_path / "absent.safetensors").startswith("cannot be read")


def test_a_file_that_becomes_whole_has_no_defect_any_more(tmp_path):
    file = written(tmp_path, "safetensors")
    content = file.read_bytes()
    file.write_bytes(content[:-1])
    assert defect(file) != ""
    file.write_bytes(content)
    assert defect(file) == ""


class Trap:
    def __init__(self, trace):
        self.trace = trace

    def __reduce__(self):
        return type(self.trace).touch, (self.trace,)


def test_looking_at_a_file_runs_nothing_of_it(tmp_path):
    file, trace = tmp_path / "weights.pth", tmp_path / "trace"
    wrapped = {"model": TENSORS, "trap": Trap(trace)}
    torch.save(wrapped, file, _use_new_zipfile_serialization=False)
    assert defect(file, thorough=True) == ""  # it is whole; loading refuses it
    assert not trace.exists()
    file.write_bytes(pickle.dumps(Trap(trace), protocol=2))
    assert defect(file) != ""
    assert not trace.exists()


def test_a_digest_in_a_published_name_must_be_the_files(tmp_path):
    name = tmp_path / "deit_tiny_patch16_224-a1311bcf.pth"
    assert digest_contradiction(name, "a1311bcf" + "0" * 56) == ""
    assert digest_contradiction(name, "b" * 64) == "a1311bcf"
    assert digest_contradiction(tmp_path / "ViT-B_16.npz", "b" * 64) == ""
    assert digest_contradiction(tmp_path / "deit_tiny_patch16_224.fb_in1k.safetensors", "b" * 64) == ""
