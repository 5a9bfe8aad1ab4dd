"""Requests of a launch to the processes of its runs."""

from benchmark import __main__
from benchmark.commands import pool
from benchmark.records import status
from benchmark.training.request import RunRequest


def request_of(command):
    """The request in a run's command line."""
    return RunRequest.from_json(command[command.index("--request") + 1])


def requests_of_a_launch(monkeypatch, *arguments):
    """The requests that ``launch`` with these arguments would start its runs with; none is started."""
    requests = []

    def launch(views, command, slots, *, look, show):
        requests.extend(request_of(command(view)) for view in views)
        return pool.Summary(0, {}, {}, {}, False)

    monkeypatch.setattr(pool, "launch", launch)
    assert __main__.main(["launch", *arguments]) == 0
    return requests


def request_to_a_run(tmp_path, monkeypatch, *options):
    """The request of the run of one cell as a launch with these options would start it."""
    monkeypatch.setattr(status, "_not_started", lambda *_: ("missing", "as if data and weights were there"))
    monkeypatch.setattr(status, "weights_problem", lambda *_, **__: "")
    places = ["--profile", "quick", "--data", str(tmp_path), "--runs", str(tmp_path / "runs")]
    (request,) = requests_of_a_launch(monkeypatch, *places, "--cells", "cub/deit_tiny/dcal", *options)
    return request
