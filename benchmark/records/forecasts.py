"""Measurements of a machine for forecasts, as JSON: runs/<profile>/forecast/<device>.json."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal, TypeVar

from benchmark.atomic import explained, write_json
from benchmark.config.grid import ABLATIONS
from benchmark.config.paper import OVERHEADS
from benchmark.config.parse import amount
from benchmark.records.provenance import ROOT, code_digest, now
from benchmark.records.run_folder import read_json, set_aside
from benchmark.records.workload import DatasetCounts, StepWorkload, digest

FOLDER = "forecast"
# Modules that are measured, and those that evaluate runs. A measurement depends on their code and all their imports. It
# does not depend on recipes: the settings that determine a pace are in the key of each measurement.
MEASURED_MODULES = (
    *(f"benchmark.timing.{part}" for part in ("rehearse", "forecast_input")),
    "benchmark.training.tasks",
)


@dataclass(frozen=True)
class Machine:
    """The measured machine. threads: of torch on a CPU; 0 for a GPU, whose pace does not depend on them."""

    type: Literal["cpu", "cuda"]
    name: str
    threads: int = 0

    @classmethod
    def of(cls, type: str, name: str, threads: int) -> Machine:
        """The machine of a run, from the device in its result."""
        return cls(type, name, threads if type == "cpu" else 0)

    @property
    def slug(self) -> str:
        """File name of the machine's forecast, without suffix."""
        words = re.sub(r"[^a-z0-9]+", "-", self.name.lower()).strip("-")
        return f"{words}-{self.threads}-threads" if self.threads else words

    def __str__(self) -> str:
        return f"{self.name}, {amount(self.threads, 'thread')}" if self.threads else self.name


@dataclass(frozen=True)
class Pace:
    """Measured pace of one workload.

    step_seconds: time of a training step.
    batch_seconds: time of an evaluation batch, predictions included.
    memory_bytes: peak memory of the GPU, or on a CPU the growth of the process.
    width: number of features, D.
    precision: used precision.
    """

    step_seconds: float
    batch_seconds: float
    memory_bytes: int
    width: int
    precision: str


@dataclass(frozen=True)
class ReadingPace:
    """Measured pace of reading and augmenting pictures.

    per_second: pictures per second of one process.
    text: description of the pictures.
    at_hand: whether they were pictures of the dataset itself.
    """

    per_second: float
    text: str
    at_hand: bool


@dataclass(frozen=True)
class RankingTime:
    """Measured seconds to rank the whole gallery once, with features of two widths (narrow and wide)."""

    narrow: int
    narrow_seconds: float
    wide: int
    wide_seconds: float

    def seconds(self, width: int) -> float:
        """Seconds for features of another width, on the line through both: only the products grow with the width."""
        slope = max(0.0, (self.wide_seconds - self.narrow_seconds) / (self.wide - self.narrow))
        return max(0.0, self.narrow_seconds + slope * (width - self.narrow))


def ranking_key(counts: DatasetCounts) -> str:
    """Key of everything that determines the time of a ranking, except the width of the features."""
    return digest([counts.queries, counts.gallery, counts.identities, counts.cameras])


Measurement = TypeVar("Measurement", Pace, ReadingPace, RankingTime, DatasetCounts)


@dataclass
class Forecast:
    """Measurements of one machine, as stored in its file: tables of entries (see ``entry``) by key."""

    machine: Machine
    paces: dict[str, dict] = field(default_factory=dict)
    pictures: dict[str, dict] = field(default_factory=dict)
    rankings: dict[str, dict] = field(default_factory=dict)
    counts: dict[str, dict] = field(default_factory=dict)

    def pace(self, shape: StepWorkload) -> Pace | None:
        return parse_measurement(Pace, self.paces.get(shape.key))

    def reading_pace(self, key: str) -> ReadingPace | None:
        return parse_measurement(ReadingPace, self.pictures.get(key))

    def ranking(self, counts: DatasetCounts) -> RankingTime | None:
        return parse_measurement(RankingTime, self.rankings.get(ranking_key(counts)))

    def dataset_counts(self, key: str) -> DatasetCounts | None:
        return parse_measurement(DatasetCounts, self.counts.get(key))


def entry(value: Measurement, subject: object, origin: Mapping[str, str]) -> dict:
    """A measurement as stored in the file.

    subject: what was measured, for readers of the file.
    origin: as of ``measurement_origin``.
    """
    return {"of": subject, "found": asdict(value), "measured": now(), **origin}


def measurement_origin(modules: tuple[str, ...] = MEASURED_MODULES) -> dict[str, str]:
    """Digest of the measured code, and the versions of torch and timm: a measurement is only valid for these.

    modules: the measured modules.
    """
    return {"code": code_digest(ROOT, modules), "torch": _version("torch"), "timm": _version("timm")}


