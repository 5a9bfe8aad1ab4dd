"""The plan of the house: rooms on levels, imports that run one way, no circles, rooms without torch."""

import ast
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
# Room → its level: a room imports rooms of lower levels, and files of its own.
LEVELS = {
    "dcal": 1,
    "benchmark.config": 2,
    "benchmark.data": 3,
    "benchmark.records": 4,
    "benchmark.evaluation": 4,
    "benchmark.training": 5,
    "benchmark.inference": 6,
    "benchmark.timing": 6,
    "benchmark.commands": 7,
    "tables": 8,
    "slurm": 8,
    "reports": 9,
}
# Files below all rooms, which every room of benchmark and above may import.
BASE = {"benchmark", "benchmark.errors", "benchmark.reading", "benchmark.atomic"}
# What is not told by the levels: room → the only files that it may import of another room.
ONLY = {
    ("benchmark.config", "dcal"): {"dcal.settings"},
    **{
        (room, "benchmark.commands"): {
            f"benchmark.commands.{name}" for name in ("options", "command_line", "console", "exit_codes")
        }
        for room in ("tables", "slurm", "reports")
    },
}
WITHOUT_DCAL = {"tables", "slurm"}  # they reach the method through benchmark alone
WITHOUT_TORCH = ("benchmark.config", "benchmark.records", "tables", "slurm")
HEAVY = {"torch", "timm", "torchvision"}


def module_name(file):
    name = ".".join(file.relative_to(ROOT).with_suffix("").parts)
    return name.removesuffix(".__init__")


MODULES = {
    module_name(file): file
    for top in ("dcal", "benchmark", "tables", "slurm", "reports")
    for file in sorted((ROOT / top).rglob("*.py"))
}


def names(node, *, late):
    """Modules that a syntax tree imports; late: those inside functions, too. Imports for types alone do not count."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and getattr(child.test, "id", "") == "TYPE_CHECKING":
            continue
        if isinstance(child, ast.Import):
            yield from (alias.name for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            for alias in child.names:
                submodule = f"{child.module}.{alias.name}"
                yield submodule if submodule in MODULES else child.module
        elif late or not isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield from names(child, late=late)


@cache
def imports(module, late=True):
    return frozenset(names(ast.parse(MODULES[module].read_text(encoding="utf-8")), late=late))


def room(module):
    return next((name for name in LEVELS if module == name or module.startswith(name + ".")), "")


def arrows():
    return [(module, other) for module in MODULES for other in sorted(imports(module)) if other in MODULES]


def test_the_root_of_benchmark_holds_its_rooms_and_little_else():
    folder = ROOT / "benchmark"
    files = (path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    entries = {path.relative_to(folder).parts[0] for path in files}
    files = {"README.md", "__init__.py", "__main__.py", "errors.py", "reading.py", "atomic.py"}
    rooms = {name.partition(".")[2] for name in LEVELS if name.startswith("benchmark.")}
    assert entries == files | rooms
    assert len(rooms) == 8


@pytest.mark.parametrize("name", LEVELS)
def test_imports_run_to_lower_levels(name):
    """A failure names the file and the import to move."""
    wrong = [
        f"{module} imports {other}: {room(other)} is on level {LEVELS[room(other)]}, {name} on {LEVELS[name]}"
        for module, other in arrows()
        if room(module) == name and room(other) not in ("", name) and LEVELS[room(other)] >= LEVELS[name]
    ]
    assert not wrong


def test_files_below_all_rooms_import_no_room():
    wrong = [
        f"{module} imports {other}"
        for module, other in arrows()
        if module in BASE and other not in BASE | {"dcal.atomic"}
    ]
    assert not wrong


def test_there_are_at_most_nine_levels():
    assert max(LEVELS.values()) == 9
    assert {room(module) for module in MODULES} == {*LEVELS, ""}
    assert {module for module in MODULES if not room(module)} == BASE | {"benchmark.__main__"}


def test_some_rooms_show_others_only_a_few_files():
    wrong = [
        f"{module} imports {other}, expected one of {', '.join(sorted(allowed))}"
        for module, other in arrows()
        if (allowed := ONLY.get((room(module), room(other)))) and other not in allowed
    ]
    wrong += [
        f"{module} imports {other}"
        for module, other in arrows()
        if room(module) in WITHOUT_DCAL and room(other) == "dcal"
    ]
    assert not wrong


def test_no_files_import_each_other_in_a_circle():
    """Tarjan's strongly connected components, of one file each."""
    graph = {module: [other for other in sorted(imports(module)) if other in MODULES] for module in MODULES}
    index, low, stack, circles = {}, {}, [], []

    def visit(module):
        index[module] = low[module] = len(index)
        stack.append(module)
        for other in graph[module]:
            if other not in index:
                visit(other)
                low[module] = min(low[module], low[other])
            elif other in stack:
                low[module] = min(low[module], index[other])
        if low[module] == index[module]:
            component = [stack.pop()]
            while component[-1] != module:
                component.append(stack.pop())
            if len(component) > 1:
                circles.append(sorted(component))

    for module in graph:
        if module not in index:
            visit(module)
    assert not circles


@pytest.mark.parametrize("name", WITHOUT_TORCH)
def test_importing_a_file_of_the_room_never_imports_torch(name):
    wrong = []
    for start in (module for module in MODULES if room(module) == name):
        waiting, seen = [(start,)], {start}
        while waiting:
            path = waiting.pop()
            package = path[-1].rpartition(".")[0]  # is imported before what lies in it
            for other in {*imports(path[-1], late=False), package}:
                if other.partition(".")[0] in HEAVY:
                    wrong.append(f"{' imports '.join(path)} imports {other}")
                elif other in MODULES and other not in seen:
                    seen.add(other)
                    waiting.append((*path, other))
    assert not wrong
