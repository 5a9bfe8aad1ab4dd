"""What dcal may import, and what loads torch."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import dcal

FOLDER = Path(dcal.__file__).parent
ALLOWED = {"dcal", "torch", "timm", "numpy", "safetensors", "huggingface_hub"} | sys.stdlib_module_names


@pytest.mark.parametrize("file", sorted(FOLDER.rglob("*.py")), ids=lambda file: file.name)
def test_a_file_imports_torch_timm_the_weights_readers_and_the_standard_library_only(file):
    imported = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            imported |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add("dcal" if node.level else node.module.split(".")[0])
    assert imported <= ALLOWED


@pytest.mark.parametrize("module", ["dcal", "dcal.settings", "dcal.weights.manifest"])
def test_settings_and_the_search_for_weights_do_without_torch(module):
    code = f"import sys, {module}; sys.exit(bool({{'torch', 'timm', 'numpy'}} & sys.modules.keys()))"
    assert subprocess.run([sys.executable, "-c", code], cwd=FOLDER.parent, check=False).returncode == 0


def test_settings_are_reached_from_the_package_without_torch():
    code = "import sys, dcal; dcal.GLCASettings(); dcal.PWCASettings(); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=FOLDER.parent, check=False).returncode == 0


def test_every_public_name_is_there_and_listed():
    assert dir(dcal) == dcal.__all__
    for name in dcal.__all__:
        assert getattr(dcal, name).__name__ == name


def test_an_unknown_name_is_refused():
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        dcal.nonsense  # noqa: B018
