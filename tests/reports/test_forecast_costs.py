"""Forecast and actual time of a run on the pages: beside each other where a record has both, and nowhere else."""

from types import SimpleNamespace

import pytest

from benchmark.config.grid import Cell
from benchmark.records.run_folder import RunFolder
from reports.page import costs

COST = {"train_seconds": 90.0, "peak_memory_bytes": 2**30, "attempts": 1}


@pytest.fixture
def sheet(tmp_path):
    def made(*recorded):
        device = {"type": "cuda", "name": "GPU", "precision": "bfloat16", "threads": 1, "world_size": 1}
        runs = [
            SimpleNamespace(
                cell=Cell("table1", "cub", "deit_tiny", "dcal"),
                seed=seed,
                folder=RunFolder(tmp_path),
                result={"device": device, "cost": COST | cost},
            )
            for seed, cost in enumerate(recorded)
        ]
        found = map(costs.run_cost, runs)
        return costs.run_costs_table(found, key="costs", sortable=False, caption="Costs")

    return made


def test_what_was_forecast_stands_beside_what_the_run_took(sheet):
    shown = sheet({"forecast_seconds": 80.0, "seconds": 97.4}, {"seconds": 95.0})
    assert [(column.heading, column.note) for column in shown.columns[-2:]] == [
        ("Forecast", "training and evaluations"),
        ("Took", "training and evaluations"),
    ]
    assert [[entry.text for entry in row[-2:]] for row in shown.rows] == [["80 s", "97 s"], ["", ""]]


def test_without_any_forecast_there_is_no_such_column(sheet):
    shown = sheet({}, {"seconds": 95.0})
    assert shown.columns[-1].heading == "Attempts"
    assert all(len(row) == len(shown.columns) for row in shown.rows)
