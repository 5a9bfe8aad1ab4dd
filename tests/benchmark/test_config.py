"""Profiles, overrides and the hash that identifies a run."""

import pytest

from benchmark.config import resolve as config
from benchmark.config.applicability import require_meaning
from benchmark.config.grid import all_cells, select
from benchmark.config.parse import setting_types
from benchmark.config.settings import CAME_LATER, ONE_TASK
from benchmark.errors import SettingsError

DCAL = select(["cub/deit_tiny/dcal"])[0]
REID = select(["market/deit_tiny/dcal"])[0]
CAIT = select(["cub/cait_xs24/dcal"])[0]
SWIN = select(["cub/swin_tiny/dcal"])[0]
REID_SWIN = select(["msmt17/swin_tiny/dcal"])[0]
HEADER = (
    '[profile]\ntitle = "t"\npictures = "official"\nbackbones = "real"\ncomparable = false\ndevice = "cpu"\n'
)
BASELINE = select(["cub/deit_tiny/baseline"])[0]


def resolve(cell=DCAL, seed=0, profile="paper", overrides=""):
    return config.resolve(cell, seed, config.load_profile(profile), config.parse_overrides(overrides))


def test_the_paper_profile_is_the_papers_recipe():
    settings = resolve().settings
    assert settings.data.resize == (550, 550)
    assert settings.data.crop == (448, 448)
    assert settings.train.epochs == 100
    assert settings.train.batch_size == 16
    assert settings.train.weight_decay == 0.05
    assert settings.train.lr / settings.train.lr_batch == pytest.approx(5e-4 / 512)
    model = settings.model
    assert (model.glca_blocks, model.glca_ratio, model.pwca_blocks) == (1, 0.1, 12)
    assert (model.glca_readout, model.pwca_stream, model.pwca_pairing, model.drop_path) == (
        "cls",
        "own",
        "batch",
        0.1,
    )


def test_quick_and_mini_differ_from_paper_only_where_they_say_so():
    paper, quick = resolve().settings, resolve(profile="quick").settings
    assert quick.model == paper.model
    assert quick.data.crop == (224, 224)
    assert not config.load_profile("quick").comparable
    assert not config.load_profile("mini").comparable
    assert config.load_profile("paper").comparable


def test_overrides_are_typed():
    parsed = config.parse_overrides(
        "train.epochs=3 model.glca_readout=mean data.crop=224,192 train.lr=1 data.flip=0"
    )
    assert parsed == {
        "train.epochs": 3,
        "model.glca_readout": "mean",
        "data.crop": (224, 192),
        "train.lr": 1.0,
        "data.flip": 0.0,
    }
    assert isinstance(parsed["train.lr"], float)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("train.epoch=3", "nearest: train.epochs"),
        ("model.glca_reedout=mean", "nearest: model.glca_readout"),
        ("model.glca_readout=men", "nearest: mean"),
        ("train.epochs=3.5", "not a whole number"),
        ("train.epochs=many", "not a whole number"),
        ("train.epochs=true", "not a whole number"),
        ("data.drop_banner=1", "not true or false"),
        ("data.crop=224", "not a pair"),
        ("train.epochs", "has no value"),
        ("train.lr='5", "No closing quotation"),
    ],
)
def test_unknown_names_and_wrong_types_are_refused(text, message):
    with pytest.raises(SettingsError, match=message):
        config.parse_overrides(text)


@pytest.mark.parametrize(
    "text",
    [
        "train.epochs=0",
        "train.batch_size=-1",
        "train.lr=0.0",
        "data.flip=1.5",
        "data.crop=600,600",
        "model.glca_ratio=0.0",
        "model.glca_blocks=-1",
        "model.glca_blocks=0 model.pwca_blocks=0",
        "model.drop_path=1.0",
        "evaluate.every=0",
    ],
)
def test_values_that_make_no_sense_are_refused_before_anything_runs(text):
    with pytest.raises(SettingsError):
        resolve(overrides=text)


def test_an_unknown_profile_names_the_nearest():
    with pytest.raises(SettingsError, match="nearest: paper"):
        config.load_profile("papper")


def test_a_recipe_with_an_unknown_setting_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(config, "RECIPES", tmp_path)
    (tmp_path / "own.toml").write_text("[fgvc.train]\nepoch = 3\n")
    with pytest.raises(SettingsError, match="no value for"):
        config.load_profile("own")
    header = '[profile]\ntitle="t"\npictures="official"\nbackbones="real"\ncomparable=false\ndevice="auto"\n'
    (tmp_path / "own.toml").write_text(header + "[fgvc.train]\nepoch = 3\n")
    with pytest.raises(SettingsError, match=r"nearest: train\.epochs"):
        config.load_profile("own")


