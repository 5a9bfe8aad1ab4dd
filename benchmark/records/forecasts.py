"""What was measured on a machine, as JSON in the runs folder: runs/<profile>/forecast/<device>.json (no torch)."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal

from benchmark.atomic import explained, write_json
from benchmark.config.grid import ABLATIONS
from benchmark.config.paper import OVERHEADS
from benchmark.config.parse import amount
from benchmark.records.provenance import ROOT, code_digest, now
from benchmark.records.run_folder import read_json, set_aside
from benchmark.records.workload import Counts, Shape, digest

FOLDER = "forecast"
# What is measured, and what runs are evaluated by: with everything that these import, the code that a measurement
# depends on. Recipes are not in it: the settings that a pace depends on stand in each measurement's key.
MEASURED = (
    *(f"benchmark.timing.{part}" for part in ("rehearse", "forecast_input")),
    "benchmark.training.tasks",
)


@dataclass(frozen=True)
class Machine:
    """What was measured on. threads: of torch on a CPU; 0 on a GPU, whose pace does not depend on them."""

    type: Literal["cpu", "cuda"]
    name: str
    threads: int = 0

    @classmethod
    def of(cls, type: str, name: str, threads: int) -> Machine:
        """Of a run's device as its result names it."""
        return cls(type, name, threads if type == "cpu" else 0)

    @property
    def slug(self) -> str:
        """A file's name."""
        words = re.sub(r"[^a-z0-9]+", "-", self.name.lower()).strip("-")
        return f"{words}-{self.threads}-threads" if self.threads else words

    def __str__(self) -> str:
        return f"{self.name}, {amount(self.threads, 'thread')}" if self.threads else self.name


@dataclass(frozen=True)
class Pace:
    """One shape. step_seconds: of a training step; batch_seconds: of an evaluation's batch, predictions included.

    memory_bytes: peak, of the GPU, or what the process grew by on a CPU. width: of the features, D. precision: found.
    """

    step_seconds: float
    batch_seconds: float
    memory_bytes: int
    width: int
    precision: str


@dataclass(frozen=True)
class Pictures:
    """per_second: read and augmented by one process. text: which pictures. at_hand: they are the dataset's own."""

    per_second: float
    text: str
    at_hand: bool


@dataclass(frozen=True)
class Ranking:
    """Seconds to rank a whole gallery once by features of two widths."""

    narrow: int
    narrow_seconds: float
    wide: int
    wide_seconds: float

    def seconds(self, width: int) -> float:
        """On the line through both: the products grow with the width, the counting does not."""
        slope = max(0.0, (self.wide_seconds - self.narrow_seconds) / (self.wide - self.narrow))
        return max(0.0, self.narrow_seconds + slope * (width - self.narrow))


def ranking_key(counts: Counts) -> str:
    """Of what the time of ranking depends on, beside the features' width."""
    return digest([counts.queries, counts.gallery, counts.identities, counts.cameras])


@dataclass
class Forecast:
    """One machine's measurements by their keys, each beside when and with what it was measured."""

    machine: Machine
    paces: dict[str, dict] = field(default_factory=dict)
    pictures: dict[str, dict] = field(default_factory=dict)
    rankings: dict[str, dict] = field(default_factory=dict)
    counts: dict[str, dict] = field(default_factory=dict)

    def pace(self, shape: Shape) -> Pace | None:
        return measurement(Pace, self.paces.get(shape.key))

    def picture_pace(self, key: str) -> Pictures | None:
        return measurement(Pictures, self.pictures.get(key))

    def ranking(self, counts: Counts) -> Ranking | None:
        return measurement(Ranking, self.rankings.get(ranking_key(counts)))

    def counted(self, key: str) -> Counts | None:
        return measurement(Counts, self.counts.get(key))


def entry(found: Pace | Pictures | Ranking | Counts, of: object, by: Mapping[str, str]) -> dict:
    """A measurement as it is stored. of: what was measured, for readers of the file. by: ``measured_by``."""
    return {"of": of, "found": asdict(found), "measured": now(), **by}


def measured_by(modules: tuple[str, ...] = MEASURED) -> dict[str, str]:
    """What a measurement is only good for: a digest of the code that was measured, and torch's and timm's versions.

    modules: that were measured.
    """
    return {"code": code_digest(ROOT, modules), "torch": _version("torch"), "timm": _version("timm")}


