"""A user's own class folders: what is read of them, how they are divided, and what is refused by name."""

import hashlib
import os
import unicodedata

import pytest
from own_folders import write_tiny

from benchmark.data.own.class_folders import annotation_files, read, read_as_test
from benchmark.data.own.image_files import fingerprint
from benchmark.data.splits import Contradictions
from benchmark.errors import DataError

SPLIT = ("train/b/1.png", "train/b/2.png", "train/a/1.png", "test/a/9.png", "test/b/8.png")


def both(dataset):
    return {*dataset.train.files, *dataset.test.files}


def named(split, classes):
    return {file: classes[label] for file, label in zip(split.files, split.labels, strict=True)}


def test_train_and_test_folders_are_the_splits(tmp_path):
    dataset = read(write_tiny(tmp_path / "mine", SPLIT))
    assert dataset.classes == ("a", "b")
    assert named(dataset.train, dataset.classes) == {
        "train/a/1.png": "a",
        "train/b/1.png": "b",
        "train/b/2.png": "b",
    }
    assert named(dataset.test, dataset.classes) == {"test/a/9.png": "a", "test/b/8.png": "b"}
    assert (dataset.key, dataset.notes) == ("mine", ())


@pytest.mark.parametrize("test", ["val", "Test", "validation", "testing"])
@pytest.mark.parametrize("train", ["train", "Training"])
def test_other_usual_names_of_the_two_folders(tmp_path, train, test):
    root = write_tiny(tmp_path / "mine", [f"{train}/a/1.png", f"{train}/b/1.png", f"{test}/a/2.png"])
    assert read(root).test.files == (f"{test}/a/2.png",)


def test_val_is_not_used_beside_test_and_that_is_said(tmp_path):
    dataset = read(write_tiny(tmp_path / "mine", [*SPLIT, "val/a/7.png", "drafts/x.txt.png", "cover.png"]))
    assert both(dataset) == set(SPLIT)
    assert dataset.notes == (f"{tmp_path / 'mine'}: not used beside train and test: drafts, val, cover.png",)


def test_classes_may_be_called_as_splits_are(tmp_path):
    names = [f"{name}/{number}.png" for name in ("train", "bus", "car") for number in range(2)]
    assert read(write_tiny(tmp_path / "vehicles", names)).classes == ("bus", "car", "train")


@pytest.mark.parametrize(
    "names", [["train/a/1.png", "train/b/1.png"], ["test/a/1.png", "val/b/1.png"]], ids=["train", "test"]
)
def test_one_side_of_a_split_alone_is_refused(tmp_path, names):
    with pytest.raises(DataError, match="alone, which are not both sides of a split"):
        read(write_tiny(tmp_path, names))


def test_two_folders_for_one_side_are_refused(tmp_path):
    with pytest.raises(DataError, match="both Train and training are there"):
        read(write_tiny(tmp_path, [*SPLIT[3:], "Train/a/1.png", "training/b/1.png"]))


# ---------------------------------------------------------------- the rule that holds pictures out


def textbook(names):
    """The rule as the documentation words it, over one class's files."""
    by_digest = sorted(names, key=lambda name: hashlib.sha256(name.encode()).hexdigest())
    fifth = int(len(names) / 5 + 0.5)
    return set(by_digest[: min(max(fifth, 1), len(names) - 1)])


@pytest.mark.parametrize("count", [2, 3, 7, 8, 12, 13, 40])
def test_a_fifth_of_each_class_is_held_out(tmp_path, count):
    one, other = ([f"{name}/{i:03d}.png" for i in range(count)] for name in ("a", "bé b"))
    dataset = read(write_tiny(tmp_path / "mine", [*one, *other]))
    assert set(dataset.test.files) == textbook(one) | textbook(other)
    assert not {*dataset.test.files} & {*dataset.train.files}
    assert both(dataset) == {*one, *other}
    assert "a fifth of each class is held out" in dataset.notes[0]


def test_the_division_never_changes(tmp_path):
    """The smallest digests that ``printf x/1.png | sha256sum`` and so on give: 9a11eddc… and 2e11a573…"""
    names = [f"{name}/{number}.png" for name in "xy" for number in range(1, 6)]
    assert read(write_tiny(tmp_path, names)).test.files == ("x/4.png", "y/5.png")


def test_the_division_depends_on_names_alone(tmp_path):
    names = [f"{name}/{number}.png" for name in "ab" for number in range(9)]
    one = read(write_tiny(tmp_path / "one", names))
    other = read(write_tiny(tmp_path / "elsewhere" / "other", names[::-1]))
    assert (one.train, one.test) == (other.train, other.test)


def test_a_picture_alone_in_its_class_cannot_be_divided(tmp_path):
    with pytest.raises(Contradictions, match="class 'b' has one picture, expected 2 and more"):
        read(write_tiny(tmp_path, ["a/1.png", "a/2.png", "b/1.png"]))


# ---------------------------------------------------------------- names


def test_odd_names_of_classes_and_files(tmp_path):
    long = "l" * 200
    names = [
        f"{name}/{file}"
        for name in ("#1 Ä .b", "0.5", "-x", "ein sehr langer Name " + long, "鳥")
        for file in ("#.png", "a b.c.PNG", f"{long}.webp", "deep/er/Ü.jpeg", "%20,.bmp")
    ]
    dataset = read(write_tiny(tmp_path / "mine", names))
    assert both(dataset) == set(names)
    assert set(dataset.classes) == {name.split("/")[0] for name in names}