def test_recipes_that_name_each_other_as_base_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(config, "RECIPES", tmp_path)
    (tmp_path / "a.toml").write_text('base = "b"\n')
    (tmp_path / "b.toml").write_text('base = "a"\n')
    with pytest.raises(SettingsError, match="a → b → a"):
        config.load_profile("a")


def test_the_hash_is_stable_and_of_what_determines_the_numbers():
    assert resolve().hash == resolve().hash
    different = [
        resolve(seed=1),
        resolve(cell=BASELINE),
        resolve(overrides="train.epochs=99"),
        resolve(overrides="model.glca_readout=mean"),
        resolve(profile="quick"),
    ]
    assert len({resolve().hash, *(one.hash for one in different)}) == 6


def test_the_same_settings_hash_alike_however_they_were_given():
    assert resolve(overrides="train.epochs=100").hash == resolve().hash


def test_settings_of_the_cross_attentions_leave_a_baseline_alone():
    changed = resolve(
        cell=BASELINE, overrides="model.glca_readout=mean model.pwca_stream=figure model.w_init=-1.0"
    )
    assert changed.hash == resolve(cell=BASELINE).hash
    assert resolve(cell=BASELINE, overrides="model.drop_path=0.2").hash != changed.hash


def test_every_setting_of_a_task_stands_in_the_identity():
    fgvc, reid = set(resolve().identity["settings"]), set(resolve(cell=REID).identity["settings"])
    assert fgvc | reid == set(setting_types()) - CAME_LATER.keys()
    assert fgvc - reid == set(ONE_TASK["fgvc"])
    assert reid - fgvc == set(ONE_TASK["reid"])


def test_the_baselines_hash_covers_everything_but_the_cross_attentions():
    missing = set(resolve().identity["settings"]) - set(resolve(cell=BASELINE).identity["settings"])
    assert missing
    assert all(name.startswith(("model.glca", "model.pwca", "model.w_")) for name in missing)


def test_the_paper_profile_is_the_papers_reid_recipe():
    settings = resolve(cell=REID).settings
    assert settings.data.crop == settings.data.resize == (256, 128)
    assert resolve(cell=select(["veri/deit_tiny/dcal"])[0]).settings.data.crop == (256, 256)
    train = settings.train
    assert (train.epochs, train.batch_size, train.instances) == (120, 64, 4)
    assert (train.optimizer, train.lr, train.momentum, train.weight_decay) == ("sgd", 0.008, 0.9, 1e-4)
    assert settings.model.glca_ratio == 0.3


def test_a_setting_of_the_other_task_changes_nothing_there():
    assert resolve(cell=REID, overrides="data.test_crop=whole").hash == resolve(cell=REID).hash
    assert resolve(overrides="data.erase=0 train.instances=2").hash == resolve().hash
    assert resolve(cell=REID, overrides="data.erase=0").hash != resolve(cell=REID).hash


def test_a_setting_that_no_cell_asked_for_uses_is_refused():
    overrides = config.parse_overrides("data.erase=0.2")
    require_meaning(overrides, [DCAL, REID])
    with pytest.raises(SettingsError, match=r"data\.erase is a setting of re-identification alone"):
        require_meaning(overrides, [DCAL, BASELINE])


def test_a_dataset_may_differ_from_its_tasks_recipe(tmp_path, monkeypatch):
    monkeypatch.setattr(config, "RECIPES", tmp_path)
    (tmp_path / "mine.toml").write_text(HEADER + "[veri.data]\npad = 3\n")
    assert config.load_profile("mine").tables["veri"] == {"data.pad": 3}
    (tmp_path / "mine.toml").write_text(HEADER + "[berry.data]\npad = 3\n")
    with pytest.raises(SettingsError, match=r"unknown section \[berry\]"):
        config.load_profile("mine")


@pytest.mark.parametrize("profile", config.profiles())
def test_pwca_runs_through_all_blocks_of_every_backbone(profile):
    loaded, cells = config.load_profile(profile), {cell.backbone: cell for cell in all_cells()}
    chosen = {
        key: config.resolve(cell, 0, loaded, {}).settings.model.pwca_blocks for key, cell in cells.items()
    }
    assert chosen.pop("cait_xs24") == 24 + 2
    assert set(chosen.values()) == {12}


