"""The selection finding in words: what it says, and what the records of these runs say of it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from tables import records, states
from tables.ablations.selection import Identity
from tables.side_tables import SideTable

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
# Above this, two runs differ by more than float32 rounds a probability in a short training.
ROUNDING = 1e-4
_WORDS = {"rollout": "rollout", "random": "random", "attention": "penultimate attention"}


def selection_table(found: Sequence[Identity]) -> SideTable | None:
    """A row for each comparison; None where there is none."""
    return SideTable(TITLE, HEADINGS, tuple(map(_row, found)), "lrlllrr", 2) if found else None


def label(found: Identity) -> str:
    """``random, R = 10 %``; the read-out is named where it is not the class token's."""
    glca = found.run.config.glca
    readout = "" if glca.readout == "cls" else ", mean read-out"
    return f"{_WORDS[glca.select]}, R = {100 * glca.ratio:g} %{readout}"


def _row(found: Identity) -> tuple[str, ...]:
    if found.problem:
        state = next((run.state for run in (found.run, found.beside) if run.state != "done"), "not compared")
        return (label(found), str(found.run.seed), states.word(state), "", "", "", "")
    logits = (
        _bits(found.outputs[branch]) if branch in found.outputs else UNKNOWN for branch in ("sa", "glca")
    )
    gap = UNKNOWN if found.largest is None else f"{found.largest:.2g}"
    changed = f"{found.changed:,} of {found.images:,}"
    return (label(found), str(found.run.seed), _bits(found.weights), *logits, gap, changed)


def _bits(same: bool) -> str:
    return SAME if same else OTHER


def sentences(found: Iterable[Identity]) -> list[str]:
    """What was measured, the same outcomes together; then what could not be compared, with the reason."""
    outcomes: dict[str, list[Identity]] = {}
    for identity in sorted(found, key=lambda one: bool(one.problem)):
        outcomes.setdefault(_outcome(identity), []).append(identity)
    return [f"{_names(alike)}: {outcome}{_apart(alike)}" for outcome, alike in outcomes.items()]


def paragraphs(found: Sequence[Identity]) -> list[str]:
    """The finding, what was measured of it, and the digests of what is the same."""
    lines = [FINDING, *(f"in these runs, {text}" for text in sentences(found))]
    lines += [LEGEND] if found else []
    if shared := digests(found):
        lines.append(
            f"sha256 of the logits that runs share, as float32 in the order of the test split: {shared}"
        )
    return lines


def digests(found: Iterable[Identity]) -> str:
    """``seed 0: SA 1a2b…, GLCA 3c4d…``: of the logits that runs share bit for bit; "" where none do."""
    texts = {}
    for identity in found:
        if not identity.problem and identity.outputs and all(identity.outputs.values()):
            values = records.section(identity.beside, "outputs_sha256")
            shown = ", ".join(f"{branch.upper()} {values[branch]}" for branch in identity.outputs)
            texts[f"seed {identity.run.seed}: {shown}"] = None
    return "; ".join(texts)


def _names(alike: Sequence[Identity]) -> str:
    # A SET may give two cells the same settings, so a seed may come twice.
    seeds: dict[str, dict[int, None]] = {}
    for identity in alike:
        seeds.setdefault(label(identity), {})[identity.run.seed] = None
    return "; ".join(f"{name} ({records.seeds_text(numbers)})" for name, numbers in seeds.items())


def _outcome(found: Identity) -> str:
    """Without the numbers, which are told of all that are alike together."""
    if found.problem:
        return f"not compared with the rollout's run: {found.problem}"
    if found.identical:
        return f"the rollout's run again, bit for bit: {_identity_text(found)}"
    if found.can_matter:
        return "other probabilities than the rollout's run, as expected of this read-out"
    if found.machine:
        return f"not bit for bit the rollout's run, computed otherwise ({found.machine})"
    if found.largest is not None and found.largest <= ROUNDING:
        return "the rollout's run up to rounding"
    return (
        "farther from the rollout's run than one step's rounding (training amplifies rounding, and on GPUs sums are "
        "not added in a fixed order; two runs of one cell and seed show how much that is there)"
    )


def _identity_text(found: Identity) -> str:
    logits = "logits" if found.outputs else "logits not recorded"
    probabilities = "every probability" if found.largest is not None else "probabilities not recorded"
    return f"final weights, {logits}, {probabilities}"


def _apart(alike: Sequence[Identity]) -> str:
    """``: largest difference of a probability 1e-06, 0 to 2 of 240 predictions differ``; nothing of what is not."""
    if any(one.problem or one.identical for one in alike):
        return ""
    gaps = [one.largest for one in alike if one.largest is not None]
    # A NaN is the largest: plain max() would pass over one that does not come first.
    largest = f"{max(gaps, key=lambda gap: (math.isnan(gap), gap)):.2g}" if gaps else UNKNOWN
    counts = sorted({one.changed for one in alike})
    changed = f"{counts[0]:,}" if len(counts) == 1 else f"{counts[0]:,} to {counts[-1]:,}"
    return f": largest difference of a probability {largest}, {changed} of {alike[0].images:,} predictions differ"
