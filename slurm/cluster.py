"""Cluster file: everything that a site decides, read and checked before anything is submitted."""

from __future__ import annotations

import dataclasses
import re
import tomllib
import typing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmark.config.cell_pattern import LIKELY, matches, nearest_hint
from benchmark.config.grid import ABLATIONS, Cell, select
from benchmark.errors import SettingsError
from benchmark.reading import explanation, read_text

DEFAULT_FILE = Path(__file__).parent / "cluster.toml"
EXAMPLE = Path(__file__).parent / "cluster.example.toml"
AUTO = "auto"
_MEMORY = re.compile(r"\d+[KMGT]?")
_OPTION = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
_CONTROL = re.compile("[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029]")  # all but the tab
FILE_BYTES = 2**20
# gpu, gpu:2, gpu:a100 and gpu:2080ti:2, alone or among others of a list.
_GPU_GRES = re.compile(r"(?:^|,)gpu(?::(?P<type>[\w.-]+(?=:)|[A-Za-z][\w.-]*))?(?::(?P<count>\d+))?(?=,|$)")
# The suite or an option of the class sets these; a second value would contradict it.
_RESERVED_OPTIONS = (
    "array", "output", "error", "open-mode", "signal", "time", "job-name", "chdir", "requeue", "no-requeue", "nodes",
    "ntasks-per-node", "gpus-per-node", "gres", "cpus-per-task", "mem", "clusters", "partition", "account", "qos",
    "constraint",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Resources:
    """Resources of one run: the options of a class in the cluster file (documented in cluster.example.toml)."""

    partition: str = ""
    account: str = ""
    qos: str = ""
    constraint: str = ""
    nodes: int = 1
    gpus: int = 1
    gres: str = ""
    cpus: int
    memory: str = ""
    minutes: int | str
    parallel: int = 16
    setup: tuple[str, ...] = ()
    srun: tuple[str, ...] = ()
    scratch: str = ""
    extra: dict[str, str] = field(default_factory=dict)

    @property
    def gpus_per_node(self) -> int:
        """GPUs of a node, from either option (gres or gpus)."""
        if self.gres:
            return int(_GPU_GRES.search(self.gres)["count"] or 1)
        return self.gpus

    @property
    def tasks_per_node(self) -> int:
        """One for each GPU; one on CPUs."""
        return max(1, self.gpus_per_node)

    @property
    def ranks(self) -> int:
        """Processes that train one run together."""
        return self.nodes * self.tasks_per_node


@dataclass(frozen=True, kw_only=True)
class ResourceClass:
    """Resources for a part of the grid. patterns: of its cells, as for CELLS."""

    name: str
    patterns: tuple[str, ...]
    resources: Resources

    def contains(self, cell: Cell) -> bool:
        """Whether a cell belongs to the class."""
        return any(matches(cell.id, pattern) for pattern in self.patterns)


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """Content of a cluster file.

    classes: in the file's order; the first class that contains a cell is the cell's, and the last contains all cells.
    """

    file: Path
    classes: tuple[ResourceClass, ...]
    array_size: int = 1000
    requeues: int = 20
    notice_seconds: int = 120
    longest: int = 1440
    margin: float = 1.5
    python: str = ""

    def resource_class(self, cell: Cell) -> ResourceClass:
        """Resource class of a cell."""
        return next(candidate for candidate in self.classes if candidate.contains(cell))


_SITE = tuple(f.name for f in dataclasses.fields(Cluster) if f.name not in ("file", "classes"))
_RESOURCES = tuple(f.name for f in dataclasses.fields(Resources))
_REQUIRED = ("cpus", "minutes")


def load_cluster(path: Path | None) -> Cluster:
    """Read and check a cluster file; None stands for ``slurm/cluster.toml``.

    Raises SettingsError for a missing file, TOML errors, unknown options (naming the nearest), wrong types, and values
    that SLURM or the suite cannot use.
    """
    path = path or DEFAULT_FILE
    try:
        document = tomllib.loads(read_text(path, FILE_BYTES))
    except (FileNotFoundError, NotADirectoryError):
        raise SettingsError(
            f"no cluster file {path}: copy {EXAMPLE.parent.name}/{EXAMPLE.name}, which explains every line, to "
            f"{DEFAULT_FILE.parent.name}/{DEFAULT_FILE.name} or name yours with CLUSTER=path"
        ) from None
    except OSError as error:
        raise SettingsError(explanation(path, error)) from error
    except (ValueError, RecursionError) as error:
        raise SettingsError(f"{path} is not valid TOML: {error}") from error
    sections = document.pop("class", [])
    if not isinstance(sections, list) or not all(isinstance(section, dict) for section in sections):
        raise SettingsError(f"{path}: resource classes are written as [[class]], with two brackets")
    common = _parse_options(document, (*_SITE, *_RESOURCES), str(path))
    site = {name: value for name, value in common.items() if name in _SITE}
    base = {name: value for name, value in common.items() if name in _RESOURCES}
    classes = [_parse_class(section, base, path) for section in sections]
    classes.append(_resource_class("default", ("*",), base, str(path)))
    names = [resource_class.name for resource_class in classes]
    if duplicates := {name for name in names if names.count(name) > 1}:
        raise SettingsError(
            f"{path}: two classes are named {min(duplicates)!r}; the last one of all is 'default'"
        )
    cluster = Cluster(file=path, classes=tuple(classes), **site)
    _check_site(cluster)
    return cluster


def _parse_class(section: dict[str, Any], base: dict[str, Any], path: Path) -> ResourceClass:
    name = section.pop("name", None)
    where = f"{path}, class {name!r}"
    if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z0-9_-]{1,20}", name):
        raise SettingsError(
            f"{path}: a class has name = {name!r}, expected a short word: letters, digits, - or _ (it goes into "
            "the jobs' names)"
        )
    cells = section.pop("cells", None)
    if not isinstance(cells, list) or not cells or not all(isinstance(pattern, str) for pattern in cells):
        raise SettingsError(f"{where}: cells = {cells!r}, expected patterns like ['*/vit_base/*']")
    if misplaced := [name for name in section if name in _SITE]:
        raise SettingsError(
            f"{where}: {misplaced[0]} is the site's, not a class's: write it above the first [[class]]"
        )
    for pattern in cells:  # select raises for a pattern that matches no cell at all
        try:
            select([pattern], ABLATIONS)
        except SettingsError:
            select([pattern])
    options = _parse_options(section, _RESOURCES, where)
    if "gres" in options:
        base = {**base, "gpus": 0}
    elif "gpus" in options:
        base = {**base, "gres": ""}
    return _resource_class(name, tuple(cells), {**base, **options}, where)


