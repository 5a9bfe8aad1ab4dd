"""Two benches side by side, and files that are none."""

import json
import subprocess
import sys

import pytest

from benchmark.bench import compare, document
from benchmark.bench.rows import Row
from benchmark.provenance import ROOT


def bench(folder, rows, **machine):
    """A bench's folder."""
    top = {
        "format": document.FORMAT,
        "cpu": "EPYC",
        "cores": 2,
        "commit": "a" * 40,
        "started": "2024-01-01T00:00:00+00:00",
        "versions": {"python": "3.11.1", "torch": "2.9.0"},
    }
    folder.mkdir()
    written = {**top, **machine, "rows": [row.record() for row in rows]}
    (folder / document.NAME).write_text(json.dumps(written))
    return folder


def step(ours, timm, **options):
    return Row("training", "DeiT-Tiny", "step", "s", [ours], [timm], "timm", cost=True, **options)


def line_of(text, word):
    (line,) = [line for line in text.splitlines() if word in line]
    return line


def compared(capsys, a, b):
    assert compare.main([str(a), str(b)]) == 0
    return capsys.readouterr().out


def test_a_row_shows_both_values_and_ratios_and_how_they_changed(tmp_path, capsys):
    before = bench(tmp_path / "a", [step(10.0, 4.0)])
    after = bench(tmp_path / "b", [step(6.0, 3.0)])
    cells = line_of(compared(capsys, before, after / document.NAME), "training").split("  ")
    cells = [cell.strip() for cell in cells if cell.strip()]
    assert cells == [
        "training", "DeiT-Tiny", "step", "timm", "10 s", "6 s", "0.60", "ours/other", "2.5", "2", "0.80",
    ]  # fmt: skip


def test_rows_of_one_bench_only_are_named(tmp_path, capsys):
    more = Row("input", "JPEGs", "training view", "ms", [2.0])
    text = compared(
        capsys, bench(tmp_path / "a", [step(1.0, 1.0), more]), bench(tmp_path / "b", [step(1.0, 1.0)])
    )
    assert "in A only:\n  input / JPEGs / training view / –\n" in text
    assert "in B only" not in text


def test_the_same_quantity_against_two_others_is_two_rows(tmp_path, capsys):
    rows = [
        Row("rollout", "N = 785", "time", "s", [1.0], [other], name)
        for name, other in (("product", 3.0), ("fused", 2.0))
    ]
    text = compared(capsys, bench(tmp_path / "a", rows), bench(tmp_path / "b", rows))
    assert line_of(text, "product").split()[-3:] == ["3", "3", "1.00"]
    assert line_of(text, "fused").split()[-3:] == ["2", "2", "1.00"]


def test_a_row_that_was_not_compared_in_both_has_no_ratio_of_ratios(tmp_path, capsys):
    alone = Row("starting", "204 runs", "list", "s", [0.4])
    text = compared(capsys, bench(tmp_path / "a", [alone]), bench(tmp_path / "b", [alone]))
    assert line_of(text, "starting").split()[-5:] == ["0.4", "s", "0.4", "s", "1.00"]


def test_other_machines_versions_and_code_are_told(tmp_path, capsys):
    before = bench(tmp_path / "a", [])
    same = compared(capsys, before, before)
    assert "same machine, same versions, same code" in same
    versions = {"python": "3.11.1", "torch": "2.10.0", "timm": "1.0.27"}
    after = bench(tmp_path / "b", [], cpu="Xeon", gpu="H200", versions=versions, commit="b" * 40)
    text = compared(capsys, before, after)
    assert "same machine" not in text
    assert "cpu: EPYC → Xeon" in text
    assert "gpu: unknown → H200" in text
    assert "torch: 2.9.0 → 2.10.0" in text
    assert "timm: unknown → 1.0.27" in text
    assert f"commit: {'a' * 40} → {'b' * 40}" in text
    assert "python:" not in text
    assert "cores:" not in text


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (None, "no such file"),
        ("{", "is no JSON"),
        ("[1]", "no bench.json of this bench"),
        ('{"rows": []}', "no bench.json of this bench"),
        ('{"format": 1, "rows": [{"benchmark": "x"}]}', "no bench.json of this bench"),
    ],
)
def test_what_is_no_bench_is_an_error_that_names_the_file(tmp_path, capsys, content, complaint):
    good = bench(tmp_path / "good", [])
    (tmp_path / "bad").mkdir()
    if content is not None:
        (tmp_path / "bad" / document.NAME).write_text(content)
    assert compare.main([str(good), str(tmp_path / "bad")]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert complaint in said.err
    assert str(tmp_path / "bad" / document.NAME) in said.err


def test_a_folder_with_a_gpus_file_alone_means_that_one(tmp_path, capsys):
    folder = bench(tmp_path / "a", [step(1.0, 1.0)])
    (folder / document.NAME).rename(folder / "bench-cuda.json")
    assert line_of(compared(capsys, folder, folder / "bench-cuda.json"), "training").endswith("1.00")


def test_a_folder_with_a_cpus_and_a_gpus_file_is_refused_until_one_is_named(tmp_path, capsys):
    folder = bench(tmp_path / "a", [step(1.0, 1.0)])
    (folder / "bench-cuda.json").write_bytes((folder / document.NAME).read_bytes())
    assert compare.main([str(folder), str(folder)]) == 2
    assert "bench.json and bench-cuda.json" in capsys.readouterr().err
    compared(capsys, folder / document.NAME, folder / "bench-cuda.json")


def test_a_comparison_never_loads_torch(tmp_path):
    code = (
        "import sys; from benchmark.bench import compare; status = compare.main(sys.argv[1:]); "
        "sys.exit(status or 'torch' in sys.modules)"
    )
    folder = str(bench(tmp_path / "a", [step(1.0, 1.0)]))
    assert subprocess.run([sys.executable, "-c", code, folder, folder], cwd=ROOT).returncode == 0
