"""Provenance of a result: code, versions, machine."""

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
# Set by git for its hooks; here they would make git use another checkout.
_GIT_VARIABLES = {
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_COMMON_DIR",
    "GIT_PREFIX",
}
PACKAGES = ("torch", "timm", "numpy", "opencv-python-headless", "opencv-python")


def now() -> str:
    """Current time as ISO 8601 in UTC, in whole seconds."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def commit_state() -> tuple[str, bool | None]:
    """Commit of the checkout, and whether tracked files differ from it.

    ("unknown", None) if git does not tell; the commit and None if it does not tell whether files differ. Both cases log
    a warning once.
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


def code_state() -> dict[str, object]:
    """State of the running code: commit and dirty as of ``commit_state``; changes, a digest of the difference or ""."""
    sha, dirty = commit_state()
    changes = ""
    if dirty:
        with contextlib.suppress(OSError, subprocess.SubprocessError):
            difference = _git("diff", "--no-ext-diff", "--no-textconv", "HEAD")
            changes = hashlib.sha256(difference).hexdigest()[:16]
    return {"commit": sha, "dirty": dirty, "changes": changes}


def changes_text(dirty: bool | None) -> str:
    """Text after a commit about changed files. dirty: as of ``commit_state``."""
    return (
        " (whether files were changed is unknown)"
        if dirty is None
        else " (checkout changed)"
        if dirty
        else ""
    )


def code_difference(submitted: object, started: Mapping[str, object]) -> str:
    """Difference between the code at the submission and at the start of a run, as text, or "".

    submitted, started: as of ``code_state``. Unknown values are not compared: a compute node may not have git.
    """
    if not isinstance(submitted, Mapping) or "unknown" in (submitted.get("commit"), started.get("commit")):
        return ""
    is_known = None not in (submitted.get("dirty"), started.get("dirty"))
    names = ("commit", "dirty", "changes") if is_known else ("commit",)
    if all(submitted.get(name) == started.get(name) for name in names):
        return ""
    return f"submitted with {_code_text(submitted)}, started with {_code_text(started)}"


def _code_text(code: Mapping[str, object]) -> str:
    text = str(code.get("commit", "unknown"))[:10]
    return text + (f" and changes {str(code.get('changes') or '')[:8]}".rstrip() if code.get("dirty") else "")


def _git(*arguments: str) -> bytes:
    """Output of git for the checkout. Raises OSError, SubprocessError."""
    command = [
        "git",
        # Without the lock of the index: many jobs and `status` must not block the user's own commits.
        "--no-optional-locks",
        # The checkout may belong to another user. Its code runs here anyway, but git must not start its fsmonitor.
        *("-c", f"safe.directory={ROOT}", "-c", "core.fsmonitor=false"),
    ]
    environment = {name: value for name, value in os.environ.items() if name not in _GIT_VARIABLES}
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
        lines = error.stderr.decode(errors="replace").strip().splitlines()
        if (
            "--error-unmatch" in error.cmd
            and "not a git repository" not in "".join(lines)
            and error.returncode == 1
        ):
            return f"{ROOT} belongs to no git checkout; run from a clone"
        return f"git says: {lines[0] if lines else 'nothing'}; run from a clone of your own"
    return f"git does not answer ({error})"


@cache
def _warn(text: str) -> None:
    logger.warning("%s", text)


def collect() -> dict[str, object]:
    """Provenance recorded at the start of a run."""
    return {
        **code_state(),
        "started": now(),
        "command": " ".join(sys.argv),
        "host": socket.gethostname(),
        "platform": platform.platform(),
        "cpu": cpu_name(),
        "cores": os.cpu_count() or 1,
        "versions": {"python": platform.python_version(), **_versions()},
    }


def cpu_name() -> str:
    """Name of the processor."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _versions() -> dict[str, str]:
    versions = {}
    for name in PACKAGES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions


# --- Digest of the code that a measurement depends on, without comments and docstrings ---

_DIGESTED_PACKAGES = ("benchmark", "dcal")
_BLOCKS = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)  # nodes that may have a docstring


@cache
def code_digest(root: Path, modules: tuple[str, ...]) -> str:
    """Digest of these modules and everything of the project that they import, 16 hexadecimal digits.

    Does not depend on comments, docstrings or the order of files. root: of the checkout.
    """
    outlines = sorted(
        _source_file(_module_file(root, module)).outline for module in import_closure(root, modules)
    )
    return hashlib.sha256("\n".join(outlines).encode()).hexdigest()[:16]


def import_closure(root: Path, modules: Iterable[str]) -> set[str]:
    """Names of these modules and of all modules of the project that they import, directly or not.

    Raises ModuleNotFoundError for a module that does not exist.
    """
    names: set[str] = set()
    queue = list(modules)
    while queue:
        module = queue.pop()
        if module in names:
            continue
        if (file := _module_file(root, module)) is None:
            raise ModuleNotFoundError(f"{root} has no module {module}")
        names.add(module)
        imported = {
            *_source_file(file).names,
            module.rpartition(".")[0],
        }  # importing a module imports its package
        queue += (name for name in imported - names if _module_file(root, name) is not None)
    return names


class _SourceFile:
    """A source file. outline: its code as text. names: everything that it may import, modules or not."""

    def __init__(self, file: Path) -> None:
        self.names: set[str] = set()
        self._strings: set[str] = set()
        self._beginnings: set[str] = set()
        parts: list[str] = []
        self._write_outline(ast.parse(file.read_text(encoding="utf-8")), parts)
        self.outline = "".join(parts)
        candidates = self._strings | {start + end for start in self._beginnings for end in self._strings}
        self.names |= candidates | {name.rpartition(".")[0] for name in candidates}

    def _write_outline(self, node: ast.AST, parts: list[str]) -> None:
        """Append a node as text. Empty fields are left out, so the text is the same in every version of Python."""
        if _is_type_check(node):
            return
        self._collect(node)
        parts.append(f"{type(node).__name__}(")
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
            parts.append(f"{name}=")
            for item in value if isinstance(value, list) else (value,):
                if isinstance(item, ast.AST):
                    self._write_outline(item, parts)
                else:
                    parts.append(f"{item!r},")
        parts.append(")")

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
    """Whether a node is ``if TYPE_CHECKING:``, whose imports are not executed."""
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


@cache
def _source_file(file: Path) -> _SourceFile:
    return _SourceFile(file)


@cache
def _module_file(root: Path, module: str) -> Path | None:
    """File of a module of the project; None for any other name."""
    parts = module.split(".")
    if parts[0] not in _DIGESTED_PACKAGES or not all(part.isidentifier() for part in parts):
        return None
    path = root.joinpath(*parts)
    return next((file for file in (path.with_suffix(".py"), path / "__init__.py") if file.is_file()), None)
