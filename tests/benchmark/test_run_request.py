"""A launch's request to a run's process is what ``run_cell`` is called with, to the last digit."""

from pathlib import Path

import pytest

from benchmark.config.compute_setup import Tuning, World
from benchmark.config.places import Places
from benchmark.config.resolve import parse_overrides
from benchmark.training.request import Infrastructure, RunRequest

SETTINGS = parse_overrides(
    "train.lr=0.1234567890123456789 train.epochs=3 model.glca_readout=mean data.skip_unparsable=true"
)


@pytest.mark.parametrize(
    ("places", "infrastructure"),
    [
        (Places(Path("/my runs"), None, None, True), Infrastructure()),
        (
            Places(Path("runs"), Path("dä ta"), Path("weights"), False),
            Infrastructure(
                device="cuda",
                threads=3,
                workers=2,
                checkpoint_seconds=0.5,
                quiet=True,
                parent=7,
                owner="SLURM job 12_3",
                submitted={"commit": "abc", "time": "2026-01-01"},
                world=World(1, 4, 1, 2, "12"),
                tuning=Tuning(accumulate=2, recompute=True),
                log_interval=9,
                trackers=("wandb", "tensorboard"),
            ),
        ),
    ],
    ids=["nothing given", "everything given"],
)
def test_a_request_comes_back_as_it_was_written(places, infrastructure):
    request = RunRequest("cub/deit_tiny/dcal", 3, "mini", places, SETTINGS, infrastructure)
    text = request.to_json()
    assert "\n" not in text
    back = RunRequest.from_json(text)
    assert back == request
    assert type(back.overrides["train.epochs"]) is int


def test_another_text_is_an_error():
    with pytest.raises(KeyError):
        RunRequest.from_json("{}")
