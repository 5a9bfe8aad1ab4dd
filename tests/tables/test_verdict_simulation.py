"""Share of right verdicts over 1,000 simulated pairs of runs with a known gain, from predictions to verdict."""

import numpy as np
import pytest
from synthetic_runs import SyntheticRun, cell

from tables.outcomes import evidence
from tables.verdicts import HURTS, YES, gain_verdict

REPEATS = 1000
IMAGES = 5794  # CUB's test images


def classified(method, seed, correct):
    result = {"metrics": {"top1": 100 * float(np.mean(correct))}, "data": {}}
    predictions = {"labels": np.zeros(correct.size, dtype=np.int32), "both_correct": correct}
    return SyntheticRun(cell(f"cub/deit_tiny/{method}"), seed, "done", "", result, predictions)


def ranked(method, seed, precision):
    result = {"metrics": {"mAP": 100 * float(np.mean(precision))}, "data": {}}
    same = np.zeros(precision.size, dtype=np.int32)
    predictions = {
        "identities": same,
        "cameras": same,
        "both_ap": precision,
        "both_first_hit": same + 1,
    }
    return SyntheticRun(cell(f"veri/deit_tiny/{method}", "table2"), seed, "done", "", result, predictions)


def photographs(random, seeds, gain):
    """Pairs of runs that disagree on 8 % of the images. A right answer's chance is the image's own; 16 % of the images
    are a coin toss. gain: share of the images that only DCAL can tell.
    """
    chance = random.choice([0.0, 0.5, 1.0], size=IMAGES, p=[0.1, 0.16, 0.74])
    only_dcal = random.random(IMAGES) < gain
    worse, better = np.where(only_dcal, 0.0, chance), np.where(only_dcal, 1.0, chance)
    return {
        seed: (
            classified("baseline", seed, random.random(IMAGES) < worse),
            classified("dcal", seed, random.random(IMAGES) < better),
        )
        for seed in range(seeds)
    }


def queries(random, seeds, gain):
    """Pairs of runs on 75 queries: average precision between 0 and 1, each query with a level of its own."""
    level = random.beta(2, 2, 75)
    return {
        seed: tuple(
            ranked(method, seed, np.clip(level + shift + random.normal(0, 0.15, 75), 0, 1))
            for method, shift in (("baseline", 0.0), ("dcal", gain))
        )
        for seed in range(seeds)
    }


def verdicts(generate, metric, seeds, gain=0.0, repeats=REPEATS):
    random = np.random.default_rng([7, seeds])
    outcomes = []
    for repeat in range(repeats):
        proof = evidence(f"repeat {repeat}", metric, generate(random, seeds, gain))
        assert proof.interval is not None, proof.detail
        outcomes.append(gain_verdict(proof.interval, proof.differing, [0.0]).outcome)
    return outcomes


@pytest.mark.parametrize(
    ("generate", "metric", "seeds"),
    [(photographs, "top1", 1), (photographs, "top1", 3), (queries, "mAP", 1)],
    ids=["one seed", "three seeds", "75 queries"],
)
def test_without_a_true_gain_about_one_verdict_in_twenty_is_wrong(generate, metric, seeds):
    outcomes = verdicts(generate, metric, seeds)
    wrong = sum(verdict in (YES, HURTS) for verdict in outcomes)
    assert 0.03 * REPEATS <= wrong <= 0.07 * REPEATS
    # Neither side is favoured: a fair coin falls 15 : 35 or worse in 0.7 % of all tries.
    assert min(outcomes.count(YES), outcomes.count(HURTS)) >= 0.3 * wrong


def test_a_true_gain_of_two_points_is_found_in_most():
    outcomes = verdicts(photographs, "top1", 1, gain=0.02, repeats=200)
    assert outcomes.count(YES) > 0.9 * len(outcomes)
