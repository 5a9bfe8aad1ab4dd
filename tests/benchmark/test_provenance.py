"""A record names its commit, or says that it is not known; it never says "unchanged" without knowing."""

import os
import subprocess

import pytest

from benchmark.records import provenance
from tables import records


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
    provenance._warn.cache_clear()
    for name in ("GIT_DIR", "GIT_WORK_TREE"):
        monkeypatch.delenv(name, raising=False)


def git(folder, *arguments):
    identity = ["-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "safe.directory=*"]
    command = ["git", *identity, "-C", str(folder), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    folder = tmp_path / "checkout"
    (folder / "benchmark/records").mkdir(parents=True)
    (folder / "benchmark/records/provenance.py").write_text("1\n")
    git(folder, "init", "-q")
    git(folder, "add", ".")
    git(folder, "commit", "-qm", "one")
    monkeypatch.setattr(provenance, "ROOT", folder)
    return folder


def give_away(folder, monkeypatch):
    """Make the checkout another user's, as git sees it."""
    if os.geteuid() == 0:
        for path in (folder, *folder.rglob("*")):
            os.chown(path, 65534, 65534)
    else:
        monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    plain = subprocess.run(["git", "-C", str(folder), "status"], capture_output=True, text=True)
    assert "dubious ownership" in plain.stderr


def test_another_users_checkout_is_asked(checkout, monkeypatch, caplog):
    give_away(checkout, monkeypatch)
    assert provenance.commit_state() == (git(checkout, "rev-parse", "HEAD"), False)
    (checkout / "benchmark/records/provenance.py").write_text("2\n")
    found = provenance.code_state()
    assert found["dirty"] is True
    assert len(found["changes"]) == 16
    assert not caplog.records


def test_no_checkout_is_unknown_and_said_once(checkout, monkeypatch, caplog):
    subprocess.run(["rm", "-rf", str(checkout / ".git")], check=True)
    assert provenance.code_state() == {"commit": "unknown", "dirty": None, "changes": ""}
    provenance.collect()
    (said,) = [record.message for record in caplog.records]
    assert said.startswith("records will name no commit: git says: fatal: not a git repository")


def test_a_copy_inside_another_checkout_has_none_of_its_commits(checkout, monkeypatch, caplog):
    copied = checkout / "unpacked"
    (copied / "benchmark/records").mkdir(parents=True)
    (copied / "benchmark/records/provenance.py").write_text("1\n")
    monkeypatch.setattr(provenance, "ROOT", copied)
    assert provenance.commit_state() == ("unknown", None)
    assert "belongs to no git checkout" in caplog.text


def test_without_git_it_is_unknown(checkout, monkeypatch, caplog):
    monkeypatch.setenv("PATH", str(checkout))
    assert provenance.commit_state() == ("unknown", None)
    assert "git is not installed here" in caplog.text


def test_a_status_that_fails_leaves_the_commit_and_does_not_say_unchanged(checkout, monkeypatch, caplog):
    (checkout / ".git" / "index").write_bytes(b"torn")
    asked = provenance._git
    monkeypatch.setattr(
        provenance, "_git", lambda *arguments: b"" if arguments[0] == "ls-files" else asked(*arguments)
    )
    assert provenance.commit_state() == (git(checkout, "rev-parse", "HEAD"), None)
    assert "will not say whether the checkout was changed" in caplog.text


def test_another_checkout_that_a_hook_names_is_not_taken_for_this_one(checkout, monkeypatch, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    git(other, "init", "-q")
    monkeypatch.setenv("GIT_DIR", str(other / ".git"))
    assert provenance.commit_state()[1] is False


def test_what_one_side_does_not_know_is_no_difference():
    known = {"commit": "a" * 40, "dirty": True, "changes": "1" * 16}
    unknown = {"commit": "a" * 40, "dirty": None, "changes": ""}
    assert provenance.code_difference(known, unknown) == ""
    assert "started with bbbbbbbbbb" in provenance.code_difference(known, unknown | {"commit": "b" * 40})
    assert provenance.code_difference("no code", known) == ""


@pytest.mark.parametrize(
    ("recorded", "shown"),
    [
        ({"commit": "a" * 12, "dirty": None}, "aaaaaaaaaa-changes-unknown"),
        ({"commit": "a" * 12, "dirty": True}, "aaaaaaaaaa-dirty"),
        ({"commit": "a" * 12, "dirty": False}, "aaaaaaaaaa"),
        ({"commit": "a" * 12}, "aaaaaaaaaa"),
        ({"commit": "unknown", "dirty": None}, "unknown"),
        ({"commit": "unknown", "dirty": False}, "unknown"),
        ({}, ""),
    ],
)
def test_tables_and_pages_show_what_is_known(recorded, shown):
    run = type("Run", (), {"result": {"provenance": recorded}})
    assert records.commit(run, digits=10) == shown
