"""Batch scripts: exact text for three cluster files, and rules for all cluster files."""

import os
import re
import shlex
import sys
from pathlib import Path

import pytest

from benchmark.errors import RunError, SettingsError
from benchmark.records import status
from slurm.arrays import plan_arrays
from slurm.cluster import load_cluster
from slurm.submit import ROOT, LaunchSettings, batch_script

HERE = Path(__file__).parent
CLUSTERS = sorted(path.stem for path in (HERE / "clusters").glob("*.toml"))
CELLS = ("cub/deit_tiny", "cub/vit_base", "veri/deit_tiny", "veri/deit_base")
WRITE = "SLURM_WRITE_GOLDEN"


def settings_of(runs, profile="paper", device="cuda"):
    return LaunchSettings(profile, runs, None, None, "", device, None, 60.0)


def arrays_of(name, runs, *, seeds=(0,), cells=CELLS, device="cuda", profile="paper"):
    cluster = load_cluster(HERE / "clusters" / f"{name}.toml")
    views = status.collect(profile=profile, runs_dir=runs, seeds=seeds, patterns=cells)
    return cluster, plan_arrays(cluster, views, runs, device)


def script(cluster, array, settings):
    """Batch script with placeholders for the paths of this machine."""
    text = batch_script(cluster, array, settings)
    for path, placeholder in (
        (shlex.quote(sys.executable), "PYTHON"),
        (str(settings.runs), "RUNS"),
        (shlex.quote(str(ROOT)), "CHECKOUT"),
    ):
        text = text.replace(path, placeholder)
    return text


@pytest.mark.parametrize("name", CLUSTERS)
def test_the_text_is_the_golden_one(name, tmp_path):
    device = "cpu" if name == "cpu" else "cuda"
    cluster, arrays = arrays_of(name, tmp_path, device=device)
    lines = []
    for array in arrays:
        lines.append(f"### class {array.class_name}, {len(array.runs)} runs\n")
        lines += [f"### {index}: {view.id}\n" for index, view in enumerate(array.runs)]
        lines.append(script(cluster, array, settings_of(tmp_path)) + "\n")
    golden = HERE / "golden" / f"{name}.sbatch"
    if os.environ.get(WRITE):
        golden.write_text("".join(lines))
    assert "".join(lines) == golden.read_text(), f"if meant: {WRITE}=1 make test-slurm, read the diff"


def flags(text):
    return dict(re.findall(r"^#SBATCH --([\w-]+)=?(.*)$", text, re.M))


def test_several_gpus_are_asked_for_with_one_task_each(tmp_path):
    cluster, arrays = arrays_of("one_gpu", tmp_path)
    large = next(array for array in arrays if array.class_name == "base")
    settings = flags(batch_script(cluster, large, settings_of(tmp_path)))
    assert settings["gpus-per-node"] == settings["ntasks-per-node"] == "4"
    assert settings["account"] == "'proj 42'"  # one word to SLURM
    assert settings["time"] == "2880"
    assert "--kill-on-bad-exit=1" in batch_script(cluster, large, settings_of(tmp_path))


def test_a_long_grid_is_cut_and_its_arrays_share_the_cap(tmp_path):
    _, arrays = arrays_of("two_nodes", tmp_path)
    assert [len(array.runs) for array in arrays] == [7, 1]
    assert [array.parallel for array in arrays] == [3, 3]
    ids = [view.id for array in arrays for view in array.runs]
    assert len(set(ids)) == len(ids) == 8


def test_the_whole_grid_with_three_seeds_is_a_handful_of_arrays(tmp_path):
    cells = ("cub", "cars", "aircraft", "veri", "msmt17", "market", "duke")
    _, arrays = arrays_of("one_gpu", tmp_path, seeds=(0, 1, 2), cells=cells)
    assert sum(len(array.runs) for array in arrays) == 204
    assert len(arrays) == 2


def test_a_path_with_a_space_is_one_word(tmp_path):
    runs = tmp_path / "my runs"
    cluster, arrays = arrays_of("cpu", runs, device="cpu")
    text = batch_script(cluster, arrays[0], settings_of(runs))
    assert f"--output='{runs}/paper/slurm/%A_%a_0_log.out'" in text
    assert shlex.split(text.rstrip().splitlines()[-1])[-1] == str(runs / "paper" / "slurm")


def test_a_path_with_a_percent_sign_is_refused(tmp_path):
    runs = tmp_path / "100%"
    cluster, arrays = arrays_of("cpu", runs, device="cpu")
    with pytest.raises(RunError, match="placeholder; choose another RUNS"):
        batch_script(cluster, arrays[0], settings_of(runs))


def test_a_recipe_for_gpus_is_not_sent_to_cpus_silently(tmp_path):
    with pytest.raises(
        SettingsError, match=r"paper trains on GPUs, and class 'default' .* asks for none.*DEVICE=cpu"
    ):
        arrays_of("cpu", tmp_path)


def test_a_number_of_ranks_that_does_not_divide_the_batch_is_refused_before_anything_is_sent(tmp_path):
    odd = tmp_path / "odd.toml"
    odd.write_text('cpus = 1\nmemory = "1G"\nminutes = 60\ngpus = 3\n')
    views = status.collect(profile="paper", runs_dir=tmp_path, patterns=["cub/deit_tiny/baseline"])
    with pytest.raises(
        SettingsError, match=r"class 'default', 1 nodes × 3 tasks, cub/deit_tiny/baseline.*16"
    ):
        plan_arrays(load_cluster(odd), views, tmp_path, "cuda")
