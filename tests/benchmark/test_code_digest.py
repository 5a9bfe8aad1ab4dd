"""The digest of the code that a measurement depends on: what is imported counts, and of it the code alone."""

import pytest

from benchmark.records.forecasts import MEASURED_MODULES
from benchmark.records.provenance import ROOT, code_digest, import_closure
from benchmark.timing.glca_overhead import COUNTED

TRAIN = '''"""Trains."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmark import steps

if TYPE_CHECKING:
    from benchmark.types_alone import Kind


class Trainer:
    """Steps."""

    def fit(self, kind: Kind) -> float:
        """Fit."""
        from benchmark.deep.inner import rate

        return steps.one() * rate(kind)
'''
FILES = {
    "train": TRAIN,
    "steps": "import dcal.model as model\n\nREADER = 'benchmark.data.cub'\n\n\ndef one():\n    return model.two()\n",
    "deep/inner": "from importlib import import_module\n\n\ndef rate(kind):\n"
    "    return import_module(f'benchmark.deep.{KINDS[kind]}')\n\n\nKINDS = {'a': 'named.write'}\n",
    "deep/named": "def write():\n    return 3\n",
    "data/cub": "SIZE = 4\n",
    "types_alone": "Kind = str\n",
    "unrelated": "import benchmark.train\n",
}
IMPORTED = {"train", "steps", "deep.inner", "deep.named", "data.cub"}


@pytest.fixture
def project(tmp_path):
    """A made-up checkout with modules that are imported in a function, by a string, and by a formatted string."""
    for name, text in FILES.items():
        write(tmp_path, f"benchmark/{name}.py", text)
    write(tmp_path, "dcal/__init__.py", "")
    write(tmp_path, "dcal/model.py", "def two():\n    return 2\n")
    return tmp_path


def write(root, name, text):
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def digest_after(project, name=None, text=None):
    """Of the project as it would be found by a new process."""
    from benchmark.records import provenance as module

    if name:
        write(project, name, text)
    for cached in (module.code_digest, module._source_file, module._module_file):
        cached.cache_clear()
    return code_digest(project, ("benchmark.train",))


def test_everything_that_is_imported_belongs_to_it_and_nothing_else(project):
    expected = {f"benchmark.{name}" for name in IMPORTED} | {"dcal", "dcal.model"}
    assert import_closure(project, ["benchmark.train"]) == expected


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("benchmark/train", '"""Trains."""', '"""Trains, says another docstring."""'),
        ("benchmark/train", '        """Fit."""\n', ""),
        ("benchmark/steps", "return model", '"a docstring"\n    return model'),
        ("benchmark/train", "return steps", "# a comment\n        return  steps"),
        ("benchmark/deep/inner", "def rate", "# far away\n\n\ndef rate"),
        (
            "benchmark/unrelated",
            "import benchmark.train",
            "import benchmark.train, json",
        ),
        ("benchmark/types_alone", "str", "int"),
        ("benchmark/new/folder/unrelated", "", "import benchmark.train\n"),
    ],
)
def test_comments_docstrings_and_what_is_not_imported_change_nothing(project, name, old, new):
    before = digest_after(project)
    text = FILES.get(name.removeprefix("benchmark/"), "")
    assert old in text
    assert digest_after(project, f"{name}.py", text.replace(old, new)) == before


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("train", "steps.one() * rate", "steps.one() + rate"),
        ("train", "def fit(self, kind: Kind)", "def fit(self, kind: Kind = 'a')"),
        ("deep/inner", "'a'", "'b'"),
        ("deep/named", "3", "4"),
        ("data/cub", "SIZE = 4", "SIZE = 5"),
    ],
)
def test_code_that_is_imported_counts_wherever_it_lies(project, name, old, new):
    before = digest_after(project)
    text = FILES[name]
    assert old in text
    assert digest_after(project, f"benchmark/{name}.py", text.replace(old, new)) != before
    assert digest_after(project, f"benchmark/{name}.py", text) == before


def test_a_module_in_a_new_folder_counts_as_soon_as_it_is_imported(project):
    write(project, "benchmark/new/folder/part.py", "SIZE = 1\n")
    imported = FILES["steps"].replace("import dcal", "import benchmark.new.folder.part\nimport dcal")
    before = digest_after(project, "benchmark/steps.py", imported)
    assert digest_after(project, "benchmark/new/folder/part.py", "SIZE = 2\n") != before


def test_an_unknown_module_is_an_error(project):
    with pytest.raises(ModuleNotFoundError, match=r"no module benchmark\.nowhere"):
        import_closure(project, ["benchmark.nowhere"])


def test_the_suites_own_measurements_depend_on_trainer_evaluator_readers_and_method():
    found = import_closure(ROOT, MEASURED_MODULES)
    parts = (
        "training.trainer",
        "training.step",
        "training.optim",
        "evaluation.classification",
        "evaluation.retrieval",
        "training.tasks",
        "data.loader",
        "config.datasets",  # with the versions of the generated pictures
        "data.readers.cub",  # named by strings
        "data.readers.veri",
    )
    assert {f"benchmark.{part}" for part in parts} | {"dcal.model", "dcal.glca"} <= found
    assert not {"benchmark.__main__", "benchmark.commands.select_models", "benchmark.config.paper"} & found
    assert {"benchmark.timing.counting", "dcal.model"} <= import_closure(ROOT, COUNTED)
