"""Tag and digest of the pretrained weights in every export; different files with one tag are marked."""

import copy
import csv
import dataclasses
import io

import pytest
from synthetic_runs import done, other

from tables.exports import EXPORTS, markdown
from tables.layout import build
from tables.notes import weights_note

TAG = "deit_tiny_patch16_224.fb_in1k"


def run(cell_id="cub/deit_tiny/dcal", seed=0, **weights):
    unchanged = done(cell_id, seed, 84.6)
    result = copy.deepcopy(unchanged.result)
    result["weights"] |= weights
    return dataclasses.replace(unchanged, result=result)


def test_each_tag_is_named_once_with_its_digest():
    runs = [run(seed=seed, sha256="ab" * 32) for seed in (0, 1)]
    runs.append(run("cub/vit_base/dcal", sha256="cd" * 32))
    assert weights_note(runs) == [
        f"pretrained weights: {TAG} (sha256 abababababab), vit_base_patch16_224.orig_in21k (sha256 cdcdcdcdcdcd)"
    ]


def test_a_tag_from_different_files_is_marked():
    runs = [run(seed=0, sha256="ab" * 32), run(seed=1, sha256="ab" * 32), run(seed=2, sha256="cd" * 32)]
    (line,) = weights_note(runs)
    files = "sha256 abababababab in 2, cdcdcdcdcdcd in 1"
    assert line == f"pretrained weights: {TAG} (WARNING, different files in different runs: {files})"


def test_records_that_do_not_say_are_counted():
    silent = run(seed=1)
    del silent.result["weights"]
    (line,) = weights_note([run(sha256="ab" * 32), silent, run(seed=2, sha256="")])
    assert line.endswith(f"{TAG} (sha256 abababababab), not recorded in 2 of 3 runs")


def test_without_a_finished_run_nothing_is_said():
    assert weights_note([other("cub/deit_tiny/dcal", 0, "failed", "why")]) == []


@pytest.mark.parametrize("export", [*EXPORTS, "text"])
def test_every_export_states_tag_and_digest(export):
    layout = build("table1", "paper", [run(sha256="ab" * 32)])
    rendered = markdown.render_text(layout) if export == "text" else EXPORTS[export](layout)
    flat = " ".join(rendered.replace("\\", "").split())
    assert TAG in flat
    assert "abababababab" in flat


def test_the_csv_has_them_with_each_cell():
    rendered = EXPORTS["csv"](build("table1", "paper", [run(sha256="ab" * 32)]))
    rows = csv.DictReader(io.StringIO(rendered, newline=""))
    weights = {row["weights"] for row in rows if (row["backbone"], row["method"]) == ("deit_tiny", "dcal")}
    assert weights == {f"{TAG}@abababababab", ""}  # of CUB, and of the sets without a run
