"""``python -m tables``, with the reading of run folders replaced by synthetic runs."""

import subprocess
import sys
import types
from pathlib import Path

import pytest
from synthetic_runs import everything

from benchmark.errors import DataError
from tables.__main__ import main

ROOT = Path(__file__).parents[2]


@pytest.fixture
def collected(monkeypatch):
    """The keyword arguments of each call of benchmark.status.collect."""
    calls = []
    module = types.ModuleType("benchmark.status")
    module.collect = lambda **arguments: calls.append(arguments) or everything("generated")
    monkeypatch.setitem(sys.modules, "benchmark.status", module)
    monkeypatch.setattr("benchmark.status", module, raising=False)
    return calls


def test_prints_the_table_and_writes_the_files_below_the_profile(tmp_path, collected, capsys):
    assert main(["table1", "--profile", "mini", "--runs", str(tmp_path), "--seeds", "0 1 2"]) == 0
    printed = capsys.readouterr().out
    assert "NOT comparable" in printed.splitlines()[0]
    assert "R50-ViT-Base" in printed
    assert sorted(path.name for path in (tmp_path / "mini" / "tables").iterdir()) == [
        "table1.csv",
        "table1.html",
        "table1.md",
        "table1.tex",
    ]


def test_passes_on_where_and_what(tmp_path, collected):
    where = ["--runs", str(tmp_path), "--out", str(tmp_path / "o"), "--data", "/d", "--weights", ""]
    what = ["--profile", "quick", "--seeds", "0", "2", "--set", "train.epochs=3 data.flip=0.0"]
    assert main(["table1", *where, *what]) == 0
    (call,) = collected
    assert (call["table"], call["profile"], call["seeds"]) == ("table1", "quick", (0, 2))
    assert call["overrides"] == {"train.epochs": 3, "data.flip": 0.0}
    assert (str(call["data_dir"]), call["weights_dir"]) == ("/d", None)
    assert (tmp_path / "o" / "table1.md").exists()
    assert "train.epochs=3, data.flip=0.0" in (tmp_path / "o" / "table1.html").read_text(encoding="utf-8")


def test_cells_are_checked_and_every_cell_is_shown(tmp_path, collected, capsys):
    assert main(["table1", "--runs", str(tmp_path), "--cells", "cub/deit_tiny"]) == 0
    assert "R50-ViT-Base" in capsys.readouterr().out
    assert main(["table1", "--runs", str(tmp_path), "--cells", "cub/no_such"]) == 2
    assert "no_such" in capsys.readouterr().err


def test_an_error_of_the_input_is_one_line_and_status_2(tmp_path, collected, monkeypatch, capsys):
    def refuse(**arguments):
        raise DataError("no folder /d")

    monkeypatch.setattr(sys.modules["benchmark.status"], "collect", refuse)
    assert main(["table1", "--runs", str(tmp_path)]) == 2
    assert capsys.readouterr().err == "error: no folder /d\n"


def test_reads_real_run_folders_without_torch(tmp_path):
    code = (
        "import sys; from tables.__main__ import main; "
        f"status = main(['table1', '--profile', 'paper', '--runs', {str(tmp_path)!r}]); "
        "sys.exit(status or 10 * ('torch' in sys.modules))"
    )
    found = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert (found.returncode, found.stderr) == (0, "")
    assert "R50-ViT-Base" in found.stdout
    assert (tmp_path / "paper" / "tables" / "table1.md").exists()
