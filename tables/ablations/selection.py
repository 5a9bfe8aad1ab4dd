"""Comparison, bit by bit, of runs that differ only in the selection of GLCA's local queries.

With the class-token read-out the selection cannot change anything (dcal/README.md, "Two things to know"); here the
records are checked for it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from benchmark.errors import RunError
from benchmark.records.status import RunView
from tables import records
from tables.formats import one_line

if TYPE_CHECKING:
    import numpy as np

SELECTION = ("model.glca_select", "model.glca_ratio")
BRANCHES = ("sa", "glca", "both")
_MACHINE = ("type", "name", "precision", "threads", "world_size", "tuning")


@dataclass(frozen=True)
class SelectionComparison:
    """Comparison of a run with the run of the same seed and settings whose queries the rollout selects.

    run, reference: the two runs; the reference is that of the rollout.
    can_matter: whether the selection has an influence on the prediction at all.
    problem: why the two are not compared, or "".
    machine: differences in what the two were computed with, or "".
    same_weights: whether the final weights have the same bits.
    same_outputs: branch → whether the logits have the same bits; empty where a record has no digests.
    largest: largest difference of a probability of any branch, None where the predictions have no probabilities.
    changed: number of images, of ``images``, whose predicted class differs.
    """

    run: RunView
    reference: RunView
    can_matter: bool
    problem: str = ""
    machine: str = ""
    same_weights: bool = False
    same_outputs: Mapping[str, bool] = field(default_factory=dict)
    largest: float | None = None
    changed: int = 0
    images: int = 0

    @property
    def identical(self) -> bool:
        """Whether everything that both records have is the same, bit for bit."""
        same_digests = self.same_weights and all(self.same_outputs.values())
        return not self.problem and same_digests and self.largest in (0.0, None)


def compare_selections(runs: Iterable[RunView]) -> tuple[SelectionComparison, ...]:
    """Compare every run that differs only in the selection from a run of the rollout; in the order of the runs."""
    groups: dict[str, list[RunView]] = {}
    for run in runs:
        if run.config.glca is not None:
            groups.setdefault(_other_settings(run), []).append(run)
    comparisons = []
    for group in groups.values():
        reference = next((run for run in group if run.config.glca.select == "rollout"), None)
        if reference is not None:
            comparisons += [_compare(run, reference) for run in group if run is not reference]
    return tuple(comparisons)


def _other_settings(run: RunView) -> str:
    """Cell, seed and all settings but the selection, as text."""
    settings = {
        name: value for name, value in run.config.identity["settings"].items() if name not in SELECTION
    }
    return json.dumps([run.cell.dataset, run.cell.backbone, run.seed, settings], sort_keys=True)


def _compare(run: RunView, reference: RunView) -> SelectionComparison:
    glca = run.config.glca
    can_matter = glca.readout != "cls" or glca.keys != "global"
    if not (records.is_done(run) and records.is_done(reference)):
        return SelectionComparison(run, reference, can_matter, "one of the two is not done")
    if records.fingerprint(run) != records.fingerprint(reference):
        return SelectionComparison(run, reference, can_matter, "made from different data")
    try:
        largest, changed, images = _compare_predictions(run.predictions, reference.predictions)
    except (RunError, KeyError) as error:
        return SelectionComparison(run, reference, can_matter, f"predictions lacking: {one_line(error, 200)}")
    return SelectionComparison(
        run,
        reference,
        can_matter,
        machine=_machine_difference(run, reference),
        same_weights=run.result["final_weights_sha256"] == reference.result["final_weights_sha256"],
        same_outputs=_same_outputs(run, reference),
        largest=largest,
        changed=changed,
        images=images,
    )


def _same_outputs(run: RunView, reference: RunView) -> dict[str, bool]:
    first, second = (records.section(view, "outputs_sha256") for view in (run, reference))
    return {
        branch: first[branch] == second[branch] for branch in BRANCHES if branch in first and branch in second
    }


def _compare_predictions(
    first: Mapping[str, np.ndarray], second: Mapping[str, np.ndarray]
) -> tuple[float | None, int, int]:
    """Largest difference of a probability, number of predicted classes that differ, number of images.

    Raises KeyError for a missing array, RunError for other test images and for a file that cannot be read.
    """
    import numpy as np

    if not np.array_equal(first["labels"], second["labels"]):
        raise RunError("the test images have different labels or another order")
    gaps = [
        float(np.abs(first[name].astype(np.float64) - second[name].astype(np.float64)).max())
        for branch in BRANCHES
        if (name := f"{branch}_probability") in first and name in second
    ]
    changed = int(np.count_nonzero(first["both_predicted"] != second["both_predicted"]))
    # Python's max() ignores a NaN that does not come first; numpy's does not.
    largest = float(np.max(gaps)) if gaps else None
    return largest, changed, len(first["labels"])


def _machine_difference(run: RunView, reference: RunView) -> str:
    """``name: A100 and CPU; torch: 2.9 and 2.15``: differences in device and versions, reference first; or ""."""
    first, second = _machine(reference), _machine(run)
    return "; ".join(
        f"{name}: {one_line(first.get(name, 'unknown'), 60)} and {one_line(second.get(name, 'unknown'), 60)}"
        for name in dict.fromkeys((*first, *second))
        if first.get(name) != second.get(name)
    )


def _machine(run: RunView) -> dict[str, Any]:
    """Device and versions of a run's record."""
    device, versions = records.section(run, "device"), records.section(run, "provenance").get("versions")
    fields = {name: device[name] for name in _MACHINE if name in device}
    return fields | (dict(versions) if isinstance(versions, Mapping) else {})
