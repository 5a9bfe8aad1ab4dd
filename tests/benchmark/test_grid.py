"""The grid has the paper's cells, and patterns select what they say."""

import pytest

from benchmark.errors import SettingsError
from benchmark.grid import TABLES, all_cells, select


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
