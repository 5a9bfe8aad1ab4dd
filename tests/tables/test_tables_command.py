"""``python -m tables``, with the reading of run folders replaced by synthetic runs."""

import subprocess
import sys
from pathlib import Path

import pytest
from synthetic_runs import everything

from benchmark.errors import DataError
from benchmark.records import merge
from tables.__main__ import main

ROOT = Path(__file__).parents[2]


@pytest.fixture
def collected(monkeypatch):
    """The folders and keyword arguments of each call of benchmark.records.merge.collect."""
    calls = []

    def collect(folders, **arguments):
        calls.append(arguments | {"folders": folders})
        return merge.MergedRuns(tuple(everything("generated")), (), {})

    monkeypatch.setattr(merge, "collect", collect)
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


@pytest.mark.parametrize(
    "cells", [["cub/deit_tiny cars/vit_base/dcal"], ["cub/deit_tiny", "cars/vit_base/dcal"]]
)
def test_with_cells_these_alone_are_shown_and_the_whole_table_stays_written(
    cells, tmp_path, collected, capsys
):
    full_table = tmp_path / "mini/tables/table1.md"
    assert main(["table1", "--runs", str(tmp_path)]) == 0
    before = full_table.read_bytes()
    capsys.readouterr()
    assert main(["table1", "--runs", str(tmp_path), "--cells", *cells]) == 0
    output = capsys.readouterr().out
    rows = [line.split()[:2] for line in output.splitlines() if line.startswith(("DeiT-", "ViT-", "R50-"))]
    assert rows == [["DeiT-Tiny", kind] for kind in ("baseline", "+", "gain")] + [["ViT-Base", "+"]]
    assert "cells: a part of the table, 3 of its 30 cells" in output
    assert "aircraft" not in output.lower()
    assert "not written, as it is a part of the table: --out FOLDER writes it" in output
    assert full_table.read_bytes() == before
    assert main(["table1", "--runs", str(tmp_path), "--cells", *cells, "--out", str(tmp_path / "part")]) == 0
    assert "R50-ViT-Base" not in (tmp_path / "part/table1.md").read_text()
    assert main(["table1", "--runs", str(tmp_path), "--cells", "cub/no_such"]) == 2
    assert "no_such" in capsys.readouterr().err


def test_with_cells_a_method_alone_and_a_dataset_alone_are_shown(tmp_path, collected, capsys):
    assert main(["table1", "--runs", str(tmp_path), "--cells", "*/*/dcal"]) == 0
    output = capsys.readouterr().out
    assert "baseline" not in [line.split()[1] for line in output.splitlines() if line.startswith("DeiT-")]
    assert main(["table1", "--runs", str(tmp_path), "--cells", "aircraft"]) == 0
    assert "CUB paper" not in capsys.readouterr().out


def test_an_error_of_the_input_is_one_line_and_status_2(tmp_path, collected, monkeypatch, capsys):
    def refuse(folders, **arguments):
        raise DataError("no folder /d")

    monkeypatch.setattr(merge, "collect", refuse)
    assert main(["table1", "--runs", str(tmp_path)]) == 2
    assert capsys.readouterr().err == "error: no folder /d\n"


def test_reads_real_run_folders_without_torch(tmp_path):
    code = (
        "import sys; from tables.__main__ import main; "
        f"status = main(['table1', '--profile', 'paper', '--runs', {str(tmp_path)!r}]); "
        "sys.exit(status or 10 * ('torch' in sys.modules))"
    )
    process = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert (process.returncode, process.stderr) == (0, "")
    assert "R50-ViT-Base" in process.stdout
    assert (tmp_path / "paper" / "tables" / "table1.md").exists()


def test_several_folders_are_read_as_one_and_the_files_go_below_the_first(tmp_path, collected):
    ann, bob = tmp_path / "ann", tmp_path / "my bob"
    ann.mkdir()
    bob.mkdir()
    assert main(["table1", "--runs", f"{ann} '{bob}'"]) == 0
    assert collected[0]["folders"] == (ann, bob)
    assert not (bob / "mini").exists()
    written = (ann / "mini" / "tables" / "table1.html").read_text(encoding="utf-8")
    assert f"<dt>runs</dt><dd>{ann}; {bob}</dd>" in written


def test_an_unknown_folder_among_several_is_refused(tmp_path, collected, capsys):
    assert main(["table1", "--runs", f"{tmp_path} {tmp_path}/nobody"]) == 2
    assert "nobody does not exist" in capsys.readouterr().err
    assert collected == []


def test_conflicts_of_the_folders_are_printed_and_written(tmp_path, monkeypatch, capsys):
    conflict = "cub/deit_tiny/dcal/seed0: two valid records differ (top1 52.5 and 51.0)"
    monkeypatch.setattr(merge, "collect", lambda folders, **_: merge.MergedRuns((), (conflict,), {}))
    assert main(["table1", "--runs", str(tmp_path)]) == 0
    assert f"Conflicts between records\n- {conflict}" in capsys.readouterr().out
    assert conflict in (tmp_path / "mini" / "tables" / "table1.md").read_text().replace("\\", "")
