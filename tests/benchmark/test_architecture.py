"""Imports run one way, and listing never loads torch."""

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LOCKS = (ROOT / "requirements.lock", ROOT / "tests" / "optional.lock")
ALLOWED = {  # folder → project folders it may import
    "dcal": {"dcal"},
    "benchmark": {"benchmark", "dcal"},
    "tables": {"tables", "benchmark"},
    "slurm": {"slurm", "benchmark"},
    "reports": {"reports", "benchmark", "dcal", "tables"},
}


def imports(file):
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (name.name.split(".")[0] for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file} imports relatively"
            yield node.module.split(".")[0]


@pytest.mark.parametrize("folder", sorted(ALLOWED))
def test_imports_run_one_way(folder):
    wrong = [
        f"{file.relative_to(ROOT)} imports {name}"
        for file in (ROOT / folder).rglob("*.py")
        for name in imports(file)
        if name in ALLOWED and name not in ALLOWED[folder]
    ]
    assert not wrong


OPTIONAL = {"onnx", "onnxruntime", "onnxscript", "tensorboard", "transformers", "wandb"}


def loaded_with(file):
    """Modules that are imported as soon as a file is."""
    body = [ast.parse(file.read_text(encoding="utf-8"))]
    while body:
        node = body.pop()
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module
        elif not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            body += ast.iter_child_nodes(node)


def test_what_only_some_uses_need_is_not_imported_before_they_come():
    """Everything else works where `make optional` was not called."""
    late = "benchmark.training.trackers.services"  # itself imported by a run with TRACK=tensorboard alone
    wrong = [
        f"{file.relative_to(ROOT)} imports {name}"
        for folder in ALLOWED
        for file in (ROOT / folder).rglob("*.py")
        for name in loaded_with(file)
        if name == late or (name.split(".")[0] in OPTIONAL and file.stem != late.rpartition(".")[2])
    ]
    assert not wrong


def test_only_slurm_names_submitit():
    naming = [
        file.relative_to(ROOT).as_posix()
        for folder in ALLOWED
        for file in (ROOT / folder).rglob("*.py")
        if "submitit" in imports(file)
    ]
    assert all(name.startswith("slurm/") for name in naming)


def test_no_file_is_called_utils():
    assert not [file for folder in ALLOWED for file in (ROOT / folder).rglob("util*.py")]


@pytest.mark.parametrize("folder", sorted(ALLOWED))
def test_every_folder_says_what_lives_in_it(folder):
    text = (ROOT / folder / "README.md").read_text(encoding="utf-8")
    # dcal's is also the library's manual.
    assert 5 <= len(text.splitlines()) <= (300 if folder == "dcal" else 130)


@pytest.mark.parametrize(
    "arguments",
    [
        ["benchmark", "list"],
        ["benchmark", "list", "--profile", "paper"],
        ["benchmark", "list", "--table", "ablations"],
        ["benchmark", "settings"],
        ["benchmark", "evaluate", "--help"],
        ["benchmark", "predict", "--help"],
        ["benchmark", "export", "--help"],
        ["tables", "table1"],
        ["tables", "ablations"],
        ["slurm", "status"],
        ["slurm", "submit", "--dry", "--cluster", "tests/slurm/clusters/cpu.toml"],
    ],
    ids=" ".join,
)
def test_listing_and_tables_never_load_torch(arguments, tmp_path):
    script = (
        "import runpy, sys\n"
        f"sys.argv = {arguments!r} + ['--runs', {str(tmp_path)!r}]\n"
        "try:\n"
        f"    runpy.run_module({arguments[0]!r}, run_name='__main__')\n"
        "except SystemExit as end:\n"
        "    assert not end.code, end.code\n"
        "loaded = [name for name in ('torch', 'timm', 'torchvision') if name in sys.modules]\n"
        "sys.exit(f'loaded {loaded}' if loaded else 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_no_index_address_and_no_machine_path_in_any_file():
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True)
    for lock in LOCKS:
        assert "://" not in lock.read_text()
        assert "--" not in lock.read_text()
    for name in listed.stdout.splitlines():
        if name.endswith((".py", ".md", ".toml", ".lock", "Makefile", "run")):
            text = (ROOT / name).read_text(encoding="utf-8")
            assert "/" + "work/" not in text, name
            assert "--extra-" + "index-url" not in text, name


def test_every_locked_package_is_pinned_exactly():
    for line in "".join(lock.read_text() for lock in LOCKS).splitlines():
        requirement = line.split(";")[0].strip()
        assert requirement.count("==") == 1, line


def test_what_only_some_uses_need_is_locked_apart():
    usual, extras = ({line.partition("==")[0] for line in lock.read_text().splitlines()} for lock in LOCKS)
    assert OPTIONAL <= extras
    assert not extras & usual  # `make optional` would change what runs were made with
    groups = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert {re.match(r"[\w-]+", line)[0] for lines in groups.values() for line in lines} == OPTIONAL