@cache
def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "unknown"


def is_fresh(stored: Mapping | None, origin: Mapping[str, str]) -> bool:
    """Whether a stored measurement has this origin: the same code, torch and timm."""
    return bool(stored) and all(stored.get(name) == value for name, value in origin.items())


def forecast_path(runs: Path, profile: str, machine: Machine) -> Path:
    """Path of a machine's forecast. runs: root of all run folders."""
    return runs / profile / FOLDER / f"{machine.slug}.json"


def read_forecasts(runs: Path, profile: str) -> list[Forecast]:
    """Read all readable forecasts of a profile."""
    forecasts = map(read_forecast, sorted((runs / profile / FOLDER).glob("*.json")))
    return [forecast for forecast in forecasts if forecast is not None]


def read_forecast(path: Path) -> Forecast | None:
    """Read the forecast of a machine; None if there is none or it is not readable."""
    fields = read_json(path) or {}
    try:
        machine = Machine(**fields.pop("machine"))
        forecast = Forecast(machine, **fields)
    except (KeyError, TypeError):
        return None
    tables = (forecast.paces, forecast.pictures, forecast.rankings, forecast.counts)
    is_valid = machine.type in ("cpu", "cuda") and all(isinstance(table, dict) for table in tables)
    return forecast if is_valid else None


def add_entries(path: Path, machine: Machine, **entries: Mapping[str, dict]) -> Forecast:
    """Add entries to a machine's forecast and return the forecast. An unreadable file is renamed first.

    entries: by table (``paces``, ``pictures``, ``rankings``, ``counts``) and key. Raises RunError as ``write_json``.
    """
    stored = read_forecast(path)
    if stored is None and path.exists():
        print(f"{path} is not a forecast: set aside as {set_aside(path, 'damaged').name}", file=sys.stderr)
    merged = stored or Forecast(machine)
    for table, added in entries.items():
        getattr(merged, table).update(added)
    with explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, asdict(merged))
    return merged


def parse_measurement(kind: type[Measurement], stored: Mapping | None) -> Measurement | None:
    """Parse a stored measurement; None if there is none, or it is not of this form.

    kind: class of the measured values.
    """
    try:
        measurement = kind(**stored["found"])
    except (KeyError, TypeError):
        return None
    numbers = [value for value in vars(measurement).values() if not isinstance(value, str)]
    is_valid = all(isinstance(value, int | float) and 0 <= value < 1e30 for value in numbers)
    return measurement if is_valid else None


# --- GLCA's counted cost: runs/<profile>/ablations/overhead.json ---


@dataclass(frozen=True)
class GLCACost:
    """Cost of a model, multiply-adds for one image.

    parameters, multiply_adds: of the baseline.
    added_parameters, added_multiply_adds: by GLCA, without its attention rollout.
    """

    parameters: int
    added_parameters: int
    multiply_adds: int
    added_multiply_adds: int
    rollout_multiply_adds: int

    @property
    def parameters_percent(self) -> float:
        """Added parameters in percent of the baseline's."""
        return 100 * self.added_parameters / self.parameters

    @property
    def multiply_adds_percent(self) -> float:
        """Added multiply-adds in percent of the baseline's."""
        return 100 * self.added_multiply_adds / self.multiply_adds

    @property
    def rollout_percent(self) -> float:
        """Multiply-adds of the rollout in percent of the baseline's; not part of the published figure."""
        return 100 * self.rollout_multiply_adds / self.multiply_adds


@dataclass(frozen=True)
class Overheads:
    """Content of the file.

    costs: by (dataset, backbone), at least the published ones.
    made: commit, versions, time and so on.
    """

    costs: Mapping[tuple[str, str], GLCACost]
    made: Mapping[str, object]


def glca_cost_path(runs: Path, profile: str) -> Path:
    """Path of the file. runs: root of all run folders."""
    return runs / profile / ABLATIONS / "overhead.json"


def read_glca_cost(path: Path) -> Overheads | None:
    """Read the file; None if there is none, or it is not of this form."""
    record = read_json(path) or {}
    try:
        costs = {tuple(entry["of"].split("/")): GLCACost(**entry["cost"]) for entry in record["costs"]}
        numbers = [number for cost in costs.values() for number in asdict(cost).values()]
        published = {(overhead.dataset, overhead.backbone) for overhead in OVERHEADS}
        is_valid = published <= costs.keys() and all(type(number) is int and number > 0 for number in numbers)
        return Overheads(costs, record["made"]) if is_valid else None
    except (KeyError, TypeError, AttributeError):
        return None
