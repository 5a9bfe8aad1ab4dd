"""RUNS="a b": one folder or several, names with spaces, and what is refused."""

import argparse
from pathlib import Path

import pytest

from benchmark.commands.options import add_common, folders, one_folder
from benchmark.errors import SettingsError


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A working directory with the folders ``ann`` and ``bob``, and ``my runs`` with a space."""
    for name in ("ann", "bob", "my runs"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_one_folder(here):
    assert folders("ann") == (here / "ann",)


def test_one_folder_need_not_exist_yet(here):
    assert folders("new") == (here / "new",)


def test_several_folders_keep_their_order(here):
    assert folders("bob ann") == (here / "bob", here / "ann")


def test_absolute_and_relative_names_may_be_mixed(here):
    assert folders(f"ann {here}/bob") == (here / "ann", here / "bob")


def test_the_home_folder_may_be_abbreviated(here, monkeypatch):
    monkeypatch.setenv("HOME", str(here))
    assert folders("~/ann ~/bob") == (here / "ann", here / "bob")


def test_a_folder_whose_name_has_a_space_is_one(here):
    assert folders("my runs") == (here / "my runs",)


@pytest.mark.parametrize("text", ["'my runs' ann", '"my runs" ann', r"my\ runs ann"])
def test_among_several_a_name_with_a_space_is_quoted(here, text):
    assert folders(text) == (here / "my runs", here / "ann")


def test_a_lone_name_with_a_space_may_be_quoted_too(here):
    assert folders("'my runs'") == (here / "my runs",)


def test_a_folder_named_twice_counts_once(here):
    assert folders("ann bob ./ann") == (here / "ann", here / "bob")


def test_an_unknown_folder_among_several_is_refused_by_name(here):
    with pytest.raises(SettingsError, match=r"of which .*/cem does not exist"):
        folders("ann cem")


def test_a_lone_quote_is_part_of_a_name(here):
    (here / "ann's").mkdir()
    assert folders("ann's") == (Path(here / "ann's"),)


@pytest.mark.parametrize("text", ["''", " "])
def test_no_folder_is_refused(here, text):
    with pytest.raises(SettingsError, match="RUNS"):
        folders(text)


@pytest.mark.parametrize("text", ["", " "])
def test_an_empty_option_is_refused_and_not_the_working_directory(here, capsys, text):
    parser = argparse.ArgumentParser()
    add_common(parser)
    with pytest.raises(SystemExit):
        parser.parse_args(["--runs", text])
    assert "--runs: is empty" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["ann", "my runs", "new", "ann's new runs", "ann new"])
def test_runs_are_written_to_one_folder_whatever_its_name(here, name):
    assert one_folder(Path(name)) == here / name


def test_runs_are_not_written_to_several_folders(here):
    with pytest.raises(SettingsError, match="runs are written to one"):
        one_folder(Path("ann bob"))
