"""A dataset's name in a cell: official, a folder of the user's, or nothing; and how such pictures are read."""

import numpy as np
import pytest
from own_folders import write_class_picture, write_people, write_tiny
from PIL import Image, ImageOps

from benchmark.config import resolve
from benchmark.config.datasets import DATASETS
from benchmark.config.grid import all_cells, named, select
from benchmark.data import locate
from benchmark.data.images import TestPictures, read_image
from benchmark.data.own.register import register_own, register_recorded
from benchmark.data.picture_check import refuse_unreadable
from benchmark.data.splits import Contradictions
from benchmark.errors import DataError, SettingsError

CLASSES = [f"{split}/{name}/1.png" for split in ("train", "test") for name in "ab"]


@pytest.fixture
def data(tmp_path):
    write_tiny(tmp_path / "data" / "my_birds-2.0", CLASSES)
    return tmp_path / "data"


def test_a_folder_below_data_is_a_dataset(data):
    row = register_own("my_birds-2.0", data)
    assert (row.key, row.title, row.task, row.own) == ("my_birds-2.0", "my_birds-2.0", "fgvc", True)
    assert locate.load_fgvc("my_birds-2.0", data).root == data / "my_birds-2.0"


def test_the_folder_itself_may_be_named(data):
    register_own("my_birds-2.0", data / "my_birds-2.0")
    assert locate.load_fgvc("my_birds-2.0", data / "my_birds-2.0").root == data / "my_birds-2.0"


def test_a_link_to_a_folder_of_any_name(data):
    (data / "Meine Vögel").mkdir()
    write_tiny(data / "Meine Vögel", CLASSES)
    (data / "voegel").symlink_to(data / "Meine Vögel")
    register_own("voegel", data)
    assert locate.load_fgvc("voegel", data).key == "voegel"


def test_markets_folders_make_it_re_identification(data):
    write_people(data / "people")
    assert register_own("people", data).task == "reid"
    settings = resolve.resolve(named("people/deit_tiny/dcal"), 0, resolve.load_profile("quick"), {}).settings
    assert len(locate.load_dataset("people", data, settings.data).query) == 4


@pytest.mark.parametrize("name", ["cub", "veri"])
def test_an_official_name_is_the_official_dataset(data, name):
    write_tiny(data / name, CLASSES)
    assert not register_own(name, data).own


@pytest.mark.parametrize(
    ("name", "key"), [("CUB_200_2011", "cub"), ("Market1501", "market"), ("msmt17_v1", "msmt17")]
)
def test_an_official_folder_is_never_read_as_class_folders(data, name, key):
    write_tiny(data / name, CLASSES)
    with pytest.raises(SettingsError, match=f"whose name in a cell is '{key}'"):
        register_own(name, data)


def test_an_unknown_name_gives_the_nearest_and_what_a_folder_would_have_to_be(data):
    with pytest.raises(SettingsError) as caught:
        register_own("aircrafts", data)
    for part in ("nearest: aircraft", str(data / "aircrafts"), "train/<class>", "bounding_box_train"):
        assert part in str(caught.value)


def test_without_data_an_own_dataset_asks_for_it():
    with pytest.raises(SettingsError, match="a folder of this name below --data"):
        register_own("my_birds", None)


@pytest.mark.parametrize(
    "name", ["Meine Vögel", ".hidden", "-x", "a#b", "a b", "a,b", "..", "x*", "n" * 101, "vögel"]
)
def test_a_folder_whose_name_cannot_be_part_of_a_cells_is_refused(data, name):
    (data / name).mkdir(exist_ok=True)
    with pytest.raises(SettingsError, match="its name cannot be part of a cell's"):
        register_own(name, data)


@pytest.mark.parametrize("name", ["fgvc", "deit_tiny", "profile"])
def test_names_of_recipes_sections_are_refused(data, name):
    (data / name).mkdir()
    with pytest.raises(SettingsError, match="recipes call something else by this name"):
        register_own(name, data)


def test_two_folders_that_could_be_meant_are_refused(data):
    write_tiny(data / "cat", ["cat/1.png", "cat/2.png", "dog/1.png", "dog/2.png"])
    with pytest.raises(DataError, match=f"set --data to {data} for the first"):
        register_own("cat", data / "cat")
    register_own("cat", data)
    assert locate.load_fgvc("cat", data).classes == ("cat", "dog")


# ---------------------------------------------------------------- cells, hashes, coverage


def test_its_cells_are_found_by_their_whole_name_alone(data):
    register_own("my_birds-2.0", data)
    assert named("my_birds-2.0/swin_tiny/baseline").table == "own"
    assert select() == all_cells()
    for pattern in ("my_birds-2.0", "my_birds-2.0/deit_tiny/dcal"):
        with pytest.raises(SettingsError, match="matches none"):
            select([pattern])


@pytest.mark.parametrize(
    "cell", ["my_birds-2.0/*/dcal", "my_birds-2.0/deit_tiny", "my_birds-2.0/deit_tiny/x", "cub/*/dcal", "cub"]
)
def test_anything_else_is_no_cell(data, cell):
    register_own("my_birds-2.0", data)
    with pytest.raises(SettingsError, match="is no cell: expected dataset/backbone/method"):
        named(cell)


