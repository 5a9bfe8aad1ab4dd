"""Runs that go on from a checkpoint written before the suite kept all that it keeps now, or with another TUNE."""

import json
import logging
from dataclasses import replace

import pytest
import torch
from quick_runs import QUICK, StopAfter

from benchmark.config.compute_setup import parse
from benchmark.config.grid import select
from benchmark.records.heartbeat import RunInterrupt
from benchmark.records.run_folder import RunFolder
from benchmark.training.request import Infrastructure
from benchmark.training.run import run_cell

BASELINE, _ = select(["cub/deit_tiny"])


def run(places, tune="", **options):
    infrastructure = Infrastructure(device="cpu", quiet=True, checkpoint_seconds=0.0, tuning=parse(tune))
    return run_cell(BASELINE, 0, "mini", places, overrides=QUICK, infrastructure=infrastructure, **options)


def stopped(places) -> RunFolder:
    with pytest.raises(RunInterrupt):
        run(places, stop=StopAfter(6))
    return RunFolder(places.runs / "mini" / BASELINE.id / "seed0")


def test_a_run_whose_evaluations_were_not_timed_before_does_not_say_what_it_took(places):
    folder = stopped(places)
    state = torch.load(folder.checkpoint, weights_only=True)
    book = json.loads(state["book"])
    del book["evaluate_seconds"]
    torch.save(state | {"book": json.dumps(book)}, folder.checkpoint)
    cost = run(places)["cost"]
    assert "seconds" not in cost
    assert cost["train_seconds"] > 0


@pytest.mark.parametrize(("tune", "warned"), [("recompute=true", True), ("", False)])
def test_going_on_with_another_tuning_is_said(places, caplog, tune, warned):
    stopped(places)
    with caplog.at_level(logging.WARNING, "benchmark"):
        run(places, tune)
    assert ("going on with TUNE recompute=true" in caplog.text) == warned


def test_a_checkpoint_from_before_several_ranks_loads(places):
    expected = run(replace(places, runs=places.runs / "whole"))
    folder = stopped(places)
    state = torch.load(folder.checkpoint, weights_only=True)
    del state["rng_of_other_ranks"], state["format"]
    torch.save(state, folder.checkpoint)
    assert run(places)["final_weights_sha256"] == expected["final_weights_sha256"]
    assert "ranks" not in folder.log.read_text()