def test_one_class_in_two_ways_of_writing_unicode_is_one(tmp_path):
    composed, split = (unicodedata.normalize(form, "Vögel") for form in ("NFC", "NFD"))
    root = write_tiny(
        tmp_path, [f"train/{composed}/1.png", f"test/{split}/2.png", "train/b/1.png", "test/b/2.png"]
    )
    assert read(root).classes == (composed, "b")
    write_tiny(root, [f"train/{split}/3.png"])
    with pytest.raises(Contradictions, match=f"train/{composed}: two folders have this name"):
        read(root)


def test_a_name_that_is_no_text_is_refused(tmp_path):
    write_tiny(tmp_path, SPLIT)
    os.mkdir(os.fsencode(tmp_path / "train") + b"/b\xff")
    with pytest.raises(DataError, match=r"'b\\udcff' is not UTF-8"):
        read(tmp_path)


# ---------------------------------------------------------------- nothing is lost in silence


def test_files_that_are_no_pictures_are_named(tmp_path):
    root = write_tiny(tmp_path / "mine", SPLIT)
    for name in ("train/a/.DS_Store", "train/a/Thumbs.db", "test/b/notes.txt", "test/.hidden/x.png"):
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_bytes(b"x")
    assert read(root).notes == (
        f"{root}: 4 files that are no pictures are left out: train/a/.DS_Store, train/a/Thumbs.db, test/.hidden/, "
        "test/b/notes.txt",
    )


@pytest.mark.parametrize(
    ("name", "head"),
    [
        ("train/a/phone.heic", b"\0\0\0\x18ftypheic\0\0\0\0"),
        ("train/a/new.avif", b"\0\0\0\x18ftypavif\0\0\0\0"),
        ("test/a/no_suffix", b"\xff\xd8\xff\xe0\0\x10JFIF"),
        ("test/a/raw.nef", b"MM\0*\0\0\0\x08"),
        ("test/b/x.jfif", b"RIFF\x1a\0\0\0WEBPVP8 "),
    ],
)
def test_a_picture_that_would_not_be_read_is_refused(tmp_path, name, head):
    root = write_tiny(tmp_path, SPLIT)
    (root / name).write_bytes(head)
    with pytest.raises(Contradictions, match=f"{name}: a picture by its content, but not by its name"):
        read(root)


@pytest.mark.parametrize(
    ("names", "found"),
    [
        ([*SPLIT, "train/x.png"], "train/x.png: lies in no class folder"),
        (["a/1.png", "a/2.png", "b/1.png", "b/2.png", "x.png"], "x.png: lies in no class folder"),
        ([*SPLIT, "test/c/1.png"], "class 'c' has test but no train images"),
        (["images/a/1.png", "images/b/1.png"], "'images' is the only class"),
    ],
)
def test_pictures_in_the_wrong_place_are_refused(tmp_path, names, found):
    with pytest.raises(Contradictions, match=found):
        read(write_tiny(tmp_path, names))


def test_an_empty_class_folder_is_refused(tmp_path):
    write_tiny(tmp_path, SPLIT)
    (tmp_path / "train" / "c" / "below").mkdir(parents=True)
    with pytest.raises(Contradictions, match="train/c: a class folder without pictures"):
        read(tmp_path)


def test_an_empty_folder_says_what_it_should_hold(tmp_path):
    with pytest.raises(DataError, match="found no folders in it; expected class folders"):
        read(tmp_path)


def test_links_are_followed_and_circles_refused(tmp_path):
    root, elsewhere = write_tiny(tmp_path / "mine", SPLIT), write_tiny(tmp_path / "else", ["5.png"])
    (root / "train" / "a" / "more").symlink_to(elsewhere)
    assert "train/a/more/5.png" in read(root).train.files
    (elsewhere / "back").symlink_to(root / "train")
    with pytest.raises(DataError, match="is a link to a folder that it lies in"):
        read(root)


# ---------------------------------------------------------------- fingerprint, and a test set alone


@pytest.mark.parametrize(
    ("change", "differs"),
    [
        (lambda root: (root / "train/a/notes.txt").write_text("x"), False),
        (lambda root: write_tiny(root, ["test/a/10.png"]), True),
        (lambda root: (root / "test/a/9.png").rename(root / "test/a/8.png"), True),
        (lambda root: (root / "test/a/9.png").write_bytes(b"other pixels"), True),
    ],
    ids=["no picture", "one more", "renamed", "changed in place"],
)
def test_the_fingerprint_is_of_names_and_sizes(tmp_path, change, differs):
    root = write_tiny(tmp_path, SPLIT)
    before = fingerprint(root, annotation_files(root))
    change(root)
    assert (fingerprint(root, annotation_files(root)) != before) == differs


@pytest.mark.parametrize("above", ["", "test/"])
def test_all_pictures_as_a_test_set_for_another_models_classes(tmp_path, above):
    root = write_tiny(tmp_path / "cub", [f"{above}b/1.png", f"{above}b/deep/2.png", f"{above}a/1.png"])
    if above:
        write_tiny(root, ["train/zebra/1.png"])
    dataset = read_as_test(root, ("z", "b", "a"))
    assert named(dataset.test, dataset.classes) == {
        f"{above}a/1.png": "a",
        f"{above}b/1.png": "b",
        f"{above}b/deep/2.png": "b",
    }
    assert dataset.classes == ("z", "b", "a")
    assert len(dataset.train) == 0
    assert dataset.key == "own"


def test_a_folder_that_is_none_of_the_models_classes_is_refused(tmp_path):
    with pytest.raises(
        Contradictions, match="folder 'sparow' is none of the 2 classes of the model; nearest: spar"
    ) as caught:
        read_as_test(write_tiny(tmp_path, ["sparow/1.png"]), ("sparrow", "wren"))
    assert "the model's classes: sparrow, wren." in str(caught.value)
