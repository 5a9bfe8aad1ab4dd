"""The grid has the paper's cells, and patterns select what they say."""

import pytest

from benchmark.config.grid import TABLES, all_cells, select
from benchmark.errors import SettingsError


def test_the_grid_has_68_cells_in_three_tables():
    counts = {key: len(table.cells) for key, table in TABLES.items()}
    assert counts == {"table1": 30, "table2": 32, "extras": 6}
    assert len({cell.id for cell in all_cells()}) == 68


def test_ids_are_readable_and_complete():
    ids = {cell.id for cell in TABLES["table1"].cells}
    assert "cub/deit_tiny/baseline" in ids
    assert "aircraft/r50_vit_base/dcal" in ids
    assert {cell.id for cell in TABLES["extras"].cells} == {
        f"{pair}/{method}"
        for pair in ("cub/cait_xs24", "cub/swin_tiny", "msmt17/swin_tiny")
        for method in ("baseline", "dcal")
    }


@pytest.mark.parametrize(
    ("patterns", "table", "count"),
    [
        (["cub/deit_*/dcal"], "table1", 3),
        (["cub"], "table1", 10),
        (["cub"], None, 14),
        (["*/vit_base"], "table1", 6),
        (["cub/deit_tiny/*", "cub/deit_tiny/dcal"], None, 2),
        ([], "table2", 32),
    ],
)
def test_patterns_select(patterns, table, count):
    assert len(select(patterns, table)) == count


def test_selection_keeps_the_tables_order():
    chosen = select(["aircraft/*", "cub/*"], "table1")
    assert [cell for cell in TABLES["table1"].cells if cell in chosen] == list(chosen)


@pytest.mark.parametrize("pattern", ["cub/deit_tinny/dcal", "CUB", "cub/deit_tiny/dcal/seed0", "nothing"])
def test_a_pattern_that_selects_nothing_is_refused_with_a_hint(pattern):
    with pytest.raises(SettingsError, match="matches none of the 30 cells"):
        select([pattern], "table1")


def test_the_nearest_cell_is_named():
    with pytest.raises(SettingsError, match="cub/deit_tiny/dcal"):
        select(["cub/deit_tinny/dcal"])


@pytest.mark.parametrize("pattern", ["my_birds/deit_tiny/dcal", "my-birds"])
def test_who_asks_the_grid_for_a_dataset_of_their_own_is_told_how_it_is_run(pattern):
    with pytest.raises(SettingsError, match=r"make run CELL=my.birds/deit_tiny/dcal"):
        select([pattern], "table1")
    with pytest.raises(SettingsError) as caught:
        select(["cub/deit_tinny"])
    assert "make run" not in str(caught.value)


def test_an_unknown_table_is_refused():
    with pytest.raises(SettingsError, match="expected one of table1, table2, extras"):
        select([], "table3")


@pytest.mark.parametrize(
    ("pattern", "table", "said"),
    [
        ("deit_tiny", "table1", "did you mean '*/deit_tiny'."),
        ("deit_tiny/dcal", None, "did you mean '*/deit_tiny/dcal'."),
        ("dcal", "table2", "did you mean '*/*/dcal'."),
        ("CUB/deit_tiny", "table1", "did you mean 'cub/deit_tiny'."),
        ("cub/DeiT-Tiny", "table1", "did you mean 'cub/deit_tiny'."),
        ("VeRi_776", "table2", "did you mean 'veri'."),
        ("cub/deit_tiny_patch16_224", "table1", "did you mean 'cub/deit_tiny'."),
        ("cub/deit_tiny/dcal/seed1", None, "did you mean 'cub/deit_tiny/dcal', with SEEDS for the seed"),
        ("veri/deit_tiny", "table1", "of Table 1: that is in Table 2: make table2 (TABLE=table2)."),
        ("veri", "table1", "of Table 1: that is in Table 2: make table2 (TABLE=table2)."),
        ("*/cait_xs24", "table1", "that is in More Transformer Baselines: make extras (TABLE=extras)."),
        ("cub/deit_tiny/glca_r*", "table1", "that is in the ablations: make ablations (TABLE=ablations)."),
        ("VERI/deit_tiny", "table1", "did you mean 'veri/deit_tiny', that is in Table 2: make table2"),
        ("cars/cait_xs24", None, "no table has CaiT-XS24 on Stanford Cars; it has cub/cait_xs24"),
        ("cub/vit_small", "table1", "there is no backbone 'vit_small', there are deit_tiny, deit_small,"),
        ("vit_small", None, "no dataset, backbone or method is called 'vit_small'"),
        (
            "cub/deit_tiny/dcall",
            None,
            "no method 'dcall', there are baseline, dcal and those of the ablations",
        ),
    ],
)
def test_what_a_pattern_without_cells_was_meant_to_be_is_said(pattern, table, said):
    with pytest.raises(SettingsError) as refused:
        select([pattern], table)
    assert said in str(refused.value)


@pytest.mark.parametrize(
    "pattern", ["deit_tiny", "dcal", "CUB", "cub/DeiT-Tiny", "Market1501/vit_base/baseline"]
)
def test_what_is_suggested_selects_cells(pattern):
    with pytest.raises(SettingsError) as refused:
        select([pattern])
    suggested = str(refused.value).partition("did you mean '")[2].partition("'")[0]
    assert select([suggested])
