"""From what was measured to what a run takes: the arithmetic (no torch)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from benchmark.config.resolve import Config
from benchmark.records import forecasts
from benchmark.records.forecasts import Forecast, Pace, Pictures, Ranking, ranking_key
from benchmark.records.shapes import pictures_key, shape_of
from benchmark.records.workload import Counts


@dataclass(frozen=True)
class Estimate:
    """A run's time, start-up not included. epoch_seconds: of training. evaluation_seconds: of one evaluation.

    memory_bytes: peak of a process. bound: what an epoch waits for. shared: whether several ranks are counted as
    faster in training than one. fresh: whether all that it rests on was measured with this code, torch and timm.
    """

    epoch_seconds: float
    evaluation_seconds: float
    run_seconds: float
    memory_bytes: int
    bound: Literal["compute", "input"]
    shared: bool = True
    fresh: bool = True


def estimate(
    config: Config,
    counts: Counts,
    pace: Pace,
    pictures: Pictures,
    ranking: Ranking | None,
    *,
    workers: int,
    ranks: int = 1,
    share: Pace | None = None,
) -> Estimate:
    """What a run takes.

    workers: decoding processes of each rank. With none, pictures are read between the steps and both times add up;
    with some, the slower of the two counts, and n read n times as fast as one.
    ranking: of the gallery, None where nothing is ranked. ranks: evaluations are shared out by batches. share: the pace
    of a rank's share of a batch; without one, several ranks are taken to be no faster than one in training, since a
    smaller batch does not take proportionally less. What ranks tell each other is not in it.
    """
    settings, batch = config.settings, config.settings.train.batch_size
    loaded = 2 if _brings_partners(config) else 1
    compute = (share or pace).step_seconds
    reading = loaded * math.ceil(batch / ranks) / pictures.per_second
    epoch = counts.steps * _together(compute, reading, workers)
    batches = math.ceil(math.ceil(counts.test / batch) / ranks)
    evaluation = batches * _together(pace.batch_seconds, batch / pictures.per_second, workers)
    if ranking is not None:
        evaluation += sum(ranking.seconds(width) for width in ranked_widths(config, pace.width))
    epochs = settings.train.epochs
    return Estimate(
        epoch,
        evaluation,
        epochs * epoch + evaluations(epochs, settings.evaluate.every) * evaluation,
        (share or pace).memory_bytes,
        "input" if reading / max(1, workers) > compute else "compute",
        shared=ranks == 1 or share is not None,
    )


def _together(compute: float, reading: float, workers: int) -> float:
    return max(compute, reading / workers) if workers else compute + reading


def _brings_partners(config: Config) -> bool:
    """Whether every batch comes with a second one, of PWCA's partners."""
    return config.pwca is not None and config.pwca.brings_partners


def evaluations(epochs: int, every: int) -> int:
    """How often a run is evaluated: at every ``every``-th epoch and at the last."""
    return epochs // every + (epochs % every > 0)


def ranked_widths(config: Config, width: int) -> Sequence[int]:
    """Widths of the features that the gallery is ranked by: SA's alone, or with GLCA SA's, GLCA's and both's."""
    return (width, width, 2 * width) if config.glca else (width,)


def from_stored(
    config: Config,
    forecast: Forecast,
    counts: Counts | None,
    *,
    workers: int,
    ranks: int = 1,
    tuning: str = "",
) -> Estimate | None:
    """What a run takes by one machine's forecast, fresh or not; None where that lacks something of it."""
    if counts is None:
        return None
    shape = shape_of(config, counts.classes, tuning)
    pace = forecast.pace(shape)
    key = pictures_key(config.cell.dataset, config.settings.data, in_process=not workers)
    pictures, ranking = forecast.picture_pace(key), forecast.ranking(counts) if counts.gallery else None
    if pace is None or pictures is None or not pictures.per_second or (counts.gallery and ranking is None):
        return None
    share = forecast.pace(shape.share(ranks)) if ranks > 1 else None
    rests_on = [forecast.paces[shape.key], forecast.pictures[key]]
    if ranking:
        rests_on.append(forecast.rankings[ranking_key(counts)])
    if share:
        rests_on.append(forecast.paces[shape.share(ranks).key])
    found = estimate(config, counts, pace, pictures, ranking, workers=workers, ranks=ranks, share=share)
    by = forecasts.measured_by()
    return replace(found, fresh=all(forecasts.is_fresh(stored, by) for stored in rests_on))
