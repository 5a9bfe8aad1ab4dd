"""Where a number comes from: code, versions, machine (no torch)."""

from __future__ import annotations

import ast
import contextlib
import hashlib
import importlib.metadata
import logging
import os
import platform
import socket
import subprocess
import sys
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

logger = logging.getLogger("benchmark")
ROOT = Path(__file__).resolve().parents[2]
_GIT_SECONDS = 60
# What a hook or a script of git's hands to its children; here it would be taken for the checkout.
_OTHER_CHECKOUT = {
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_COMMON_DIR",
    "GIT_PREFIX",
}
PACKAGES = ("torch", "timm", "numpy", "opencv-python-headless", "opencv-python")


def now() -> str:
    """The time as ISO 8601, UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def commit() -> tuple[str, bool | None]:
    """The checkout's commit and whether tracked files differ from it.

    ("unknown", None) where git does not say; a known commit with None where it does not say whether files differ. Both
    are warned of, once.
    """
    try:
        _git("ls-files", "--error-unmatch", "benchmark/records/provenance.py")
        sha = _git("rev-parse", "HEAD").decode()
    except (OSError, subprocess.SubprocessError) as error:
        _warn(f"records will name no commit: {_reason(error)}")
        return "unknown", None
    try:
        return sha, bool(_git("status", "--porcelain", "--untracked-files=no"))
    except (OSError, subprocess.SubprocessError) as error:
        _warn(f"records will not say whether the checkout was changed: {_reason(error)}")
        return sha, None


def code() -> dict[str, object]:
    """What runs: commit, dirty as ``commit`` gives them, and changes, a digest of the difference where there is one."""
    sha, dirty = commit()
    changes = ""
    if dirty:
        with contextlib.suppress(OSError, subprocess.SubprocessError):
            difference = _git("diff", "--no-ext-diff", "--no-textconv", "HEAD")
            changes = hashlib.sha256(difference).hexdigest()[:16]
    return {"commit": sha, "dirty": dirty, "changes": changes}


def changes_text(dirty: object) -> str:
    """What follows a commit in a text. dirty: as ``commit`` gives it."""
    return (
        " (whether files were changed is unknown)"
        if dirty is None
        else " (checkout changed)"
        if dirty
        else ""
    )


def difference(submitted: object, started: Mapping[str, object]) -> str:
    """How the code a run started with differs from the code it was submitted with, or "".

    Nothing is said of what one of both does not know: a compute node may be without git.
    """
    if not isinstance(submitted, Mapping) or "unknown" in (submitted.get("commit"), started.get("commit")):
        return ""
    whole = None not in (submitted.get("dirty"), started.get("dirty"))
    names = ("commit", "dirty", "changes") if whole else ("commit",)
    if all(submitted.get(name) == started.get(name) for name in names):
        return ""
    return f"submitted with {_code_text(submitted)}, started with {_code_text(started)}"


def _code_text(code: Mapping[str, object]) -> str:
    text = str(code.get("commit", "unknown"))[:10]
    return text + (f" and changes {str(code.get('changes') or '')[:8]}".rstrip() if code.get("dirty") else "")


def _git(*arguments: str) -> bytes:
    """What git says of the checkout. Raises OSError, SubprocessError."""
    command = [
        "git",
        # Without the index's lock: many jobs and a watching status must not get in the way of the user's own commits.
        "--no-optional-locks",
        # The checkout may be another user's, whose code runs here already; a program that it names for git does not.
        *("-c", f"safe.directory={ROOT}", "-c", "core.fsmonitor=false"),
    ]
    environment = {name: value for name, value in os.environ.items() if name not in _OTHER_CHECKOUT}
    return subprocess.run(
        [*command, *arguments],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        check=True,
        timeout=_GIT_SECONDS,
    ).stdout.strip()


def _reason(error: OSError | subprocess.SubprocessError) -> str:
    if isinstance(error, FileNotFoundError):
        return "git is not installed here"
    if isinstance(error, subprocess.CalledProcessError):
        said = error.stderr.decode(errors="replace").strip().splitlines()
        if (
            "--error-unmatch" in error.cmd
            and "not a git repository" not in "".join(said)
            and error.returncode == 1
        ):
            return f"{ROOT} belongs to no git checkout; run from a clone"
        return f"git says: {said[0] if said else 'nothing'}; run from a clone of your own"
    return f"git does not answer ({error})"


@cache
def _warn(text: str) -> None:
    logger.warning("%s", text)


def collect() -> dict[str, object]:
    """Everything recorded at the start of a run."""
    return {
        **code(),
        "started": now(),
        "command": " ".join(sys.argv),
        "host": socket.gethostname(),
        "platform": platform.platform(),
        "cpu": cpu_name(),
        "cores": os.cpu_count() or 1,
        "versions": {"python": platform.python_version(), **_versions()},
    }


def cpu_name() -> str:
    """The processor in words."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _versions() -> dict[str, str]:
    found = {}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


