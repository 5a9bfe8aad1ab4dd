"""`make settings`: every setting of a profile as SET takes it; what differs by dataset and backbone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from benchmark.config import resolve
from benchmark.config.backbones import BACKBONES
from benchmark.config.datasets import DATASETS
from benchmark.config.grid import ABLATIONS, all_cells, select
from benchmark.config.model_settings import setting_text
from benchmark.config.settings import READINGS, SETTINGS, TASK_NAMES
from benchmark.config.variants import VARIANTS

TABLES = {"fgvc": "Table 1", "reid": "Table 2"}
WIDTH = 30  # columns of a name and its value, before the explanation
PLAIN = "deit_tiny"  # a backbone that no recipe treats apart


def lines(profile: resolve.Profile, overrides: Mapping[str, object]) -> Iterator[str]:
    """The settings of the profile's DCAL runs, task by task, and under each what is special about a dataset or a
    backbone."""
    yield f"# {profile.name}: {profile.title}"
    for task in (task for task in TASK_NAMES if task in profile.tables):
        datasets = [key for key, row in DATASETS.items() if row.task == task]
        plain = next(key for key in datasets if key not in profile.tables)
        common = _lines(plain, PLAIN, profile, overrides)
        yield ""
        yield f"# {TASK_NAMES[task]} ({TABLES[task]})"
        yield from map(_explained, common)
        for key in datasets:
            if changes := [line for line in _lines(key, PLAIN, profile, overrides) if line not in common]:
                yield f"# {key} differs"
                yield from changes
        yield from _backbone_lines(task, profile, overrides)
    yield ""
    yield "# open readings: where the paper is silent or reads two ways; the options, the default first"
    for name, reading in READINGS.items():
        yield f"# {name}: {reading.question}"
        yield f"#   {reading.options}"
    if "fgvc" in profile.tables:
        yield ""
        yield "# methods of the ablations: DCAL with these settings, which SET does not change"
        yield from _variant_lines(profile)


def _backbone_lines(task: str, profile: resolve.Profile, overrides: Mapping[str, object]) -> Iterator[str]:
    """Compared on a dataset that the backbone has in the grid."""
    first = {cell.backbone: cell.dataset for cell in reversed(all_cells()) if cell.task == task}
    for backbone in (key for key in BACKBONES if key in first):
        usual = _lines(first[backbone], PLAIN, profile, overrides)
        lines_of_backbone = _lines(first[backbone], backbone, profile, overrides)
        if changes := [line for line in lines_of_backbone if line not in usual]:
            yield f"# {backbone} differs"
            yield from changes
        if not BACKBONES[backbone].glca:
            yield f"# {backbone} has no GLCA: model.glca_* have no meaning there"


def _variant_lines(profile: resolve.Profile) -> Iterator[str]:
    for cell in select([], ABLATIONS):
        if cell.method in VARIANTS:
            chosen = resolve.resolve(cell, 0, profile, {}).identity["settings"]
            yield f"# {cell.method}: {' '.join(f'{name}={chosen[name]}' for name in VARIANTS[cell.method].fixed)}"


def _lines(
    dataset: str, backbone: str, profile: resolve.Profile, overrides: Mapping[str, object]
) -> list[str]:
    """``name=value`` of every setting of a pair's DCAL runs."""
    (cell,) = select([f"{dataset}/{backbone}/dcal"])
    resolved = resolve.resolve(cell, 0, profile, overrides)
    return [f"{name}={setting_text(value)}" for name, value in resolved.determining.items()]


def _explained(line: str) -> str:
    """``train.lr=0.008    # learning rate …``."""
    return f"{line:<{WIDTH}}  # {SETTINGS[line.partition('=')[0]].explanation}"
