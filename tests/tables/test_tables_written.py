"""Written files: all or none; modules that are imported to write them."""

import subprocess
import sys
from pathlib import Path

import pytest
from synthetic_runs import everything

from benchmark.errors import RunError
from tables.exports import write_layout
from tables.layout import build

ROOT = Path(__file__).parents[2]


def test_write_makes_four_files_and_leaves_nothing_else(tmp_path):
    out = tmp_path / "runs of mine" / "tables"
    paths = write_layout(build("table1", "paper", everything()), out)
    assert {suffix: path.name for suffix, path in paths.items()} == {
        suffix: f"table1.{suffix}" for suffix in ("md", "tex", "csv", "html")
    }
    assert sorted(out.iterdir()) == sorted(paths.values())
    assert "数据" in paths["html"].read_text(encoding="utf-8")


def test_a_failed_rendering_leaves_the_old_files(tmp_path, monkeypatch):
    paths = write_layout(build("table1", "paper", []), tmp_path)
    before = {path: path.read_bytes() for path in paths.values()}
    from tables import exports as module

    monkeypatch.setitem(module.EXPORTS, "html", lambda layout: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        write_layout(build("table1", "paper", everything()), tmp_path)
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_folder_that_cannot_be_made_is_a_plain_error(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(RunError):
        write_layout(build("table1", "paper", []), tmp_path / "file" / "tables")


def loaded_after(code):
    process = subprocess.run(
        [sys.executable, "-c", code + "; import sys; print(*sorted(sys.modules))"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return set(process.stdout.split())


def test_rendering_never_imports_torch(tmp_path):
    here = str(Path(__file__).parent)
    code = (
        f"import sys; sys.path[:0] = [{str(ROOT)!r}, {here!r}]; from synthetic_runs import everything; "
        f"from tables.layout import build; from tables.exports import write_layout; "
        f"write_layout(build('table1', 'paper', everything()), {str(tmp_path)!r}); "
        "import tables.__main__"
    )
    assert loaded_after(code).isdisjoint({"torch", "timm", "torchvision"})


def test_the_command_line_starts_without_heavy_imports():
    loaded = loaded_after("import tables.__main__ as m; m.build_parser()")
    assert loaded.isdisjoint({"torch", "pandas", "numpy", "jinja2", "tabulate"})
