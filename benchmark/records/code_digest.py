"""Digest of the code that a measurement depends on: what some modules import, without comments and docstrings.

Found in the syntax trees, so nothing is imported (no torch). What a module imports counts wherever it stands, in a
function, too, and so does what it imports by name: a string that names a module or something in it, by itself
(``"benchmark.data.readers.cub"``) or after the beginning of a formatted string of the same file
(``f"benchmark.data.mini.{name}"``).
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterable
from functools import cache
from pathlib import Path

PACKAGES = ("benchmark", "dcal")
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
    if parts[0] not in PACKAGES or not all(part.isidentifier() for part in parts):
        return None
    path = root.joinpath(*parts)
    return next((file for file in (path.with_suffix(".py"), path / "__init__.py") if file.is_file()), None)