@cache
def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "unknown"


def is_fresh(stored: Mapping | None, by: Mapping[str, str]) -> bool:
    """Whether a stored measurement was made with this code, torch and timm."""
    return bool(stored) and all(stored.get(name) == value for name, value in by.items())


def path_of(runs: Path, profile: str, machine: Machine) -> Path:
    """The file of a machine. runs: root of all run folders."""
    return runs / profile / FOLDER / f"{machine.slug}.json"


def read_all(runs: Path, profile: str) -> list[Forecast]:
    """Every readable forecast of a profile."""
    found = (_forecast(path) for path in sorted((runs / profile / FOLDER).glob("*.json")))
    return [one for one in found if one is not None]


def read(path: Path) -> Forecast | None:
    """A machine's forecast, or None where there is none or it is not readable."""
    return _forecast(path)


def add(path: Path, machine: Machine, **entries: Mapping[str, dict]) -> Forecast:
    """Put entries among those of the file and return them all. A file that cannot be read is set aside.

    entries: by table (``paces``, ``pictures``, ``rankings``, ``counts``) and key. Raises RunError as write_json.
    """
    stored = _forecast(path)
    if stored is None and path.exists():
        print(f"{path} is not a forecast: set aside as {set_aside(path, 'damaged').name}", file=sys.stderr)
    merged = stored or Forecast(machine)
    for table, added in entries.items():
        getattr(merged, table).update(added)
    with explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, asdict(merged))
    return merged


def _forecast(path: Path) -> Forecast | None:
    found = read_json(path) or {}
    try:
        machine = Machine(**found.pop("machine"))
        made = Forecast(machine, **found)
    except (KeyError, TypeError):
        return None
    tables = (made.paces, made.pictures, made.rankings, made.counts)
    whole = machine.type in ("cpu", "cuda") and all(isinstance(table, dict) for table in tables)
    return made if whole else None


def measurement(kind: type, stored: object) -> object:
    """A stored measurement as what it is of; None for one that is not there, or not of this form."""
    try:
        found = kind(**stored["found"])
    except (KeyError, TypeError):
        return None
    numbers = [value for value in vars(found).values() if not isinstance(value, str)]
    return found if all(isinstance(value, int | float) and 0 <= value < 1e30 for value in numbers) else None


# --- Record of GLCA's counted cost: runs/<profile>/ablations/overhead.json ---


@dataclass(frozen=True)
class GLCACost:
    """parameters, multiply_adds: the baseline's; added: by GLCA, without its rollout. Multiply-adds of one image."""

    parameters: int
    added_parameters: int
    multiply_adds: int
    added_multiply_adds: int
    rollout_multiply_adds: int

    @property
    def parameters_percent(self) -> float:
        """Of the baseline's parameters."""
        return 100 * self.added_parameters / self.parameters

    @property
    def multiply_adds_percent(self) -> float:
        """Of the baseline's multiply-adds."""
        return 100 * self.added_multiply_adds / self.multiply_adds

    @property
    def rollout_percent(self) -> float:
        """Of the baseline's multiply-adds, not in the published figure."""
        return 100 * self.rollout_multiply_adds / self.multiply_adds


@dataclass(frozen=True)
class Overheads:
    """The file. costs: by (dataset, backbone) of the published ones. made: commit, versions, time and the like."""

    costs: Mapping[tuple[str, str], GLCACost]
    made: Mapping[str, object]


def glca_cost_path(runs: Path, profile: str) -> Path:
    """runs: root of all run folders."""
    return runs / profile / ABLATIONS / "overhead.json"


def read_glca_cost(path: Path) -> Overheads | None:
    """What is in the file; None where there is none, or not of this form."""
    found = read_json(path) or {}
    try:
        costs = {tuple(entry["of"].split("/")): GLCACost(**entry["cost"]) for entry in found["costs"]}
        return Overheads(costs, found["made"]) if _is_whole(costs) else None
    except (KeyError, TypeError, AttributeError):
        return None


def _is_whole(costs: Mapping[tuple[str, ...], GLCACost]) -> bool:
    numbers = [number for cost in costs.values() for number in asdict(cost).values()]
    pairs = {(published.dataset, published.backbone) for published in OVERHEADS}
    return pairs <= costs.keys() and all(type(number) is int and number > 0 for number in numbers)
