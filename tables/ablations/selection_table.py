"""Finding on the selection of local queries, in words: what follows from the method, and what the records show."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from tables import records, states
from tables.ablations.selection import SelectionComparison
from tables.table import Table

CLAIM = "With the class-token read-out the selection of local queries cannot change a prediction"
FINDING = (
    f"{CLAIM}. Each query attends to the SA stream's keys and values and to no other query, and everything else in "
    "a block acts row by row: GLCA's class token never sees which patches were selected. Selection by rollout, at "
    "random, and by the penultimate layer's attention therefore give the same logits and gradients, bit for bit; "
    "another R gives matrix products of another size, so the same up to rounding. What the paper reports between "
    "them cannot come from the selection if its read-out is this one. The selection matters with the mean "
    "read-out, and where keys and values are those of the selected tokens alone"
)
LIST_TITLE = "Finding: which local queries are selected cannot matter"
TITLE = "Selection of local queries: each run beside its rollout run"
LEGEND = "largest gap: of any probability of any branch; changed: predicted classes"
HEADINGS = ("Local queries", "seed", "weights", "SA logits", "GLCA logits", "largest gap", "changed")
SAME, OTHER, UNKNOWN = "same bits", "other bits", "not recorded"
# Largest difference of a probability that float32 rounding makes in a short training.
ROUNDING = 1e-4
_SELECTIONS = {"rollout": "rollout", "random": "random", "attention": "penultimate attention"}


def selection_table(comparisons: Sequence[SelectionComparison]) -> Table | None:
    """One row for each comparison; None where there is none."""
    if not comparisons:
        return None
    return Table.from_texts(TITLE, HEADINGS, map(_row, comparisons), "lrlllrr", labels=2)


def label(comparison: SelectionComparison) -> str:
    """``random, R = 10 %``, with the read-out where it is not that of the class token."""
    glca = comparison.run.config.glca
    readout = "" if glca.readout == "cls" else ", mean read-out"
    return f"{_SELECTIONS[glca.select]}, R = {100 * glca.ratio:g} %{readout}"


def _row(comparison: SelectionComparison) -> tuple[str, ...]:
    names = (label(comparison), str(comparison.run.seed))
    if comparison.problem:
        runs = (comparison.run, comparison.reference)
        state = next((run.state for run in runs if run.state != "done"), "not compared")
        return (*names, states.state_label(state), "", "", "", "")
    same = {True: SAME, False: OTHER, None: UNKNOWN}
    logits = (same[comparison.same_outputs.get(branch)] for branch in ("sa", "glca"))
    gap = UNKNOWN if comparison.largest is None else f"{comparison.largest:.2g}"
    changed = f"{comparison.changed:,} of {comparison.images:,}"
    return (*names, same[comparison.same_weights], *logits, gap, changed)


def sentences(comparisons: Iterable[SelectionComparison]) -> list[str]:
    """One sentence for each result with the runs that have it; runs that could not be compared come last."""
    groups: dict[str, list[SelectionComparison]] = {}
    for comparison in sorted(comparisons, key=lambda comparison: bool(comparison.problem)):
        groups.setdefault(_result(comparison), []).append(comparison)
    return [f"{_names(group)}: {result}{_differences(group)}" for result, group in groups.items()]


def paragraphs(comparisons: Sequence[SelectionComparison]) -> list[str]:
    """The finding, the results of these runs, and the digests of logits that runs share."""
    lines = [FINDING, *(f"in these runs, {text}" for text in sentences(comparisons))]
    lines += [LEGEND] if comparisons else []
    if shared := digests(comparisons):
        lines.append(
            f"sha256 of the logits that runs share, as float32 in the order of the test split: {shared}"
        )
    return lines


def digests(comparisons: Iterable[SelectionComparison]) -> str:
    """Digests of the logits that runs share bit for bit, ``seed 0: SA 1a2b…, GLCA 3c4d…``; "" where none do."""
    texts = {}
    for comparison in comparisons:
        if not comparison.problem and comparison.same_outputs and all(comparison.same_outputs.values()):
            values = records.section(comparison.reference, "outputs_sha256")
            branches = ", ".join(f"{branch.upper()} {values[branch]}" for branch in comparison.same_outputs)
            texts[f"seed {comparison.run.seed}: {branches}"] = None
    return "; ".join(texts)


def _names(group: Sequence[SelectionComparison]) -> str:
    # SET may give two cells the same settings, so that a seed comes twice.
    seeds: dict[str, dict[int, None]] = {}
    for comparison in group:
        seeds.setdefault(label(comparison), {})[comparison.run.seed] = None
    return "; ".join(f"{name} ({records.seeds_text(numbers)})" for name, numbers in seeds.items())


def _result(comparison: SelectionComparison) -> str:
    """Result in words, without numbers: they are given for all runs with the same result together."""
    if comparison.problem:
        return f"not compared with the rollout's run: {comparison.problem}"
    if comparison.identical:
        return f"the rollout's run again, bit for bit: {_identical_parts(comparison)}"
    if comparison.can_matter:
        return "other probabilities than the rollout's run, as expected of this read-out"
    if comparison.machine:
        return f"not bit for bit the rollout's run, computed otherwise ({comparison.machine})"
    if comparison.largest is not None and comparison.largest <= ROUNDING:
        return "the rollout's run up to rounding"
    return (
        "farther from the rollout's run than one step's rounding (training amplifies rounding, and on GPUs sums are "
        "not added in a fixed order; two runs of one cell and seed show how much that is there)"
    )


def _identical_parts(comparison: SelectionComparison) -> str:
    logits = "logits" if comparison.same_outputs else "logits not recorded"
    probabilities = "every probability" if comparison.largest is not None else "probabilities not recorded"
    return f"final weights, {logits}, {probabilities}"


def _differences(group: Sequence[SelectionComparison]) -> str:
    """``: largest difference of a probability 1e-06, 0 to 2 of 240 predictions differ``, or "" where none was found."""
    if any(comparison.problem or comparison.identical for comparison in group):
        return ""
    gaps = [comparison.largest for comparison in group if comparison.largest is not None]
    # A NaN counts as the largest: plain max() ignores one that does not come first.
    largest = f"{max(gaps, key=lambda gap: (math.isnan(gap), gap)):.2g}" if gaps else UNKNOWN
    counts = sorted({comparison.changed for comparison in group})
    changed = f"{counts[0]:,}" if len(counts) == 1 else f"{counts[0]:,} to {counts[-1]:,}"
    return f": largest difference of a probability {largest}, {changed} of {group[0].images:,} predictions differ"
