"""What a launch gives to the runs it starts."""

from benchmark import __main__
from benchmark.commands import launch as pool
from benchmark.records import status


def passed_to_a_run(tmp_path, monkeypatch, *options):
    """Command line of the run of one cell as a launch with these options would start it; none is started."""
    passed = []

    def launch(views, command, slots, *, look, show):
        passed.extend(command(views[0]))
        return pool.Summary(0, {}, {}, {}, False)

    monkeypatch.setattr(pool, "launch", launch)
    monkeypatch.setattr(status, "_not_started", lambda *_: ("missing", "as if data and weights were there"))
    monkeypatch.setattr(status, "weights_problem", lambda *_, **__: "")
    places = ["--profile", "quick", "--data", str(tmp_path), "--runs", str(tmp_path / "runs")]
    assert __main__.main(["launch", *places, "--cells", "cub/deit_tiny/dcal", *options]) == 0
    return passed
