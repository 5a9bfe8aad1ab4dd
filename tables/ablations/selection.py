"""Whether the selection of GLCA's local queries changed anything: runs that differ in it alone, bit by bit (no torch).

With the class-token read-out it cannot (dcal/README.md, "Two things to know"); what the records say is measured here.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

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
class Identity:
    """A run beside the one of the same seed whose queries the rollout selects, else of the same settings.

    can_matter: whether the selection enters the prediction at all. problem: why the two are not compared, or "".
    machine: what they were computed with, where that differs. weights: whether the final weights have the same bits.
    outputs: branch → whether the logits have; empty where a record has no digests. largest: difference of any
    probability of any branch, None where predictions do not tell. changed: images whose predicted class differs, of
    ``images``.
    """

    run: RunView
    beside: RunView
    can_matter: bool
    problem: str = ""
    machine: str = ""
    weights: bool = False
    outputs: Mapping[str, bool] = field(default_factory=dict)
    largest: float | None = None
    changed: int = 0
    images: int = 0

    @property
    def same_number(self) -> bool:
        """Whether as many tokens are selected: with another R, matrix products have other sizes and may round
        differently.
        """
        return self.run.config.settings.model.glca_ratio == self.beside.config.settings.model.glca_ratio

    @property
    def identical(self) -> bool:
        """Whether everything that both records tell is the same, bit for bit."""
        return (
            not self.problem and self.weights and all(self.outputs.values()) and self.largest in (0.0, None)
        )


def identities(runs: Iterable[RunView]) -> tuple[Identity, ...]:
    """Every run that differs in the selection alone from a run with the rollout's, in the order of the runs."""
    groups: dict[str, list[RunView]] = {}
    for run in runs:
        if run.config.glca is not None:
            groups.setdefault(_all_but_selection(run), []).append(run)
    found = []
    for group in groups.values():
        beside = next((run for run in group if run.config.glca.select == "rollout"), None)
        if beside is not None:
            found += [_identity(run, beside) for run in group if run is not beside]
    return tuple(found)


def _all_but_selection(run: RunView) -> str:
    settings = {
        name: value for name, value in run.config.identity["settings"].items() if name not in SELECTION
    }
    return json.dumps([run.cell.dataset, run.cell.backbone, run.seed, settings], sort_keys=True)


def _identity(run: RunView, beside: RunView) -> Identity:
    glca = run.config.glca
    can_matter = glca.readout != "cls" or glca.keys != "global"
    if not (records.is_done(run) and records.is_done(beside)):
        return Identity(run, beside, can_matter, "one of the two is not done")
    if records.fingerprint(run) != records.fingerprint(beside):
        return Identity(run, beside, can_matter, "made from different data")
    try:
        largest, changed, images = _apart(run.predictions, beside.predictions)
    except (RunError, KeyError) as error:
        return Identity(run, beside, can_matter, f"predictions lacking: {one_line(error, 200)}")
    return Identity(
        run,
        beside,
        can_matter,
        machine=_machines(run, beside),
        weights=run.result["final_weights_sha256"] == beside.result["final_weights_sha256"],
        outputs=_outputs(run, beside),
        largest=largest,
        changed=changed,
        images=images,
    )


def _outputs(run: RunView, beside: RunView) -> dict[str, bool]:
    own, other = (records.section(found, "outputs_sha256") for found in (run, beside))
    return {branch: own[branch] == other[branch] for branch in BRANCHES if branch in own and branch in other}


def _apart(own: Mapping[str, np.ndarray], other: Mapping[str, np.ndarray]) -> tuple[float | None, int, int]:
    """Largest difference of a probability, classes of the prediction that differ, images. Raises KeyError, RunError."""
    import numpy as np

    if not np.array_equal(own["labels"], other["labels"]):
        raise RunError("the test images have different labels or another order")
    gaps = [
        float(np.abs(own[name].astype(np.float64) - other[name].astype(np.float64)).max())
        for branch in BRANCHES
        if (name := f"{branch}_probability") in own and name in other
    ]
    changed = int(np.count_nonzero(own["both_predicted"] != other["both_predicted"]))
    # max() would pass over a NaN that does not come first.
    largest = float(np.max(gaps)) if gaps else None
    return largest, changed, len(own["labels"])


def _machines(run: RunView, beside: RunView) -> str:
    """``name: A100 and CPU; torch: 2.9 and 2.15``: in what the two were computed differently, or ""."""
    own, other = _computed(run), _computed(beside)
    return "; ".join(
        f"{name}: {one_line(other.get(name, 'unknown'), 60)} and {one_line(own.get(name, 'unknown'), 60)}"
        for name in dict.fromkeys((*other, *own))
        if own.get(name) != other.get(name)
    )


def _computed(run: RunView) -> dict[str, object]:
    device, versions = records.section(run, "device"), records.section(run, "provenance").get("versions")
    found = {name: device[name] for name in _MACHINE if name in device}
    return found | (dict(versions) if isinstance(versions, Mapping) else {})