# --- Digest of the code that a measurement depends on: what some modules import, without comments and docstrings ---

_DIGESTED_PACKAGES = ("benchmark", "dcal")
_BLOCKS = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)  # what a docstring may begin


@cache
def code_digest(root: Path, modules: tuple[str, ...]) -> str:
    """16 hexadecimal digits over everything that these modules import of the project, themselves included.

    The same whatever comments and docstrings say, and in whatever order files lie. root: of the checkout.
    """
    outlines = sorted(_read(_file(root, module)).outline for module in closure(root, modules))
    return hashlib.sha256("\n".join(outlines).encode()).hexdigest()[:16]


def closure(root: Path, modules: Iterable[str]) -> set[str]:
    """Names of all modules of the project that are imported with these, directly or not.

    Raises ModuleNotFoundError for a module that is not there.
    """
    found: set[str] = set()
    waiting = list(modules)
    while waiting:
        module = waiting.pop()
        if module in found:
            continue
        if (file := _file(root, module)) is None:
            raise ModuleNotFoundError(f"{root} has no module {module}")
        found.add(module)
        imported = {*_read(file).names, module.rpartition(".")[0]}  # with a module comes its package
        waiting += (name for name in imported - found if _file(root, name) is not None)
    return found


class _Code:
    """One file. outline: its code as text; names: what it may import, modules or not."""

    def __init__(self, file: Path) -> None:
        self.names: set[str] = set()
        self._strings: set[str] = set()
        self._beginnings: set[str] = set()
        shown: list[str] = []
        self._show(ast.parse(file.read_text(encoding="utf-8")), shown)
        self.outline = "".join(shown)
        named = self._strings | {start + end for start in self._beginnings for end in self._strings}
        self.names |= named | {name.rpartition(".")[0] for name in named}

    def _show(self, node: ast.AST, into: list[str]) -> None:
        """A node as text that is the same in every version of Python: fields that are empty are left out."""
        if _is_type_check(node):
            return
        self._collect(node)
        into.append(f"{type(node).__name__}(")
        for name in node._fields:
            value = getattr(node, name, None)
            if value is None or value == [] or name in ("ctx", "type_comment"):
                continue
            if (
                name == "body"
                and isinstance(node, _BLOCKS)
                and ast.get_docstring(node, clean=False) is not None
            ):
                value = value[1:]
            into.append(f"{name}=")
            for item in value if isinstance(value, list) else (value,):
                if isinstance(item, ast.AST):
                    self._show(item, into)
                else:
                    into.append(f"{item!r},")
        into.append(")")

    def _collect(self, node: ast.AST) -> None:
        if isinstance(node, ast.Import):
            self.names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            self.names |= {str(node.module), *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            self._strings.add(node.value)
        elif isinstance(node, ast.JoinedStr) and node.values and isinstance(node.values[0], ast.Constant):
            self._beginnings.add(node.values[0].value)


def _is_type_check(node: ast.AST) -> bool:
    """``if TYPE_CHECKING:``, whose imports never happen."""
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


@cache
def _read(file: Path) -> _Code:
    return _Code(file)


@cache
def _file(root: Path, module: str) -> Path | None:
    """Where a module of the project lies, or None for a name that is none."""
    parts = module.split(".")
    if parts[0] not in _DIGESTED_PACKAGES or not all(part.isidentifier() for part in parts):
        return None
    path = root.joinpath(*parts)
    return next((file for file in (path.with_suffix(".py"), path / "__init__.py") if file.is_file()), None)
