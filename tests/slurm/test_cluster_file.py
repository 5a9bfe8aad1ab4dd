"""Cluster files: reading, refusals, and agreement of the example with the code."""

import dataclasses
import os
import re
from pathlib import Path

import pytest

from benchmark.config.grid import select
from benchmark.errors import SettingsError
from slurm.cluster import DEFAULT_FILE, EXAMPLE, Cluster, Resources, load_cluster

MINIMAL = 'cpus = 2\nmemory = "6G"\nminutes = 45\n'
CLASS = '[[class]]\nname = "base"\ncells = ["*/vit_base"]\n'


def load(tmp_path, text):
    path = tmp_path / "site.toml"
    path.write_text(text)
    return load_cluster(path)


def cell(id):
    return select([id])[0]


def test_the_least_that_a_file_can_say(tmp_path):
    cluster = load(tmp_path, MINIMAL)
    (only,) = cluster.classes
    assert only.name == "default"
    assert only.resources == Resources(cpus=2, memory="6G", minutes=45)
    assert cluster == Cluster(file=tmp_path / "site.toml", classes=(only,))


def test_a_class_takes_its_cells_and_what_it_does_not_say_holds_from_above(tmp_path):
    cluster = load(tmp_path, MINIMAL + 'partition = "p"\n' + CLASS + "gpus = 4\nminutes = 90\n")
    base = cluster.resource_class(cell("cub/vit_base/dcal"))
    assert base.name == "base"
    assert base.resources == Resources(partition="p", cpus=2, memory="6G", minutes=90, gpus=4)
    assert base.resources.ranks == 4
    assert cluster.resource_class(cell("cub/deit_tiny/dcal")).name == "default"


def test_the_first_class_that_matches_counts(tmp_path):
    second = '[[class]]\nname = "all-cub"\ncells = ["cub"]\n'
    cluster = load(tmp_path, MINIMAL + CLASS + second)
    assert cluster.resource_class(cell("cub/vit_base/dcal")).name == "base"
    assert cluster.resource_class(cell("cub/deit_tiny/dcal")).name == "all-cub"


@pytest.mark.parametrize(
    ("gres", "gpus"),
    [
        ("gpu:2", 2),
        ("gpu:a100:4", 4),
        ("gpu", 1),
        ("gpu:a100", 1),
        ("gpu:2080ti:3", 3),
        ("gpu:1g.5gb:1", 1),
        ("gpu:3090:2,lscratch:100", 2),
        ("lscratch:100,gpu:h100:8", 8),
    ],
)
def test_gres_says_how_many_tasks_a_node_has(tmp_path, gres, gpus):
    resources = load(tmp_path, MINIMAL + f'gres = "{gres}"\nnodes = 3\n').classes[0].resources
    assert resources.tasks_per_node == gpus
    assert resources.ranks == 3 * gpus


def test_a_class_may_ask_the_other_way(tmp_path):
    cluster = load(tmp_path, MINIMAL + 'gres = "gpu:2"\n' + CLASS + "gpus = 4\n")
    assert [resource_class.resources.gpus_per_node for resource_class in cluster.classes] == [4, 2]
    assert cluster.classes[0].resources.gres == ""
    cluster = load(tmp_path, MINIMAL + "gpus = 2\n" + CLASS + 'gres = "gpu:v100:4"\n')
    assert [resource_class.resources.gpus_per_node for resource_class in cluster.classes] == [4, 2]


def test_a_cpu_run_is_one_task_a_node(tmp_path):
    resources = load(tmp_path, MINIMAL + "gpus = 0\nnodes = 2\n").classes[0].resources
    assert (resources.gpus_per_node, resources.ranks) == (0, 2)


