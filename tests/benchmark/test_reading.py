"""What is no readable file is refused in words, and nothing waits for another process."""

import errno
import json
import os
import socket

import pytest

from benchmark.errors import DataError
from benchmark.reading import explained, open_file, read_bytes, read_json_value, read_text


def refusal(path, **arguments):
    with pytest.raises(DataError) as raised, explained(path, DataError):
        read_bytes(path, **arguments)
    return str(raised.value)


def test_a_file_is_read_whole(tmp_path):
    (tmp_path / "a.txt").write_text("één\n", encoding="utf-8")
    assert read_text(tmp_path / "a.txt") == "één\n"
    (tmp_path / "link").symlink_to(tmp_path / "a.txt")
    assert read_bytes(tmp_path / "link", limit=6) == "één\n".encode()
    with open_file(tmp_path / "a.txt") as stream:
        assert os.get_blocking(stream.fileno())


def test_a_pipe_a_socket_a_device_and_a_folder_are_refused_by_kind(tmp_path, monkeypatch):
    os.mkfifo(tmp_path / "pipe")
    assert refusal(tmp_path / "pipe") == f"cannot read {tmp_path}/pipe: it is a named pipe, expected a file"
    monkeypatch.chdir(tmp_path)  # a socket's own path may not be long
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket")
        assert "it is a socket, expected a file" in refusal(tmp_path / "socket")
    assert "it is a device, expected a file" in refusal("/dev/zero")
    assert "it is a folder, expected a file" in refusal(tmp_path)


def test_a_file_that_becomes_a_pipe_after_the_first_look_is_refused(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("x")
    status = os.stat(tmp_path / "file")
    (tmp_path / "file").unlink()
    os.mkfifo(tmp_path / "file")
    monkeypatch.setattr(os, "stat", lambda path: status)
    assert "it is a named pipe" in refusal(tmp_path / "file")


def test_links_names_and_sizes_that_cannot_be_read_are_refused_in_words(tmp_path):
    (tmp_path / "loop").symlink_to("loop")
    assert "a link that leads back to itself; remove the link" in refusal(tmp_path / "loop")
    (tmp_path / "dangling").symlink_to("nothing")
    assert refusal(tmp_path / "dangling").endswith("dangling: it does not exist")
    said = refusal(tmp_path / ("n" * 5000))
    assert "the name is too long" in said
    assert len(said) < 400
    (tmp_path / "file").write_bytes(b"12345")
    assert "it has 5 bytes, expected at most 4" in refusal(tmp_path / "file", limit=4)
    assert refusal(tmp_path / "file" / "below").endswith("a part of its path is no folder")


@pytest.mark.parametrize(
    ("number", "words"), [(errno.EACCES, "this user may not read it"), (errno.EIO, "reports an error (EIO)")]
)
def test_what_the_system_refuses_is_explained(number, words, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("x")

    def refuse(path, flags):
        raise OSError(number, os.strerror(number), str(path))

    monkeypatch.setattr(os, "open", refuse)
    assert words in refusal(tmp_path / "file")


def test_what_is_no_json_is_a_value_error(tmp_path):
    path = tmp_path / "a.json"
    for text in ('{"a": 1', "[" * 100_000, "9" * 5000, "\xff"):
        path.write_bytes(text.encode("latin-1"))
        with pytest.raises(ValueError):
            read_json_value(path)
    path.write_text(json.dumps({"a": [1, None]}))
    assert read_json_value(path) == {"a": [1, None]}
