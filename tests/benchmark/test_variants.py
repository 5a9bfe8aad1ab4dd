"""The ablations' methods: what each fixes, which cells they make, and what SET may change."""

from functools import cache

import pytest

from benchmark.__main__ import main
from benchmark.config import resolve as config
from benchmark.config import show
from benchmark.config.ablations import ROWS, SWEEPS
from benchmark.config.applicability import require_free
from benchmark.config.datasets import DATASETS, DatasetRow
from benchmark.config.grid import TABLES, all_cells, named, select
from benchmark.config.parse import typed
from benchmark.config.variants import VARIANTS
from benchmark.errors import SettingsError
from benchmark.records import status

CUB = "cub/deit_tiny"
SHARED = [f"{pair}/{method}" for pair in (CUB, "veri/vit_base") for method in ("baseline", "dcal")]
HEADER = (
    '[profile]\ntitle = "t"\npictures = "official"\nbackbones = "real"\ncomparable = false\ndevice = "cpu"\n'
)


def ids(*arguments):
    return [cell.id for cell in select(*arguments)]


loaded = cache(config.load_profile)


def resolve(cell_id, profile="paper", overrides=""):
    (cell,) = select([cell_id])
    return config.resolve(cell, 0, loaded(profile), config.parse_overrides(overrides))


def test_every_fixed_setting_is_a_setting_and_every_value_one_of_its_values():
    for variant in VARIANTS.values():
        for name, value in variant.fixed.items():
            assert typed(name, value, variant.key) == value


@pytest.mark.parametrize("profile", config.profiles())
def test_no_two_cells_of_the_ablations_are_the_same_run(profile):
    """Compared are all settings of a run, those that its identity leaves out as switched off included."""
    runs = [resolve(cell.id, profile) for cell in select([], "ablations")]
    assert len(runs) == len(VARIANTS) + 4
    settings = {str((run.cell.dataset, run.cell.method == "baseline", run.settings)) for run in runs}
    assert len(settings) == len({run.hash for run in runs}) == len(runs) == len({run.cell.id for run in runs})


@pytest.mark.parametrize(
    ("method", "glca", "pwca"),
    [("baseline", False, False), ("dcal", True, True), ("glca", True, False), ("pwca", False, True)],
)
def test_components_have_the_branches_their_name_says(method, glca, pwca):
    run = resolve(f"{CUB}/{method}")
    assert (run.glca is not None, run.pwca is not None) == (glca, pwca)


def test_a_variant_alone_has_its_branch_alone():
    for key in VARIANTS:
        run = resolve(f"{CUB}/{key}")
        assert (run.glca is not None) == key.startswith(("glca", "dcal"))
        assert (run.pwca is not None) == key.startswith(("pwca", "dcal"))


def test_the_table_has_every_cell_and_no_other():
    assert {row.cell for row in ROWS} == set(ids([], "ablations"))
    assert {row.reference for row in ROWS if row.reference} <= set(ids([], "ablations"))
    titles = [(row.group, row.title) for row in ROWS]
    assert len(set(titles)) == len(titles)


@pytest.mark.parametrize("profile", config.profiles())
def test_a_sweeps_points_lie_where_their_runs_are(profile):
    amounts = {"R": (1, 5, 10, 30, 50), "M": (1, 2, 3), "T": (1, 4, 8, 12)}
    assert {sweep.name: tuple(x for x, _ in sweep.points) for sweep in SWEEPS} == amounts
    for sweep in SWEEPS:
        for x, cell in sweep.points:
            one_of_64 = (profile, x) == ("mini", 1) and sweep.name == "R"  # 1 % of its patches are none
            assert sweep.x(resolve(cell, profile)) == pytest.approx(1.6 if one_of_64 else x)


