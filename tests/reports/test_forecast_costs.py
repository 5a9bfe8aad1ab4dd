"""Forecast and actual time of a run on the pages: beside each other where a record has both, and nowhere else."""

from types import SimpleNamespace

import pytest

from benchmark.config.grid import Cell
from benchmark.records.run_folder import RunFolder
from reports.page import costs

COST = {"train_seconds": 90.0, "peak_memory_bytes": 2**30, "attempts": 1}


@pytest.fixture
def sheet(tmp_path):
    def build(*recorded):
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
        result = map(costs.run_cost, runs)
        return costs.run_costs_table(result, key="costs", sortable=False, caption="Costs")

    return build


def test_what_was_forecast_stands_beside_what_the_run_took(sheet):
    table = sheet({"forecast_seconds": 80.0, "seconds": 97.4}, {"seconds": 95.0})
    assert [(column.heading, column.note) for column in table.columns[-2:]] == [
        ("Forecast", "training and evaluations"),
        ("Took", "training and evaluations"),
    ]
    assert [[entry.text for entry in row[-2:]] for row in table.rows] == [["80 s", "97 s"], ["", ""]]


def test_without_any_forecast_there_is_no_such_column(sheet):
    table = sheet({}, {"seconds": 95.0})
    assert table.columns[-1].heading == "Attempts"
    assert all(len(row) == len(table.columns) for row in table.rows)
