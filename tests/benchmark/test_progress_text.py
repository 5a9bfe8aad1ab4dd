"""Progress in the room that there is: 40, 80 and 200 columns, and one line in a log."""

import io
import json
import os
import re
import time

import pytest

from benchmark.commands import live_view
from benchmark.commands.live_view import LiveView
from benchmark.config.grid import select
from benchmark.records.progress import Progress, progress_rows, shorten
from benchmark.records.run_folder import RunFolder
from benchmark.records.status import RunView

HALF_WAY = Progress(epoch=8, epochs=16, step=0, steps=22, seconds=600.0, silent_seconds=0.0)
BEGUN = Progress(epoch=0, epochs=16, step=0, steps=22, seconds=20.0, silent_seconds=0.0)
LAST = Progress(epoch=15, epochs=16, step=22, steps=22, seconds=900.0, silent_seconds=0.0)
RUNS = [
    ("msmt17/deit_small/dcal/seed0", HALF_WAY),
    ("cub/r50_vit_base/baseline/seed0", BEGUN),
    ("veri/deit_tiny/dcal/seed0", LAST),
    ("cub/vit_base/dcal/seed0", None),
]


def test_in_40_columns_the_progress_is_whole_and_names_lose_their_middle():
    assert progress_rows(RUNS, ["cub/deit_tiny/dcal/seed0"], 39, 20) == [
        "  msmt17/d…ll/dcal/s0 9/16, 10 min left",
        "  cub/r…e/baseline/s0 1/16, ? left",
        "  veri/de…iny/dcal/s0 16/16, evaluating",
        "  cub/vit…ase/dcal/s0 starting",
        "  cub/dei…iny/dcal/s0 elsewhere",
    ]


def test_in_80_columns_names_are_whole():
    assert progress_rows(RUNS[:1], [], 79, 20) == [
        "  msmt17/deit_small/dcal/seed0 ██████░░░░░░░ epoch 9/16, step 0/22, 10 min left"
    ]
    assert progress_rows(RUNS, ["cub/deit_tiny/dcal/seed0"], 79, 20) == [
        "  msmt17/deit_small/dcal/seed0    epoch 9/16, step 0/22, 10 min left",
        "  cub/r50_vit_base/baseline/seed0 epoch 1/16, step 0/22, time left unknown",
        "  veri/deit_tiny/dcal/seed0       epoch 16/16, last evaluation",
        "  cub/vit_base/dcal/seed0         starting, time left unknown",
        "  cub/deit_tiny/dcal/seed0        in another process",
    ]


def test_in_200_columns_there_is_a_bar_as_well():
    first, *_, last = progress_rows(RUNS, ["cub/deit_tiny/dcal/seed0"], 199, 20)
    assert first == (
        "  msmt17/deit_small/dcal/seed0    ██████████░░░░░░░░░░ epoch 9/16, step 0/22, 10 min left"
    )
    assert last == f"  cub/deit_tiny/dcal/seed0        {' ' * 20} in another process"


@pytest.mark.parametrize("width", range(35, 130))
def test_at_every_width_each_run_has_its_time_left_and_no_line_is_too_long(width):
    shown = progress_rows(RUNS, ["cub/deit_tiny/dcal/seed0"], width, 20)
    assert max(map(len, shown)) <= width
    assert shown[0].endswith("9/16, 10 min left") or shown[0].endswith("step 0/22, 10 min left")
    assert "left" in shown[1]


def test_more_runs_than_lines_are_counted():
    many = [(f"cub/vit_base/dcal/seed{seed}", HALF_WAY) for seed in range(30)]
    shown = progress_rows(many, [], 79, 10)
    assert len(shown) == 10
    assert shown[-1] == "  … and 21 more"


def test_names_that_have_room_stay():
    assert shorten("cub/vit_base/dcal/seed0", 23) == "cub/vit_base/dcal/seed0"
    assert shorten("cub/vit_base/dcal/seed0", 22) == "cub/vit_base/dcal/s0"
    assert shorten("msmt17/deit_small/dcal/seed0", 21) == "msmt17/de…all/dcal/s0"


@pytest.fixture
def running(tmp_path):
    """A run that spent 600 s on the first half of its 16 epochs."""
    cell = select(["msmt17/deit_small/dcal"])[0]
    folder = RunFolder(tmp_path / "run")
    folder.make()
    beat = {"time": time.time(), "seconds": 600.0, "epoch": 8, "epochs": 16, "step": 0, "steps": 22}
    folder.heartbeat.write_text(json.dumps(beat))
    return RunView(cell, 0, "missing", "", None, folder, config=object())


def test_without_a_terminal_a_line_a_minute_says_how_far_everything_is(running, monkeypatch):
    out = io.StringIO()
    show = LiveView(out)
    show.start([running, running])
    before = out.getvalue()
    show.refresh([running], 1, [])
    assert out.getvalue() == before  # a minute has not passed
    now = time.monotonic()
    monkeypatch.setattr(live_view.time, "monotonic", lambda: now + 61)
    show.refresh([running], 1, [])
    show.refresh([running], 1, [])
    (line,) = out.getvalue().removeprefix(before).splitlines()
    assert re.fullmatch(
        r"\[  1:01\] 0/2 done, 1 running, 1 waiting; msmt17/deit_small/dcal/seed0 epoch 9/16, step 0/22, 10 min left",
        line,
    )


@pytest.mark.parametrize(
    ("columns", "counts"),
    [(40, "0/2 done, 1 failed, 1 running"), (80, "[  0:00] 0/2 done, 1 running, 1 waiting, 1 failed")],
)
def test_the_live_block_fits_the_terminal_that_it_is_written_to(running, monkeypatch, columns, counts):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

        def fileno(self):
            return 7

    monkeypatch.setattr(live_view.os, "get_terminal_size", lambda _: os.terminal_size((columns, 24)))
    show = LiveView(Terminal())
    show.start([running, running])
    show.ended(running, "torn", 1.0)
    before = show.out.getvalue()
    show.refresh([running], 1, [])
    first, second = show.out.getvalue().removeprefix(before).splitlines()
    assert first == counts
    assert second.endswith("10 min left")
    assert len(second) < columns