def test_the_mini_profiles_least_r_is_one_of_its_64_patches():
    run = resolve(f"{CUB}/glca_r1", "mini")
    assert [side // 8 for side in run.settings.data.crop] == [8, 8]
    assert int(run.settings.model.glca_ratio * 64) == 1


def test_the_ablations_share_the_tables_own_cells():
    assert [id for id in ids([], "ablations") if id in SHARED] == SHARED
    assert set(select(SHARED)) <= set(select([], "ablations"))
    assert {cell.table for cell in select([], "ablations")} == {"table1", "ablations", "table2"}


def test_patterns_select_within_the_ablations():
    assert ids([f"{CUB}/glca_r*"], "ablations") == [f"{CUB}/glca_r{name}" for name in ("andom", 1, 5, 30, 50)]
    assert ids(["veri"], "ablations") == SHARED[2:]
    with pytest.raises(SettingsError, match="none of the 32 cells of the ablations"):
        select(["cars"], "ablations")


def test_without_the_table_a_variant_is_found_by_its_whole_id_alone():
    assert ids([f"{CUB}/glca_r30"]) == [f"{CUB}/glca_r30"]
    assert ids([f"{CUB}/pwca", CUB, f"{CUB}/pwca"]) == [*SHARED[:2], f"{CUB}/pwca"]
    assert all(cell.method in ("baseline", "dcal") for cell in select([CUB, "cub/*/*", "*"]))
    with pytest.raises(SettingsError, match=rf"nearest: {CUB}/glca\b.*TABLE=ablations"):
        select([f"{CUB}/glca*"])


@pytest.mark.parametrize("table", TABLES)
def test_a_published_table_has_no_variant(table):
    assert all(cell.method in ("baseline", "dcal") for cell in TABLES[table].cells)
    with pytest.raises(SettingsError, match="matches none"):
        select([f"{CUB}/glca"], table)


def test_the_68_cells_are_what_no_pattern_means():
    assert select() == all_cells()
    assert len(select()) == 68


def test_any_pair_of_the_grid_has_variants_and_no_other():
    assert resolve("cars/deit_small/glca_r30").settings.model.glca_ratio == 0.3
    assert named("market/vit_base/pwca_same").table == "ablations"
    with pytest.raises(SettingsError, match="matches none"):
        select(["market/r50_vit_base/glca"])


def test_a_dataset_of_ones_own_has_variants_too(monkeypatch):
    row = DatasetRow("mine", "mine", "mine", "fgvc", ("mine",), "benchmark.data.own.class_folders", {})
    monkeypatch.setitem(DATASETS, "mine", row)
    run = config.resolve(named("mine/deit_tiny/glca_r30"), 0, loaded("paper"), {})
    assert (run.settings.model.glca_ratio, run.pwca) == (0.3, None)
    with pytest.raises(SettingsError, match="Swin-T has no GLCA"):
        named("mine/swin_tiny/glca")


@pytest.mark.parametrize("method", ["glca", "glca_r30", "glca_mean", "pwca"])
def test_what_is_no_method_of_its_own_without_glca_is_refused_there(method):
    with pytest.raises(SettingsError, match=r"Swin-T has no GLCA.*run cub/swin_tiny/dcal"):
        select([f"cub/swin_tiny/{method}"])


@pytest.mark.parametrize("method", ["pwca_t4", "pwca_same", "dcal_w105"])
def test_what_varies_pwca_or_the_loss_is_there_without_glca_too(method):
    run, dcal = resolve(f"cub/swin_tiny/{method}"), resolve("cub/swin_tiny/dcal")
    assert run.glca is None
    assert run.identity["settings"] != dcal.identity["settings"]


def test_what_a_variant_fixes_goes_before_the_profile():
    assert resolve(f"{CUB}/glca").settings.model.glca_ratio == 0.1
    assert resolve(f"{CUB}/glca_r30").settings.model.glca_ratio == 0.3
    assert resolve("market/deit_tiny/glca_r5").settings.model.glca_ratio == 0.05  # the profile's is 0.3


def test_set_reaches_what_a_variant_leaves_open():
    run = resolve(f"{CUB}/glca_r30", overrides="model.glca_readout=mean train.epochs=3")
    assert (run.settings.model.glca_readout, run.settings.train.epochs) == ("mean", 3)
    assert run.hash != resolve(f"{CUB}/glca_r30").hash


def test_a_set_of_what_a_variant_fixes_is_refused_and_says_by_which():
    overrides = config.parse_overrides("model.pwca_blocks=6")
    require_free(overrides, select([CUB]))
    with pytest.raises(
        SettingsError, match=rf"model\.pwca_blocks is fixed by {CUB}/glca, {CUB}/.* and 13 more"
    ):
        require_free(overrides, select([], "ablations"))
    with pytest.raises(SettingsError, match=rf"model\.pwca_blocks is fixed by {CUB}/pwca_t4: leave it out"):
        require_free(overrides, select([CUB, f"{CUB}/pwca_t4"]))


@pytest.mark.parametrize(
    "verb", [["launch"], ["forecast"], ["run", f"{CUB}/glca_r30"]], ids=lambda verb: verb[0]
)
def test_no_verb_starts_a_variant_under_such_a_set(verb, tmp_path, capsys):
    asked = [] if verb[0] == "run" else ["--table", "ablations"]
    assert main([*verb, *asked, "--runs", str(tmp_path / "runs"), "--set", "model.glca_ratio=0.2"]) == 2
    assert "model.glca_ratio is fixed by cub/deit_tiny/glca_r" in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()


def test_to_a_reader_a_variant_is_what_it_fixes_whatever_the_set(tmp_path):
    views = status.collect(
        table="ablations", profile="mini", runs_dir=tmp_path, overrides={"model.glca_ratio": 0.2}
    )
    ratios = {view.cell.method: view.config.settings.model.glca_ratio for view in views}
    assert (ratios["dcal"], ratios["glca"], ratios["glca_r30"]) == (0.2, 0.2, 0.3)


def test_a_profile_may_say_another_value_of_what_a_variant_fixes_and_nothing_else(tmp_path, monkeypatch):
    monkeypatch.setattr(config, "RECIPES", tmp_path)
    (tmp_path / "mine.toml").write_text(HEADER + "[glca_r1.model]\nglca_ratio = 0.02\n")
    assert config.load_profile("mine").tables["glca_r1"] == {"model.glca_ratio": 0.02}
    (tmp_path / "mine.toml").write_text(HEADER + '[glca_r1.model]\nglca_init = "random"\n')
    with pytest.raises(
        SettingsError, match=r"\[glca_r1\] sets model\.glca_init; a variant's section only says"
    ):
        config.load_profile("mine")


def test_the_settings_verb_says_what_each_variant_fixes():
    shown = list(show.lines(config.load_profile("mini"), {}))
    assert "# glca_r30: model.pwca_blocks=0 model.glca_ratio=0.3" in shown
    assert "# glca_r1: model.pwca_blocks=0 model.glca_ratio=0.016" in shown
    assert sum(line.split(":")[0].removeprefix("# ") in VARIANTS for line in shown) == len(VARIANTS)


def test_what_the_backbone_cannot_follow_is_one_sentence_before_training():
    from benchmark.training.models import build_model

    run = resolve(f"{CUB}/glca", "mini", "model.glca_ratio=0.01")
    with pytest.raises(
        SettingsError, match=f"{CUB}/glca in profile mini cannot be built: R = 0.01 of 64 patches"
    ):
        build_model(run, 3, weights="random")