def _resource_class(
    name: str, patterns: tuple[str, ...], values: dict[str, Any], where: str
) -> ResourceClass:
    if lacking := [option for option in _REQUIRED if option not in values]:
        raise SettingsError(f"{where}: no value for {', '.join(lacking)}")
    if values.get("gres") and "gpus" not in values:
        values = {**values, "gpus": 0}
    resources = Resources(**values)
    _check_resources(resources, where)
    return ResourceClass(name=name, patterns=patterns, resources=resources)


def _parse_options(values: dict[str, Any], known: tuple[str, ...], where: str) -> dict[str, Any]:
    hints = {**typing.get_type_hints(Cluster), **typing.get_type_hints(Resources)}
    options = {}
    for name, value in values.items():
        if name not in known:
            hint = nearest_hint(name, known, cutoff=LIKELY)
            raise SettingsError(f"{where}: unknown option {name!r}{hint}. {EXAMPLE.name} lists them all")
        options[name] = _parse_value(name, value, hints[name], where)
        _require_one_line(name, options[name], where)
    return options


def _parse_value(name: str, value: Any, kind: Any, where: str) -> Any:
    type_names = {int: "a whole number", float: "a number", str: "text in quotes"}
    if name == "minutes":
        if value != AUTO and type(value) is not int:
            raise SettingsError(f'{where}: minutes = {value!r}, expected a whole number of minutes or "auto"')
    elif kind == tuple[str, ...]:
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise SettingsError(f"{where}: {name} = {value!r}, expected a list of texts like ['a', 'b']")
        return tuple(value)
    elif kind == dict[str, str]:
        if not isinstance(value, dict) or not all(isinstance(item, str) for item in value.values()):
            raise SettingsError(f"{where}: {name} = {value!r}, expected {{ option = 'text' }}")
    elif kind is float and type(value) is int:
        return float(value)
    elif type(value) is not kind:
        raise SettingsError(f"{where}: {name} = {value!r}, expected {type_names[kind]}")
    return value


