"""A forecast of the ablations' cells: a row each, with the baseline beside, and all of them in the totals."""

from benchmark.config.grid import select
from benchmark.config.resolve import load_profile, resolve
from benchmark.records.estimate import Estimate
from benchmark.records.forecasts import Machine
from benchmark.records.workload import step_workload
from benchmark.timing import forecast_table

OF = {
    "baseline": Estimate(10.0, 1.0, 3600.0, 2**30, "compute"),
    "dcal": Estimate(25.0, 2.0, 9000.0, 3 * 2**30, "compute"),
    "glca": Estimate(12.0, 1.0, 4500.0, 2**30, "compute"),
    "pwca_t4": Estimate(16.0, 1.0, 5400.0, 2**30, "compute"),
}
PAIR = ("cub", "deit_tiny")


def told(*methods, published=frozenset({PAIR})):
    of = {method: OF[method] for method in methods}
    return forecast_table.ForecastTable(Machine("cuda", "a device", 0), {PAIR: of}, 1, published)


def rows(one):
    lines = [
        [part.strip() for part in line.split("|")[1:-1]] for line in forecast_table.table(one).splitlines()
    ]
    return {line[0]: line[1:] for line in lines[2:]}


def test_every_variant_has_a_row_with_the_baseline_beside():
    found = rows(told(*OF))
    assert list(found) == [
        "CUB-200-2011 · DeiT-Tiny",
        "CUB-200-2011 · DeiT-Tiny: GLCA alone",
        "CUB-200-2011 · DeiT-Tiny: PWCA alone, T = 4",
    ]
    assert found["CUB-200-2011 · DeiT-Tiny: GLCA alone"][:5] == ["10 s", "12 s", "1.20", "60 min", "75 min"]


def test_the_papers_cost_of_dcal_stands_beside_dcal_alone():
    assert [row[-1] for row in rows(told(*OF)).values()] == ["8.4 / 15.2", "", ""]


def test_a_variant_alone_has_no_row_of_dcal_with_it():
    found = rows(told("glca"))
    assert list(found) == ["CUB-200-2011 · DeiT-Tiny: GLCA alone"]
    assert found["CUB-200-2011 · DeiT-Tiny: GLCA alone"][:3] == ["–", "12 s", "–"]


def test_totals_count_variants_together():
    (line,) = forecast_table.totals(told(*OF))
    assert line.startswith("4 runs (1 seed): 6.25 GPU-hours (baseline 1, dcal 2.5, variants 2.75)")


def test_what_is_measured_says_which_of_the_variants_it_is():
    (glca, pwca) = select(["cub/deit_tiny/glca_r30", "cub/deit_tiny/pwca_t4"])
    texts = [str(step_workload(resolve(cell, 0, load_profile("paper"), {}), 200)) for cell in (glca, pwca)]
    assert [text.split("200 classes, ")[1] for text in texts] == ["GLCA ratio=0.3", "PWCA blocks=4"]