@pytest.mark.parametrize("profile", ["mini", "quick", "paper"])
def test_the_identity_says_that_the_pictures_are_the_users(data, profile):
    register_own("my_birds-2.0", data)
    identity = resolve.resolve(
        named("my_birds-2.0/deit_tiny/dcal"), 0, resolve.load_profile(profile), {}
    ).identity
    assert identity["pictures"] == "own"


def test_a_record_makes_its_dataset_known_without_a_folder(data):
    register_own("my_birds-2.0", data)
    write_people(data / "people")
    register_own("people", data)
    profile = resolve.load_profile("quick")
    before = [
        resolve.resolve(named(f"{name}/deit_tiny/dcal"), 3, profile, {})
        for name in ("my_birds-2.0", "people")
    ]
    for made in before:
        row = DATASETS.pop(made.cell.dataset)
        register_recorded(made.identity)
        assert DATASETS[row.key] == row
        assert resolve.resolve(named(made.cell.id), 3, profile, {}).hash == made.hash


def test_a_record_of_an_official_dataset_changes_nothing():
    rows = dict(DATASETS)
    register_recorded({"run": "cub/deit_tiny/dcal/seed0", "pictures": "official", "settings": {}})
    register_recorded({"run": "cub/deit_tiny/dcal/seed0", "pictures": "own", "settings": {}})
    assert rows == DATASETS


def test_the_coverage_says_whose_data_they_are(data):
    row = register_own("my_birds-2.0", data)
    found = locate.coverage(locate.load_fgvc("my_birds-2.0", data), row)
    assert (found.kind, found.text) == (
        "own",
        "own data, not the paper's: 2 classes, 2 train and 2 test images",
    )


# ---------------------------------------------------------------- pictures


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize(("suffix", "tolerance"), [("png", 0), ("tiff", 0), ("webp", 12), ("jpg", 12)])
def test_pictures_are_turned_as_they_are_seen(tmp_path, suffix, tolerance, orientation):
    file = write_class_picture(tmp_path / f"x.{suffix}", (200, 30, 90), 0, orientation=orientation)
    seen = np.asarray(ImageOps.exif_transpose(Image.open(file)).convert("RGB")).astype(int)
    found = read_image(file, upright=True)
    assert found.shape == seen.shape
    assert np.abs(found - seen).max() <= tolerance


def test_only_a_users_own_pictures_are_turned(data):
    file = write_class_picture(data / "x.png", (200, 30, 90), 0, orientation=6)
    register_own("my_birds-2.0", data)
    profile = resolve.load_profile("quick")
    shapes = {
        key: TestPictures.for_dataset(key, resolve.resolve(named(cell), 0, profile, {}).settings.data)
        .read(file)
        .shape
        for key, cell in (
            ("my_birds-2.0", "my_birds-2.0/deit_tiny/dcal"),
            ("own", "cub/deit_tiny/dcal"),
            ("cub", "cub/deit_tiny/dcal"),
        )
    }
    assert shapes == {"my_birds-2.0": (56, 40, 3), "own": (56, 40, 3), "cub": (40, 56, 3)}


@pytest.mark.parametrize("suffix", ["gif", "bmp", "ppm", "tif", "webp", "png"])
def test_the_formats_are_as_pillow_reads_them(tmp_path, suffix):
    file = tmp_path / f"x.{suffix}"
    grey = Image.fromarray(np.arange(256, dtype=np.uint8).reshape(16, 16))
    grey.save(file, **({"lossless": True} if suffix == "webp" else {}))
    assert np.array_equal(read_image(file, upright=True), np.asarray(grey.convert("RGB")))


def test_sixteen_bits_keep_the_upper_eight_and_alpha_is_dropped(tmp_path):
    deep = (np.arange(256, dtype=np.uint16) * 257).reshape(16, 16)
    for suffix in ("png", "tif"):
        Image.fromarray(deep).save(tmp_path / f"deep.{suffix}")
        found = read_image(tmp_path / f"deep.{suffix}", upright=True)
        assert np.array_equal(found[..., 0], (deep >> 8).astype(np.uint8))
    Image.new("RGBA", (4, 4), (10, 200, 30, 0)).save(tmp_path / "clear.png")
    assert read_image(tmp_path / "clear.png", upright=True)[0, 0].tolist() == [10, 200, 30]


def test_every_picture_that_does_not_decode_is_named_before_training(data):
    root = write_tiny(data / "my_birds-2.0", [f"train/a/{number}.png" for number in range(20)])
    torn = (root / "train/a/7.png").read_bytes()[:40]
    for name in ("train/a/7.png", "test/b/1.png"):
        (root / name).write_bytes(torn)
    register_own("my_birds-2.0", data)
    with pytest.raises(Contradictions) as caught:
        refuse_unreadable(locate.load_fgvc("my_birds-2.0", data), 2, lambda: "")
    assert [problem.partition(": ")[0] for problem in caught.value.problems] == [
        str(root / "train/a/7.png"),
        str(root / "test/b/1.png"),
    ]


def test_looking_at_them_ends_when_the_run_is_told_to_stop(data):
    register_own("my_birds-2.0", data)
    (data / "my_birds-2.0/test/b/1.png").write_bytes(b"torn")
    refuse_unreadable(locate.load_fgvc("my_birds-2.0", data), 1, lambda: "stopped by a test")
