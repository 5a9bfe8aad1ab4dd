"""``python -m reports page``: what it reads and prints, that it loads no torch, and what damage costs."""

import json
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import mini_sweep
import pytest
from left_figures import DRAWN, leave_figures
from page_reader import Page, pages

from benchmark.commands import options
from reports.__main__ import main
from reports.page import figures
from reports.page.inputs import seeds_on_disk

ROOT = Path(__file__).resolve().parents[2]


def page(*arguments):
    return main(["page", "--no-pictures", *map(str, arguments)])


def test_records_alone_never_load_torch(tmp_path):
    runs = mini_sweep.unpack(tmp_path / "runs")
    script = (
        "import sys\n"
        "from reports.__main__ import main\n"
        f"assert main(['page', '--profile', 'paper', '--runs', {str(runs)!r}, '--no-pictures']) == 0\n"
        "loaded = [name for name in ('torch', 'timm', 'torchvision') if name in sys.modules]\n"
        "sys.exit(f'loaded {loaded}' if loaded else 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(pages(runs / "paper" / "report")) == 35


def test_failures_among_the_runs_are_no_error_and_the_place_is_printed(sweep, capsys):
    assert page("--profile", "paper", "--runs", sweep) == 0
    printed = capsys.readouterr()
    assert "2 failed" in printed.out
    assert "1 damaged" in printed.out
    assert printed.out.splitlines()[-1] == f"written: {sweep / 'paper' / 'report' / 'index.html'}"
    lines = printed.err.splitlines()
    assert sum(line.startswith("not filled: heatmaps on 9 of 9 pages") for line in lines) == 1
    assert len({line.split()[2] for line in lines}) == len(lines)  # one a section


def test_an_empty_runs_folder_gives_a_whole_report(tmp_path, capsys):
    assert page("--runs", tmp_path / "nothing yet") == 0
    report = tmp_path / "nothing yet" / "mini" / "report"
    cell_page = pages(report)
    assert [one.problems for one in cell_page] == [[]] * 35
    assert "No comparison of these runs is finished." in Page(report / "index.html").text
    assert "No run is finished." in Page(report / "cells" / "cub-deit_tiny.html").text


def test_without_seeds_every_seed_that_has_a_folder_is_shown(sweep):
    assert seeds_on_disk((sweep,), "paper") == (0, 1, 2)
    assert seeds_on_disk((sweep / "none",), "paper") == (0,)
    (sweep / "mini" / "duke" / "vit_base" / "dcal" / "seed7").mkdir(parents=True)
    (sweep / "mini" / "duke" / "vit_base" / "dcal" / "seed8.stale-20260101-000000").mkdir()
    assert seeds_on_disk((sweep,), "mini") == (0, 1, 7)


def test_only_the_seeds_asked_for_are_shown(sweep):
    assert page("--profile", "paper", "--runs", sweep, "--seeds", "1") == 0
    cell_page = Page(sweep / "paper" / "report" / "cells" / "cub-deit_tiny.html")
    assert [cells[0] for cells in cell_page.table("numbers")] == ["baseline, seed 1", "+ DCAL, seed 1"]


def test_records_of_several_folders_are_merged_and_conflicts_shown(sweep, tmp_path):
    other = tmp_path / "the other's"
    shutil.copytree(sweep / "paper" / "veri", other / "paper" / "veri")
    shutil.rmtree(sweep / "paper" / "veri" / "deit_tiny" / "dcal")
    result = other / "paper" / "veri" / "deit_tiny" / "baseline" / "seed0" / "result.json"
    record = json.loads(result.read_text())
    record["metrics"]["R5"] = 12.5
    record["provenance"]["finished"] = "2025-01-01T00:00:00+00:00"
    result.write_text(json.dumps(record))
    assert page("--profile", "paper", "--runs", f"'{sweep}' \"{other}\"") == 0
    index = Page(sweep / "paper" / "report" / "index.html")
    assert "Records that contradict each other" in index.text
    assert index.text.count("veri/deit_tiny/baseline/seed0: two valid records differ (R5") == 1
    assert not (other / "paper" / "report").exists()
    heatmaps = Page(sweep / "paper" / "report" / "cells" / "veri-deit_tiny.html").commands[-2]
    (runs,) = (word for word in shlex.split(heatmaps) if word.startswith("RUNS="))
    assert options.folders(runs.removeprefix("RUNS=")) == (sweep, other)
    (row,) = [cells for cells in index.table("table2-rows") if cells[:2] == ["VeRi-776 · DeiT-Tiny", "mAP"]]
    assert row[-3:] == ["yes", "reproduced", "done"]


DAMAGED = {  # run → the file that is torn
    "cub/deit_tiny/dcal/seed0": "config.json",
    "cub/deit_tiny/dcal/seed1": "result.json",
    "cub/deit_tiny/baseline/seed2": "history.jsonl",
    "cub/deit_small/dcal/seed1": "predictions.npz",
    "veri/deit_tiny/dcal/seed0": "log.txt",
    "veri/deit_tiny/dcal/seed1": "heartbeat.json",
    "market/deit_small/dcal/seed0": "predictions.npz",
}


def test_damaged_files_cost_their_own_part_only(sweep):
    for run, name in DAMAGED.items():
        (sweep / "paper" / run / name).write_bytes(b'{"torn": \xff\x00')
    assert page("--profile", "paper", "--runs", sweep) == 0
    cell_page = pages(sweep / "paper" / "report")
    assert [one.problems for one in cell_page] == [[]] * 35
    states = {}
    for run in DAMAGED:
        dataset, backbone, method, seed = run.split("/")
        rows = Page(sweep / "paper" / "report" / "cells" / f"{dataset}-{backbone}.html").table("numbers")
        name = f"{'+ DCAL' if method == 'dcal' else method}, seed {seed[-1]}"
        states[run] = next(cells[1] for cells in rows if cells[0] == name)
    assert {run for run, state in states.items() if state != "done"} == {"cub/deit_tiny/dcal/seed1"}
    index = Page(sweep / "paper" / "report" / "index.html")
    (small,) = [cells for cells in index.table("table1-rows") if cells[0] == "CUB · DeiT-Small"]
    assert small[-3] == "open: predictions lacking"


def test_damaged_records_of_figures_count_as_none(sweep):
    texts = ["[]", "{}", '{"identity": 3, "files": "x", "rows": [1], "caption": null, "measures": 7}', "{"]
    pairs = [("cub", "deit_tiny"), ("cub", "deit_small"), ("cars", "deit_tiny"), ("market", "deit_small")]
    for (dataset, backbone), text in zip(pairs, texts, strict=True):
        folder = sweep / "paper" / "figures" / dataset / backbone
        folder.mkdir(parents=True)
        (folder / "heatmaps.json").write_text(text)
        (folder / "attention.json").write_text(text)
    assert page("--profile", "paper", "--runs", sweep) == 0
    for dataset, backbone in pairs:
        cell_page = Page(sweep / "paper" / "report" / "cells" / f"{dataset}-{backbone}.html")
        heatmaps, attention = cell_page.commands[-2:]
        assert heatmaps.startswith("make heatmaps")
        assert attention.startswith("make attention")


def test_a_figure_of_these_runs_with_damaged_values_or_pictures_costs_itself_only(sweep):
    leave_figures(sweep)
    folder = sweep / "paper" / "figures" / "/".join(DRAWN)
    record = json.loads((folder / "heatmaps.json").read_text())
    record["rows"][0]["baseline"]["correct"] = []
    (folder / "heatmaps.json").write_text(json.dumps(record))
    measured = json.loads((folder / "attention.json").read_text())
    measured["measures"]["entropy"]["dcal"] = 10**400
    (folder / "attention.json").write_text(json.dumps(measured))
    assert page("--profile", "paper", "--runs", sweep) == 0
    cell = sweep / "paper" / "report" / "cells" / f"{'-'.join(DRAWN)}.html"
    assert Page(cell).table("heatmap-rows")[0][4].startswith("no true match")
    assert Page(cell).table("attention")[0][1:3] == ["4.5", ""]
    (folder / "heatmaps.webp").write_bytes(b"torn")
    assert page("--profile", "paper", "--runs", sweep) == 0
    assert f"No heatmaps: a picture in {folder} is damaged" in Page(cell).text


def test_written_tables_are_linked(sweep):
    tables = sweep / "mini" / "tables"
    tables.mkdir()
    (tables / "table1.md").write_text("a table")
    assert page("--runs", sweep) == 0
    index = Page(sweep / "mini" / "report" / "index.html")
    assert [target for target in index.attributes("a", "href") if "tables" in target] == [
        "../tables/table1.md"
    ]


# Which heatmaps are shown and drawn


@pytest.fixture
def figure_requests(sweep, monkeypatch):
    """The sweep with one pair's figure, and a list of the pairs that are drawn."""
    leave_figures(sweep)
    pair_ids = []

    def draw_many(pairs, processes):
        pair_ids.extend(pair.id for pair in pairs)
        return {pair.id: "not drawn in a test" for pair in pairs}

    monkeypatch.setattr(figures, "draw_many", draw_many)
    return sweep, pair_ids


def with_pictures(runs):
    assert main(["page", "--profile", "paper", "--runs", str(runs), "--pictures"]) == 0
    return Page(runs / "paper" / "report" / "cells" / "veri-deit_tiny.html")


def test_missing_figures_of_finished_pairs_are_drawn_and_others_kept(figure_requests):
    runs, pair_ids = figure_requests
    cell_page = with_pictures(runs)
    assert "../figures/veri-deit_tiny-heatmaps.webp" in cell_page.attributes("img", "src")
    assert "veri/deit_tiny/seed0" not in pair_ids
    assert "cub/deit_tiny/seed0" in pair_ids
    assert "cub/deit_base/seed0" not in pair_ids  # DCAL is still running
    other = Page(runs / "paper" / "report" / "cells" / "cub-deit_tiny.html")
    assert "No heatmaps: not drawn in a test" in other.text


@pytest.mark.parametrize(
    ("name", "value", "is_kept"),
    [("picks", "list=3; seed 0", True), ("layers", [1, 5], True), ("runs", {}, False), ("version", 0, False)],
)
def test_a_figure_of_other_pictures_is_kept_and_one_of_other_runs_drawn_anew(
    figure_requests, name, value, is_kept
):
    runs, pair_ids = figure_requests
    path = runs / "paper" / "figures" / "veri" / "deit_tiny" / "heatmaps.json"
    record = json.loads(path.read_text())
    record["identity"][name] = value
    path.write_text(json.dumps(record))
    cell_page = with_pictures(runs)
    assert ("../figures/veri-deit_tiny-heatmaps.webp" in cell_page.attributes("img", "src")) == is_kept
    assert ("veri/deit_tiny/seed0" in pair_ids) == (not is_kept)


def test_an_attention_measure_of_other_runs_is_not_shown(figure_requests):
    runs, _ = figure_requests
    path = runs / "paper" / "figures" / "veri" / "deit_tiny" / "attention.json"
    record = json.loads(path.read_text())
    record["runs"]["dcal"] = "c" * 64
    path.write_text(json.dumps(record))
    cell_page = with_pictures(runs)
    assert cell_page.table("attention") == []
    assert "Attention was measured of other runs than these." in cell_page.text
