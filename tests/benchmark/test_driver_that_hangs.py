"""A GPU driver that does not answer: an error with words, where a call of nvidia-smi would wait for ever."""

import pytest

from benchmark.errors import RunError
from benchmark.timing.bench import results
from benchmark.training import device


@pytest.fixture
def hanging_driver(tmp_path, monkeypatch):
    command = tmp_path / "nvidia-smi"
    command.write_text("#!/bin/sh\nexec sleep 600\n")
    command.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    for module in (device, results):
        monkeypatch.setattr(module, "ANSWER_SECONDS", 0.3)


def test_counting_gpus_ends(hanging_driver):
    with pytest.raises(RunError, match=r"nvidia-smi -L did not answer within .* DEVICE=cpu"):
        device.choose("auto", "mini", "cpu")


def test_naming_a_gpu_ends(hanging_driver):
    with pytest.raises(RunError, match="nvidia-smi did not answer within"):
        results._gpu_name()