def test_a_backbones_section_goes_before_the_datasets_and_that_before_the_tasks(tmp_path, monkeypatch):
    (tmp_path / "paper.toml").write_text((config.RECIPES / "paper.toml").read_text())
    sections = "[fgvc.data]\nflip = 0.1\n[cub.data]\nflip = 0.2\n[cait_xs24.data]\nflip = 0.3\n"
    (tmp_path / "mine.toml").write_text(f'base = "paper"\n{sections}')
    monkeypatch.setattr(config, "RECIPES", tmp_path)
    flips = {
        cell_id: resolve(select([cell_id])[0], profile="mine").settings.data.flip
        for cell_id in ("cars/deit_tiny/dcal", "cub/deit_tiny/dcal", "cub/cait_xs24/dcal")
    }
    assert list(flips.values()) == [0.1, 0.2, 0.3]
    assert resolve(CAIT, profile="mine", overrides="data.flip=0.4").settings.data.flip == 0.4


def test_a_backbones_section_counts_in_the_task_that_has_the_setting(tmp_path, monkeypatch):
    (tmp_path / "paper.toml").write_text((config.RECIPES / "paper.toml").read_text())
    (tmp_path / "mine.toml").write_text('base = "paper"\n[swin_tiny.data]\npad = 3\n')
    monkeypatch.setattr(config, "RECIPES", tmp_path)
    assert resolve(REID_SWIN, profile="mine").settings.data.pad == 3
    assert resolve(SWIN, profile="mine").identity["settings"] == resolve(SWIN).identity["settings"]


def test_glcas_settings_are_not_in_the_identity_of_a_backbone_without_glca():
    lacking = set(resolve().identity["settings"]) - set(resolve(SWIN).identity["settings"])
    assert lacking == {
        "model.glca_blocks",
        "model.glca_ratio",
        "model.glca_init",
        "model.glca_readout",
        "model.glca_select",
    }
    assert resolve(SWIN, overrides="model.glca_readout=mean").hash == resolve(SWIN).hash
    assert resolve(SWIN, overrides="model.pwca_stream=figure").hash != resolve(SWIN).hash
    assert resolve(CAIT, overrides="model.glca_readout=mean").hash != resolve(CAIT).hash


def test_a_glca_setting_is_refused_where_only_backbones_without_glca_are_asked_for():
    overrides = config.parse_overrides("model.glca_ratio=0.2")
    require_meaning(overrides, [SWIN, CAIT])
    with pytest.raises(SettingsError, match=r"model\.glca_ratio is a setting of GLCA, which Swin-T has not"):
        require_meaning(overrides, [SWIN, REID_SWIN])


def test_a_recipe_that_sets_glca_for_a_backbone_without_it_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(config, "RECIPES", tmp_path)
    (tmp_path / "mine.toml").write_text(HEADER + "[swin_tiny.model]\nglca_blocks = 2\n")
    with pytest.raises(
        SettingsError, match=r"\[swin_tiny\] sets model\.glca_blocks, but swin_tiny has no GLCA"
    ):
        config.load_profile("mine")


@pytest.mark.parametrize(
    ("profile", "cell", "tag"),
    [
        ("paper", CAIT, "cait_xs24_384.fb_dist_in1k"),
        ("quick", SWIN, "swin_tiny_patch4_window7_224.ms_in1k"),
        ("mini", CAIT, "mini_cait_xs24_48.generic"),
        ("mini", REID_SWIN, "mini_swin_tiny_48.generic"),
    ],
)
def test_the_extras_have_their_pretrained_weights_in_every_profile(profile, cell, tag):
    assert resolve(cell, profile=profile).identity["weights"]["tag"] == tag


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ("train.instances=1", "at least 2 pictures of each identity"),
        ("train.instances=5", "a multiple of instances"),
        ("train.batch_size=4", "at least twice as large"),
        ("data.crop=128,64", "differs from data.resize"),
        ("data.pad=-1", "data.crop"),
        ("data.erase=1.5", "probabilities"),
        ("train.warmup_epochs=120", "does not fit into train.epochs=120"),
        ("train.lr_min=2", "shares of the learning rate"),
        ("train.bias_lr=0", "positive multiple"),
    ],
)
def test_reid_settings_that_make_no_sense_are_refused(overrides, message):
    with pytest.raises(SettingsError, match=message):
        resolve(cell=REID, overrides=overrides)
