"""The report's folder is whole at any moment, and nothing else is touched."""

import os

import pytest

from benchmark.errors import RunError
from reports.page import html_table
from reports.page.html_table import GENERATOR, write_site


def fill(text):
    def filling(folder):
        (folder / "index.html").write_text(
            f'<meta name="generator" content="{GENERATOR}">{text}', encoding="utf-8"
        )
        (folder / "assets").mkdir()
        (folder / "assets" / "style.css").write_text(text)

    return filling


def shown(folder):
    return (folder / "index.html").read_text(encoding="utf-8").rpartition(">")[2]


def test_a_report_is_replaced_as_a_whole(tmp_path):
    folder = tmp_path / "mini" / "report"
    write_site(folder, fill("first"))
    (folder / "left over.html").write_text("of the first")
    write_site(folder, fill("second"))
    assert shown(folder) == "second"
    assert sorted(path.name for path in folder.iterdir()) == ["assets", "index.html"]
    assert [path.name for path in folder.parent.iterdir()] == ["report"]


def test_what_stands_beside_is_not_touched(tmp_path):
    (tmp_path / "tables").mkdir()
    (tmp_path / "tables" / "table1.md").write_text("kept")
    (tmp_path / ".report").write_text("kept")
    write_site(tmp_path / "report", fill("new"))
    assert sorted(path.name for path in tmp_path.iterdir()) == [".report", "report", "tables"]
    assert (tmp_path / "tables" / "table1.md").read_text() == "kept"


def test_an_error_while_writing_leaves_the_old_report(tmp_path):
    folder = tmp_path / "report"
    write_site(folder, fill("old"))

    def failing(beside):
        fill("half")(beside)
        raise KeyError("a fault")

    with pytest.raises(KeyError):
        write_site(folder, failing)
    assert shown(folder) == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["report"]


@pytest.mark.parametrize("renamed", [0, 1])
def test_an_error_while_swapping_leaves_the_old_report(tmp_path, monkeypatch, renamed):
    folder = tmp_path / "report"
    write_site(folder, fill("old"))
    rename, calls = os.rename, []

    def refusing(source, target):
        calls.append(target)
        if ".new-" in str(source) or not renamed:
            raise PermissionError(13, "not allowed")
        rename(source, target)

    monkeypatch.setattr(html_table.time, "sleep", lambda seconds: None)
    with monkeypatch.context() as patched:
        patched.setattr(html_table.os, "rename", refusing)
        with pytest.raises(RunError, match="not allowed"):
            write_site(folder, fill("new"))
    assert calls
    assert shown(folder) == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["report"]


def test_a_report_moved_aside_by_a_killed_process_comes_back(tmp_path):
    folder = tmp_path / "report"
    write_site(folder, fill("old"))
    os.rename(folder, tmp_path / f"{html_table._OLD}abc")
    (tmp_path / f"{html_table._NEW}abc").mkdir()  # what it was writing
    outputs = []
    write_site(folder, lambda beside: (outputs.append(shown(folder)), fill("new")(beside)))
    assert outputs == ["old"]
    assert shown(folder) == "new"


def test_what_killed_processes_left_long_ago_is_removed_and_what_others_write_now_is_not(tmp_path):
    for name in ("old", "young"):
        (tmp_path / f"{html_table._NEW}{name}").mkdir()
    os.utime(tmp_path / f"{html_table._NEW}old", (0, 0))
    write_site(tmp_path / "report", fill("new"))
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"{html_table._NEW}young", "report"]


@pytest.mark.parametrize("foreign", ["a file", "a folder", "another page"])
def test_somebody_else_s_report_is_not_replaced(tmp_path, foreign):
    folder = tmp_path / "report"
    if foreign == "a file":
        folder.write_text("my notes")
    else:
        folder.mkdir()
        name = "index.html" if foreign == "another page" else "notes.txt"
        (folder / name).write_text("<h1>my own</h1>")
    old = sorted(tmp_path.rglob("*"))
    with pytest.raises(RunError, match="is not a report"):
        write_site(folder, fill("new"))
    assert sorted(tmp_path.rglob("*")) == old


def test_an_empty_folder_is_filled(tmp_path):
    (tmp_path / "report").mkdir()
    write_site(tmp_path / "report", fill("new"))
    assert shown(tmp_path / "report") == "new"