def _require_one_line(name: str, value: Any, where: str) -> None:
    """Refuse texts of several lines: a text becomes a line of a batch script, and a second line would change that."""
    texts = (value,) if isinstance(value, str) else value if isinstance(value, tuple) else ()
    if isinstance(value, dict):
        if unknown := [option for option in value if not _OPTION.fullmatch(option)]:
            raise SettingsError(
                f"{where}: {name} has an option {unknown[0]!r}, expected a name that sbatch knows, like 'mail-type'"
            )
        texts = tuple(value.values())
    if refused := [text for text in texts if _CONTROL.search(text)]:
        raise SettingsError(
            f"{where}: {name} has {refused[0]!r}, which is more than one line or holds a control character; write one "
            "text a line"
        )


def _check_resources(resources: Resources, where: str) -> None:
    for name, minimum in (("nodes", 1), ("gpus", 0), ("cpus", 1), ("parallel", 1)):
        if getattr(resources, name) < minimum:
            raise SettingsError(f"{where}: {name} = {getattr(resources, name)}, expected at least {minimum}")
    if resources.minutes != AUTO and resources.minutes < 1:
        raise SettingsError(f"{where}: minutes = {resources.minutes}, expected at least 1")
    if resources.memory and not _MEMORY.fullmatch(resources.memory):
        raise SettingsError(
            f"{where}: memory = {resources.memory!r}, expected a number with K, M, G or T, e.g. '32G'"
        )
    if resources.gres and not _GPU_GRES.search(resources.gres):
        raise SettingsError(
            f"{where}: gres = {resources.gres!r}, expected gpu:2 or gpu:type:2, as the site names it"
        )
    if resources.gres and resources.gpus:
        raise SettingsError(
            f"{where}: gpus = {resources.gpus} and gres = {resources.gres!r} both ask for GPUs: keep the one that the "
            "site's manual uses"
        )
    if resources.scratch and not resources.scratch.startswith(("/", "$")):
        raise SettingsError(
            f"{where}: scratch = {resources.scratch!r}, expected an absolute path, or one that begins with a variable"
        )
    if reserved := [name for name in resources.extra if name in _RESERVED_OPTIONS]:
        raise SettingsError(
            f"{where}: extra.{reserved[0]} is set by the suite or by an option of its own; remove it"
        )


def _check_site(cluster: Cluster) -> None:
    where = str(cluster.file)
    for name, minimum in (("array_size", 1), ("requeues", 0), ("notice_seconds", 10), ("longest", 1)):
        if getattr(cluster, name) < minimum:
            raise SettingsError(f"{where}: {name} = {getattr(cluster, name)}, expected at least {minimum}")
    if cluster.margin < 1:
        raise SettingsError(
            f"{where}: margin = {cluster.margin}, expected at least 1: a forecast is no upper bound"
        )
    for resource_class in cluster.classes:
        minutes = resource_class.resources.minutes
        minutes = cluster.longest if minutes == AUTO else minutes
        if minutes * 60 <= cluster.notice_seconds:
            raise SettingsError(
                f"{where}, class {resource_class.name!r}: minutes = {minutes} leave no time before the notice, "
                f"notice_seconds = {cluster.notice_seconds}"
            )
