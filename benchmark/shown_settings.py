"""`make settings`: every setting of a profile as SET takes it; what differs by dataset and backbone (no torch)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from benchmark import config
from benchmark.backbones import BACKBONES
from benchmark.data.registry import DATASETS
from benchmark.grid import ABLATIONS, all_cells, select
from benchmark.settings import CAME_LATER, GLCA_ONLY
from benchmark.variants import VARIANTS

WORDS = {"fgvc": "fine-grained classification (Table 1)", "reid": "re-identification (Table 2)"}
PLAIN = "deit_tiny"  # a backbone that no recipe treats apart


def lines(profile: config.Profile, overrides: Mapping[str, object]) -> Iterator[str]:
    """The settings of the profile's DCAL runs, task by task, and under each what is special about a dataset or a
    backbone."""
    yield f"# {profile.name}: {profile.title}"
    for task in (task for task in WORDS if task in profile.tables):
        datasets = [key for key, row in DATASETS.items() if row.task == task]
        plain = next(key for key in datasets if key not in profile.tables)
        common = _shown(plain, PLAIN, profile, overrides)
        yield ""
        yield f"# {WORDS[task]}"
        yield from common
        for key in datasets:
            if own := [line for line in _shown(key, PLAIN, profile, overrides) if line not in common]:
                yield f"# {key} differs"
                yield from own
        yield from _of_backbones(task, profile, overrides)
    if "fgvc" in profile.tables:
        yield ""
        yield "# methods of the ablations: DCAL with these settings, which SET does not change"
        yield from _of_variants(profile)


def _of_backbones(task: str, profile: config.Profile, overrides: Mapping[str, object]) -> Iterator[str]:
    """Compared on a dataset that the backbone has in the grid."""
    first = {cell.backbone: cell.dataset for cell in reversed(all_cells()) if cell.task == task}
    for backbone in (key for key in BACKBONES if key in first):
        usual = _shown(first[backbone], PLAIN, profile, overrides)
        shown = _shown(first[backbone], backbone, profile, overrides)
        if own := [line for line in shown if line not in usual]:
            yield f"# {backbone} differs"
            yield from own
        if not BACKBONES[backbone].glca:
            yield f"# {backbone} has no GLCA: model.glca_* have no meaning there"


def _of_variants(profile: config.Profile) -> Iterator[str]:
    for cell in select([], ABLATIONS):
        if cell.method in VARIANTS:
            chosen = config.resolve(cell, 0, profile, {}).identity["settings"]
            yield f"# {cell.method}: {' '.join(f'{name}={chosen[name]}' for name in VARIANTS[cell.method].fixed)}"


def _shown(
    dataset: str, backbone: str, profile: config.Profile, overrides: Mapping[str, object]
) -> list[str]:
    """``name=value`` of every setting of a pair's DCAL runs."""
    (cell,) = select([f"{dataset}/{backbone}/dcal"])
    resolved = config.resolve(cell, 0, profile, overrides)
    chosen = dict(resolved.identity["settings"])
    # With this value they are in no identity, and can be set all the same.
    for name, value in CAME_LATER.items():
        if resolved.glca or name not in GLCA_ONLY:
            chosen.setdefault(name, value)
    shown = []
    for name, value in chosen.items():
        text = ",".join(map(str, value)) if isinstance(value, list) else str(value)
        shown.append(f"{name}={text.lower() if isinstance(value, bool) else text}")
    return shown
