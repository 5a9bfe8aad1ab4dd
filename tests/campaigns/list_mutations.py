"""Ways in which a list, an annotation file or a file's name gets damaged; each takes what was there and a Random."""

from __future__ import annotations

import gzip
import os
import random
from collections.abc import Callable
from pathlib import Path

DIGITS = "9" * 5000
NUMBERS = ["0", "-1", "4294967296", DIGITS, "1e9", "1.0", "nan", "٣", "+1", "0x1", "", "2 2", "1_0"]
PATHS = [
    "../../etc/passwd",
    "/etc/passwd",
    "x" * 300 + ".jpg",
    "a\\b.jpg",
    "a b.jpg",
    "./.",
    "..",
    "\x1b[2J.jpg",
    "é.jpg",
]
PAGES = [
    b"",
    b"\n\n \n",
    b"<!DOCTYPE html><html>404</html>",
    b"version https://git-lfs.github.com/spec/v1\noid sha256:aa\nsize 9\n",
    b"\x00" * 3000,
    bytes(range(256)) * 9,
    b"1 " + b"9" * 2_000_000,
    b"9" * 5000 + b" 1\n",
]


def change_bytes(content: bytes, draw: random.Random) -> bytes:
    """One to four changes of bytes, or the file cut off."""
    data = bytearray(content)
    for _ in range(draw.choice((1, 1, 1, 2, 4))):
        at, kind = draw.randrange(max(1, len(data))), draw.randrange(7)
        if kind == 0 and data:
            data[at] ^= 1 << draw.randrange(8)
        elif kind == 1 and data:
            data[at] = draw.choice((0, 10, 13, 32, 255, draw.randrange(256)))
        elif kind == 2:
            data[at:at] = bytes([draw.randrange(256)])
        elif kind == 3:
            del data[at : at + draw.choice((1, 1, 2, 8))]
        elif kind == 4:
            data[at:at] = data[at : at + draw.randrange(40)]
        elif kind == 5:
            del data[at:]
        else:
            data[at : at + 8] = draw.randbytes(8)
    return bytes(data)


def change_lines(content: bytes, draw: random.Random) -> bytes:
    """One line lost, doubled, moved, joined or cut, or one of its fields replaced."""
    lines = content.decode("utf-8", errors="surrogateescape").split("\n")
    at, other, kind = draw.randrange(len(lines)), draw.randrange(len(lines)), draw.randrange(9)
    if kind == 0:
        del lines[at]
    elif kind == 1:
        lines.insert(other, lines[at])
    elif kind == 2:
        lines[at], lines[other] = lines[other], lines[at]
    elif kind == 3:
        lines[at : at + 2] = ["".join(lines[at : at + 2])]
    elif kind == 4:
        lines[at] = lines[at][: draw.randrange(len(lines[at]) + 1)]
    elif kind == 5:
        lines[at] = draw.choice(("\t", "  ", "# ")) + lines[at].replace(" ", draw.choice(("\t", "  ", ",")))
    else:
        fields = lines[at].split(" ")
        fields[draw.randrange(len(fields))] = draw.choice(NUMBERS if kind < 8 else PATHS)
        lines[at] = " ".join(fields)
    return "\n".join(lines).encode("utf-8", errors="surrogateescape")


def change_all(content: bytes, draw: random.Random) -> bytes:
    """Another content, encoding or line end."""
    changes: list[Callable[[], bytes]] = [
        lambda: draw.choice(PAGES),
        lambda: b"\xef\xbb\xbf" + content,
        lambda: content.decode("latin-1").encode("utf-16"),
        lambda: content.replace(b"\n", b"\r\n"),
        lambda: content.replace(b"\n", b"\r"),
        lambda: gzip.compress(content, mtime=0),
        lambda: content * 2,
        lambda: content[::-1],
        lambda: content.replace(b" ", b"\xa0"),
        lambda: content.swapcase(),
    ]
    return draw.choice(changes)()


def replace_file(path: Path, draw: random.Random) -> None:
    """Something else than a file, or one of an absurd size."""
    path.unlink()
    kind = draw.randrange(6)
    if kind == 0:
        path.mkdir()
    elif kind == 1:
        os.mkfifo(path)
    elif kind == 2:
        path.symlink_to(path.name)
    elif kind == 3:
        path.symlink_to("/nowhere")
    elif kind == 4:
        with open(path, "wb") as stream:
            stream.truncate(2**36)


def rename(path: Path, draw: random.Random) -> None:
    """Another name in the place of one that says who is on the picture."""
    name, kind = path.name, draw.randrange(8)
    if kind == 0:
        name = name.replace("_c", "_", 1)
    elif kind == 1:
        name = draw.choice(("9" * 10, "9" * 200, "-1", "-2", "0", "0000", "٣")) + name[name.index("_") :]
    elif kind == 2:
        start = name.index("_c") + 2
        name = name[:start] + draw.choice(("0", "7", "99", "9" * 150, "x")) + name[start + 1 :]
    elif kind == 3:
        name = name.removesuffix(".jpg") + draw.choice((".JPG", ".png", ".gif", ".txt", "", ".jpg.part"))
    elif kind == 4:
        at = draw.randrange(len(name))
        name = name[:at] + draw.choice((" ", "\n", "\x1b", "é", "_", "\udcff")) + name[at:]
    elif kind == 5:
        at = draw.randrange(len(name))
        name = name[:at] + name[at + 1 :] or "x"
    elif kind == 6:
        path.unlink()
        return
    else:
        folder = draw.choice([entry for entry in path.parent.parent.iterdir() if entry.is_dir()])
        path.rename(folder / name)
        return
    path.rename(path.with_name(name))
