"""Table, differences and plot of corrupted pictures, from made-up outcomes."""

import csv
import io
import json

import numpy as np
import pytest

from benchmark.commands.predict import run_reports
from reports.__main__ import main
from reports.robustness import figure, record, table

CONDITIONS = [("", 0.0), ("jpeg", 50.0), ("jpeg", 10.0), ("noise", 0.1)]
RUNS = [("baseline", 0), ("dcal", 0), ("baseline", 1), ("dcal", 1), ("dcal", 2)]


def write(folder, task="fgvc", runs=RUNS, change=None):
    """A record of 400 pictures, or 40 queries of which the last 4 have nothing to find; returns its outcomes."""
    rng = np.random.default_rng(1)
    size = 400 if task == "fgvc" else 40
    shape = (len(runs), len(CONDITIONS), size)
    if task == "fgvc":
        arrays = {"labels": rng.integers(0, 5, size), "both_correct": rng.random(shape) < 0.6}
        counted, names = np.ones(size, bool), {"top1": "both_correct"}
    else:
        counted = np.arange(size) < 36
        hits = np.where(counted, rng.integers(1, 4, shape), 0)
        arrays = {
            "identities": np.arange(size), "cameras": np.ones(size, int), "both_first_hit": hits,
            "both_ap": np.where(counted, rng.random(shape), 0), "both_rank1_correct": hits == 1,
        }  # fmt: skip
        names = {"mAP": "both_ap", "R1": "both_rank1_correct"}
    about = {
        "schema": 1, "profile": "mini", "dataset": "cub", "backbone": "deit_tiny", "task": task, "pictures": "some",
        "input": [64, 64],
        "conditions": [{"kind": kind, "level": level, "unit": "a unit"} for kind, level in CONDITIONS],
        "runs": [
            {"method": method, "seed": seed, "metrics": [
                {name: 100 * float(arrays[array][place, condition][counted].mean()) for name, array in names.items()}
                for condition in range(len(CONDITIONS))
            ]}
            for place, (method, seed) in enumerate(runs)
        ],
    }  # fmt: skip
    if change:
        change(about, arrays)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "robustness.json").write_text(json.dumps(about))
    np.savez_compressed(folder / "robustness.npz", **arrays)
    return arrays


def test_a_difference_is_the_mean_over_the_seeds_that_both_have(tmp_path):
    result = write(tmp_path)["both_correct"]
    read = record.read(tmp_path)
    for condition in range(len(CONDITIONS)):
        made = record.paired_difference(read, "dcal", "top1", condition)
        by_seed = [
            result[new, condition].mean() - result[old, condition].mean() for old, new in ((0, 1), (2, 3))
        ]
        assert made.seeds == (0, 1)
        assert made.difference == pytest.approx(100 * np.mean(by_seed))
        # The normal interval of a mean of 400 values, with chance's own spread in the bootstrap's.
        each = (
            result[1, condition] * 1.0 - result[0, condition] + result[3, condition] - result[2, condition]
        ) / 2
        half = 196 * each.std() / 20
        assert made.interval.low == pytest.approx(made.difference - half, abs=0.15 * half)
        assert made.interval.high == pytest.approx(made.difference + half, abs=0.15 * half)


def test_queries_that_have_nothing_to_find_do_not_count(tmp_path):
    result = write(tmp_path, "reid", RUNS[:2])
    read = record.read(tmp_path)
    made = record.paired_difference(read, "dcal", "mAP", 2)
    ap = result["both_ap"][:, 2, :36]
    assert made.difference == pytest.approx(100 * (ap[1] - ap[0]).mean())
    assert read.outcomes["R1"].shape == (2, 4, 36)


def test_the_table_has_a_row_for_each_condition_and_means_over_seeds(tmp_path):
    result = write(tmp_path)["both_correct"]
    read = record.read(tmp_path)
    assert table.headings(read) == [
        "Pictures",
        "baseline top-1",
        "DCAL top-1",
        "DCAL − baseline",
        "95 % interval",
    ]
    rows = table.rows(read)
    assert [row[0] for row in rows] == ["as they are", "jpeg 50", "jpeg 10", "noise 0.1"]
    for condition, row in enumerate(rows):
        assert row[1] == f"{100 * result[[0, 2], condition].mean():.1f}"
        assert row[2] == f"{100 * result[[1, 3, 4], condition].mean():.1f}"
    text = table.markdown(read)
    assert "baseline seeds 0, 1; DCAL seeds 0, 1, 2" in text
    assert text.startswith("**Profile mini is not the paper's recipe")


def test_the_csv_holds_every_run_unrounded(tmp_path):
    result = write(tmp_path)["both_correct"]
    rows = list(csv.DictReader(io.StringIO(table.csv_text(record.read(tmp_path)))))
    assert len(rows) == len(CONDITIONS) * (len(RUNS) + 1)
    (row,) = (
        r for r in rows if (r["kind"], r["level"], r["method"], r["seeds"]) == ("jpeg", "10", "dcal", "2")
    )
    assert float(row["value"]) == 100 * result[4, 2].mean()


def test_models_without_a_baseline_have_no_differences(tmp_path):
    write(tmp_path, runs=[("dcal", 0), ("glca", 0)])
    read = record.read(tmp_path)
    assert table.headings(read) == ["Pictures", "DCAL top-1", "GLCA alone top-1"]
    assert figure.draw(read)


def test_the_plot_goes_from_pictures_as_they_are_to_the_hardest(tmp_path):
    result = write(tmp_path)["both_correct"]
    above, _, below, _ = figure.draw(record.read(tmp_path)).axes
    assert [text.get_text() for text in below.get_xticklabels()] == ["as is", "50", "10"]
    lines = {line.get_label(): line.get_ydata() for line in above.lines}
    assert lines["DCAL"] == pytest.approx(100 * result[[1, 3, 4]][:, [0, 1, 2]].mean(axis=(0, 2)))
    assert lines["baseline"] == pytest.approx(100 * result[[0, 2]][:, [0, 1, 2]].mean(axis=(0, 2)))


def _flip(about, arrays):
    arrays["both_correct"][0, 0, 0] ^= True


def _drop(about, arrays):
    about["runs"].pop()


def _older(about, arrays):
    about["schema"] = 0


def _lacking(about, arrays):
    del arrays["both_correct"]


@pytest.mark.parametrize("change", [_flip, _drop, _older, _lacking])
def test_records_that_do_not_belong_together_are_refused(tmp_path, change, capsys):
    write(tmp_path, change=change)
    assert main(["robustness", str(tmp_path)]) == 2
    assert "--corrupt …` again" in capsys.readouterr().err


def test_a_torn_or_missing_record_is_refused(tmp_path, capsys):
    assert main(["robustness", str(tmp_path)]) == 2
    write(tmp_path)
    (tmp_path / "robustness.npz").write_bytes((tmp_path / "robustness.npz").read_bytes()[:500])
    assert main(["robustness", str(tmp_path)]) == 2
    assert "cannot be read together" in capsys.readouterr().err


def test_evaluate_has_reports_drawn_in_a_process_of_its_own(tmp_path, capfd):
    write(tmp_path / "a folder")
    assert run_reports(["robustness", str(tmp_path / "a folder")]) == 0
    assert f"written: {tmp_path}/a folder/robustness.png" in capfd.readouterr().out
    assert run_reports(["robustness", str(tmp_path / "nothing")]) == 2
