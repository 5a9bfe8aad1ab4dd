"""Files of the ablations: exact text, LaTeX compilation, the command that writes them.

After an intended change: ``TABLES_WRITE_GOLDEN=1 python -m pytest tests/tables/test_ablation_exports.py``, then read
the difference before committing it. Whether the numbers are right is tested in test_ablation_rows.py.
"""

import csv
import io
import os
import subprocess
import sys
from functools import cache
from html import unescape
from pathlib import Path

import pytest
from ablation_runs import ablation, grid, some_of_each
from test_latex_compiles import check, log  # noqa: F401 (a fixture)

from benchmark.records import forecasts, merge
from benchmark.records.forecasts import GLCACost, Overheads
from tables.__main__ import main
from tables.ablations import layout
from tables.ablations.layout import build
from tables.exports import html, latex, markdown

ROOT = Path(__file__).parents[2]
GOLDEN = Path(__file__).parent / "golden"
REGENERATE = "TABLES_WRITE_GOLDEN=1 python -m pytest tests/tables/test_ablation_exports.py"
OVERHEADS = Overheads(
    {
        ("cub", "deit_tiny"): GLCACost(5_000_000, 400_000, 4_000_000_000, 60_000_000, 700_000_000),
        ("veri", "vit_base"): GLCACost(86_000_000, 7_000_000, 22_000_000_000, 750_000_000, 500_000_000),
    },
    {},
)
KINDS = {"paper": "full", "mini": "generated"}


@cache
def built(profile):
    runs = some_of_each(profile, KINDS[profile])
    return build(
        profile, runs, overheads=OVERHEADS, conflicts=("cub/deit_tiny/glca/seed0: two records differ",)
    )


GOLDEN_FILES = {
    ("mini", "md"): lambda result: markdown.render_markdown(result.layout),
    ("mini", "tex"): lambda result: latex.render(result.layout),
    ("paper", "csv"): lambda result: layout.render(result.ablations, result.overheads),
    ("paper", "txt"): lambda result: markdown.render_text(result.layout),
}


@pytest.mark.parametrize(("profile", "suffix"), GOLDEN_FILES)
def test_the_export_equals_its_golden_file(profile, suffix):
    rendered = GOLDEN_FILES[profile, suffix](built(profile)).replace("\r\n", "\n")
    path = GOLDEN / f"ablations_{profile}.{suffix}"
    if os.environ.get("TABLES_WRITE_GOLDEN"):
        path.write_text(rendered, encoding="utf-8")
    golden = path.read_text(encoding="utf-8") if path.exists() else ""
    assert rendered == golden, f"{path.name} differs; if that is intended: {REGENERATE}"


def test_the_latex_compiles_and_fits(log):  # noqa: F811
    check(log(latex.render(built("mini").layout)))


@pytest.mark.parametrize(
    "render", [markdown.render_markdown, latex.render, html.render, markdown.render_text]
)
def test_every_export_warns_first_and_marks_the_paper_s_columns(render):
    text = render(built("mini").layout)
    assert "NOT comparable" in text[:900]
    assert "paper*" in text.replace("\\", "")
    assert "difference" not in [cell.strip() for line in text.splitlines() for cell in line.split("|")]


def test_the_html_has_every_group_once():
    text = unescape(html.render(built("paper").layout))
    for title in built("paper").ablations.groups:
        assert text.count(f"<h2>{title}</h2>") == 1


def test_a_column_that_the_paper_leaves_empty_is_left_out():
    tables = {table.title: table for table in built("paper").layout.side_tables}
    assert tables["Sweep: PWCA blocks T, PWCA alone"].headings == (
        "top-1, in %", "measured", "gain", "95 % interval", "helps?",
    )  # fmt: skip
    assert tables["Components: CUB, DeiT-Tiny"].headings == (
        "top-1, in %", "paper", "measured", "difference", "paper's gain", "gain", "95 % interval", "helps?", "reached?",
    )  # fmt: skip


def test_the_csv_has_a_line_a_number_and_a_line_a_gain():
    lines = list(csv.DictReader(io.StringIO(layout.render(built("paper").ablations, OVERHEADS))))
    rows = [line for line in lines if line["row"] == "random local queries"]
    assert [line["compared_with"] for line in rows] == ["", "cub/deit_tiny/baseline", "cub/deit_tiny/glca"]
    assert [float(line["published"]) for line in rows] == [82.6, 0.5, -0.5]
    assert [float(line["measured_mean"]) for line in rows] == [100 * 318.5 / 400, 4.5, 0.0]
    percentages = [
        float(line["measured_mean"]) for line in lines if line["group"].startswith("GLCA's overhead")
    ]
    assert percentages == pytest.approx([8.0, 1.5, 17.5, 100 * 7 / 86, 100 * 0.75 / 22, 100 * 0.5 / 22])
    assert {line["n"] for line in lines} == {"0", "1", "2", ""}


def test_the_csv_has_the_paper_s_number_in_the_row_alone_that_it_is_given_for():
    lines = list(csv.DictReader(io.StringIO(layout.render(built("paper").ablations, OVERHEADS))))
    rows = [line for line in lines if line["row"] in ("GLCA only", "R = 10 %")]
    assert {line["method"] for line in rows} == {"glca"}
    values = [tuple(line[name] for name in ("published", "difference", "reached")) for line in rows]
    assert all(values[0])
    assert values[1][:2] == ("1.0", "3.5")
    assert values[2:] == [("", "", "")] * 2


@pytest.fixture
def merged_runs(monkeypatch):
    """Result of merge.collect, which the test may change."""
    merged = {"runs": tuple(some_of_each())}
    monkeypatch.setattr(
        merge,
        "collect",
        lambda folders, **arguments: merge.MergedRuns(merged["runs"], (), {}) if arguments["table"] else None,
    )
    return merged


def test_the_command_prints_the_table_and_writes_its_files(tmp_path, merged_runs, capsys):
    assert main(["ablations", "--runs", str(tmp_path), "--seeds", "0 1"]) == 0
    assert "GLCA against its alternatives" in capsys.readouterr().out
    files = sorted(path.name for path in (tmp_path / "mini" / "tables").iterdir())
    assert files == ["ablations.csv", "ablations.html", "ablations.md", "ablations.tex"]


def test_without_an_ablation_run_nothing_is_written_and_nothing_fails(tmp_path, merged_runs, capsys):
    merged_runs["runs"] = tuple(grid(ablation("baseline", 300), ablation("dcal", 320)))
    assert main(["ablations", "--runs", str(tmp_path)]) == 0
    assert (
        capsys.readouterr().out
        == "no ablation is run there: make ablations runs them and prints their table\n"
    )
    assert not list(tmp_path.iterdir())


def test_the_overhead_is_the_first_folder_s_that_has_one(tmp_path, merged_runs, capsys, monkeypatch):
    for name in ("mine", "hers"):
        (tmp_path / name).mkdir()
    paths = {forecasts.glca_cost_path(tmp_path / "hers", "mini"): OVERHEADS}
    monkeypatch.setattr("tables.side_tables.read_glca_cost", paths.get)
    assert main(["ablations", "--runs", f"{tmp_path}/mine {tmp_path}/hers"]) == 0
    assert "multiply-adds        2       1.50" in capsys.readouterr().out


def test_the_command_reads_run_folders_without_torch(tmp_path):
    code = (
        "import sys; from tables.__main__ import main; "
        f"status = main(['ablations', '--profile', 'paper', '--runs', {str(tmp_path)!r}]); "
        "sys.exit(status or 10 * ('torch' in sys.modules))"
    )
    process = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert (process.returncode, process.stderr) == (0, "")
