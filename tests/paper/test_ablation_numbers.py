"""The ablation rows against the paper's statements, written out here once more."""

from collections import Counter

from benchmark.config import paper
from benchmark.config.ablations import ROWS, SWEEPS

CUB, VERI = "cub/deit_tiny", "veri/vit_base"
STATED = {  # (cell, metric) → percent
    (f"{CUB}/baseline", "top1"): 82.1,
    (f"{CUB}/glca", "top1"): 83.1,
    (f"{CUB}/glca_local", "top1"): 82.6,
    (f"{CUB}/glca_random", "top1"): 82.6,
    (f"{CUB}/glca_attention", "top1"): 82.8,
    (f"{CUB}/dcal", "top1"): 84.6,
    (f"{CUB}/dcal", "sa_top1"): 84.3,
    (f"{VERI}/baseline", "mAP"): 78.1,  # Table 2's
    (f"{VERI}/dcal", "mAP"): 80.2,
    (f"{VERI}/dcal", "sa_mAP"): 80.1,
}


def test_every_stated_number_has_its_row_and_no_other_row_has_one():
    found = {(row.cell, row.metric): row.published for row in ROWS if row.published is not None}
    assert found == STATED


def test_no_number_stands_in_two_groups_but_glcas_own_beside_its_alternatives():
    places = Counter((row.cell, row.metric) for row in ROWS if row.published is not None)
    assert [place for place, count in places.items() if count > 1] == [(f"{CUB}/glca", "top1")]


def test_every_sweep_has_its_curves_points_as_rows_and_the_baseline():
    for sweep in SWEEPS:
        points = [row.cell for row in ROWS if row.title.startswith(f"{sweep.name} = ")]
        assert points == [cell for _, cell in sweep.points]
        assert sweep.baseline == f"{CUB}/baseline"


def test_the_stated_cost_of_glca():
    """9 % of the parameters and 2 % of the multiply-adds on CUB, 8 % and 3 % on VeRi-776."""
    told = {(one.dataset, one.backbone): one for one in paper.OVERHEADS}
    assert (told["cub", "deit_tiny"].parameters, told["cub", "deit_tiny"].multiply_adds) == (9, 2)
    assert (told["veri", "vit_base"].parameters, told["veri", "vit_base"].multiply_adds) == (8, 3)
    assert len(told) == 2
