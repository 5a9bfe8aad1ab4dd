"""benchmark/config/paper.py against a transcript of the paper that is parsed here, on its own terms."""

import re
from collections import Counter
from pathlib import Path

import pytest

from benchmark.config import paper
from benchmark.config.grid import TABLES, all_cells

TRANSCRIPT = (Path(__file__).parent / "paper_tables.md").read_text(encoding="utf-8")
BACKBONES = {
    "DeiT-Tiny": "deit_tiny",
    "DeiT-Small": "deit_small",
    "DeiT-Base": "deit_base",
    "ViT-Base": "vit_base",
    "R50-ViT-Base": "r50_vit_base",
    "CaiT-XS24": "cait_xs24",
    "Swin-T": "swin_tiny",
}
DATASETS = {
    "CUB": "cub",
    "CAR": "cars",
    "AIR": "aircraft",
    "VeRi-776": "veri",
    "MSMT17": "msmt17",
    "MSMT": "msmt17",
    "Market1501": "market",
    "DukeMTMC": "duke",
}


def table_rows(first_heading):
    """The cells of the Markdown table that starts with this heading, line by line."""
    block = TRANSCRIPT[TRANSCRIPT.index(first_heading) :].split("\n\n")[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in block.splitlines()]
    return [row for row in rows if not set("".join(row)) <= {"-"}]


def transcript_numbers():
    """{(table, dataset, backbone, method, metric): value} from the transcript."""
    numbers = {}
    for row in table_rows("| Method        | Backbone")[2:]:
        method = "dcal" if "DCAL" in row[0] else "baseline"
        for dataset, value in zip(["cub", "cars", "aircraft"], row[2:], strict=True):
            numbers["table1", dataset, BACKBONES[row[1]], method, "top1"] = float(value)
    datasets, metrics, *rows = table_rows("| Method                       | VeRi")
    for row in rows:
        method = "dcal" if "DCAL" in row[0] else "baseline"
        backbone = BACKBONES[row[0].split(" + ")[0]]
        for position in range(1, 9):
            dataset = DATASETS[datasets[position] or datasets[position - 1]]
            metric = metrics[position].removesuffix(" (%)")
            numbers["table2", dataset, backbone, method, metric] = float(row[position])
    text = " ".join(TRANSCRIPT[TRANSCRIPT.index("### More") :].split())
    top1 = r"(\S+) obtains ([\d.]+)% while our method obtains ([\d.]+)% top-1 accuracy on (\w+)"
    for name, before, after, column in re.findall(top1, text):
        numbers["extras", DATASETS[column], BACKBONES[name], "baseline", "top1"] = float(before)
        numbers["extras", DATASETS[column], BACKBONES[name], "dcal", "top1"] = float(after)
    for column, name, before, after in re.findall(
        r"on (\w+), (\S+) achieves ([\d.]+)% while we achieve ([\d.]+)% mAP", text
    ):
        numbers["extras", DATASETS[column], BACKBONES[name], "baseline", "mAP"] = float(before)
        numbers["extras", DATASETS[column], BACKBONES[name], "dcal", "mAP"] = float(after)
    return numbers


def test_every_number_equals_the_transcript_both_ways():
    ours = {(n.table, n.dataset, n.backbone, n.method, n.metric): n.value for n in paper.PUBLISHED}
    assert ours == transcript_numbers()


def test_there_are_100_numbers_and_none_twice():
    assert Counter(number.table for number in paper.PUBLISHED) == {"table1": 30, "table2": 64, "extras": 6}
    assert len({(n.dataset, n.backbone, n.method, n.metric) for n in paper.PUBLISHED}) == 100


def test_every_grid_cell_has_its_numbers_and_no_number_lacks_a_cell():
    cells = all_cells()
    assert len(cells) == 68
    for cell in cells:
        metrics = paper.metrics(cell.table, cell.dataset)
        assert metrics
        for metric in metrics:
            assert paper.published(cell.dataset, cell.backbone, cell.method, metric) is not None
    places = {(cell.table, cell.dataset, cell.backbone, cell.method) for cell in cells}
    assert {(n.table, n.dataset, n.backbone, n.method) for n in paper.PUBLISHED} == places


def test_the_metrics_of_a_dataset_depend_on_the_table():
    assert paper.metrics("table1", "cub") == ("top1",)
    assert paper.metrics("table2", "msmt17") == ("mAP", "R1")
    assert paper.metrics("extras", "msmt17") == ("mAP",)
    assert {number.table for number in paper.PUBLISHED} == set(TABLES)


@pytest.mark.parametrize(
    ("row", "column", "value"),
    [
        ("Baseline + DCAL | R50-ViT-Base", "CAR", 95.3),
        ("ViT-Base + DCAL (Ours)", "DukeMTMC | R1 (%)", 89.0),
        ("Swin-T | our method", "MSMT mAP", 56.7),
    ],
)
def test_row_and_column_are_the_papers_labels(row, column, value):
    assert [n.value for n in paper.PUBLISHED if (n.row, n.column) == (row, column)] == [value]


def test_a_number_the_paper_does_not_give_is_none():
    assert paper.published("msmt17", "swin_tiny", "dcal", "R1") is None
    assert paper.published("cub", "no_such_backbone", "dcal", "top1") is None