REFUSED = {
    "minutes = 4.5": "whole number of minutes",
    'minutes = "1-00:00:00"': '1-00:00:00.*or "auto"',
    "minutes = 0": "minutes = 0, expected at least 1",
    "minutes = 2": "minutes = 2 leave no time before the notice",
    'memory = "lots"': "memory = 'lots', expected a number with K, M, G or T",
    "cpus = true": "cpus = True, expected a whole number",
    "cpus = 0": "cpus = 0, expected at least 1",
    "nodes = 0": "nodes = 0, expected at least 1",
    "gpus = -1": "gpus = -1, expected at least 0",
    "parallel = 0": "parallel = 0",
    "array_size = 0": "array_size = 0",
    "requeues = -1": "requeues = -1",
    "notice_seconds = 1": "notice_seconds = 1, expected at least 10",
    "margin = 0.5": "margin = 0.5, expected at least 1",
    'gres = "tpu:2"': "expected gpu:2 or gpu:type:2",
    'gres = "gpus:2"': "expected gpu:2 or gpu:type:2",
    'scratch = "~/x"': "expected an absolute path",
    "extra = { clusters = 'b' }": "extra.clusters is set",
    'minutes = "auto"\nlongest = 1': "minutes = 1 leave no time",
    'gpus = 2\ngres = "gpu:2"': "both ask for GPUs",
    "partitoin = 'x'": "unknown option 'partitoin'; nearest: partition",
    "setup = 'module load x'": "expected a list of texts",
    "setup = [\"a\\nb\"]": "more than one line",
    'partition = "a\\n#SBATCH --qos=x"': "partition has 'a.n#SBATCH --qos=x', which is more than one line",
    'account = "a\\r"': "account has 'a.r', which is more than one line",
    'gres = "gpu:2\\u2028x"': "gres has 'gpu:2.u2028x', which is more than one line",
    'extra = { nice = "5\\n#SBATCH --uid=0" }': "extra has '5.n#SBATCH --uid=0', which is more than one line",
    'extra = { "nice=5\\n#SBATCH --uid" = "0" }': "extra has an option 'nice=5.n#SBATCH --uid'",
    'srun = ["--x\\u001b[31m"]': "srun has '--x.x1b.31m', which is more than one line or holds a control character",
    'python = "python3\\nrm"': "python has 'python3.nrm', which is more than one line",
    "extra = { time = '5' }": "extra.time is set by the suite",
    "extra = { nice = 5 }": "expected { option = 'text' }",
    "partition = ": "is not valid TOML",
    "[class]\nname = 'x'": "two brackets",
    "[[class]]\nname = 'a b'\ncells = ['cub']": "expected a short word",
    "[[class]]\nname = 'default'\ncells = ['cub']": "two classes are named 'default'",
    "[[class]]\nname = 'x'": "cells = None, expected patterns",
    "[[class]]\nname = 'x'\ncells = ['cubb']": "matches none of the 68 cells",
    "[[class]]\nname = 'x'\ncells = ['cub']\nrequeues = 3": "requeues is the site's, not a class's",
    "[[class]]\nname = 'x'\ncells = ['cub']\ngpu = 3": "class 'x': unknown option 'gpu'; nearest: gpus",
}  # fmt: skip


@pytest.mark.parametrize("line", REFUSED)
def test_refused(tmp_path, line):
    names = {part.split(" =")[0] for part in line.splitlines()[:1]}
    rest = "".join(f"{kept}\n" for kept in MINIMAL.splitlines() if kept.split(" =")[0] not in names)
    with pytest.raises(SettingsError, match=REFUSED[line]) as error:
        load(tmp_path, rest + line + "\n")
    if "matches none" not in REFUSED[line]:
        assert "site.toml" in str(error.value)


@pytest.mark.parametrize("name", ["cpus", "minutes"])
def test_what_has_to_be_there(tmp_path, name):
    text = "".join(f"{line}\n" for line in MINIMAL.splitlines() if not line.startswith(name))
    with pytest.raises(SettingsError, match=f"no value for {name}"):
        load(tmp_path, text)


def test_no_file_says_which_to_copy(tmp_path):
    with pytest.raises(SettingsError, match=r"copy slurm/cluster\.example\.toml.*CLUSTER=path"):
        load_cluster(tmp_path / "none.toml")


def test_the_users_own_file_is_not_committed():
    ignored = (Path(__file__).parents[2] / ".gitignore").read_text().splitlines()
    assert f"/slurm/{DEFAULT_FILE.name}" in ignored


def test_the_example_shows_every_option_with_its_default():
    text = EXAMPLE.read_text()
    cluster = load_cluster(EXAMPLE)
    default = cluster.classes[-1].resources
    names = set(re.findall(r"^#? ?(\w+) = ", text, re.M))
    fields = [*dataclasses.fields(Resources), *dataclasses.fields(Cluster)]
    not_options = {"file", "classes"}
    assert {field.name for field in fields} - not_options <= names
    # partition and the three that have no default are examples; everything else is what leaving it out means.
    bare = Resources(
        cpus=default.cpus, memory=default.memory, minutes=default.minutes, partition=default.partition
    )
    assert default == bare
    assert dataclasses.replace(cluster, classes=()) == Cluster(file=EXAMPLE, classes=())


def test_every_line_of_the_example_is_explained():
    for line in EXAMPLE.read_text().split("[[class]]")[0].splitlines():
        if " = " in line and not line.startswith("#"):
            assert "#" in line, line


def test_what_is_no_readable_file_is_refused_in_words_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.toml")
    with pytest.raises(SettingsError, match=r"pipe\.toml: it is a named pipe, expected a file"):
        load_cluster(tmp_path / "pipe.toml")
    with pytest.raises(SettingsError, match="it is a folder, expected a file"):
        load_cluster(tmp_path)
    with pytest.raises(SettingsError, match="the name is too long"):
        load_cluster(tmp_path / ("n" * 300))
    with pytest.raises(SettingsError, match="no cluster file"):
        load_cluster(tmp_path / "none.toml")
