"""Reports of the made-up sweep, written once for all tests that read them."""

from types import SimpleNamespace

import mini_sweep
import pytest
from left_figures import leave_figures

from reports.__main__ import main


@pytest.fixture(scope="session")
def written(tmp_path_factory):
    """The sweep with its two reports: .runs, .paper and .mini are folders."""
    runs = mini_sweep.unpack(tmp_path_factory.mktemp("reports") / "a sweep")
    leave_figures(runs)
    with mini_sweep.alive(runs):
        for profile in mini_sweep.PROFILES:
            assert main(["page", "--profile", profile, "--runs", str(runs), "--no-pictures"]) == 0
    return SimpleNamespace(runs=runs, paper=runs / "paper" / "report", mini=runs / "mini" / "report")
