"""CUB from its text lists: joined by id, every disagreement named."""

import pytest

from benchmark.data.readers import cub
from benchmark.data.splits import Contradictions
from benchmark.errors import DataError


def problems(root):
    with pytest.raises(Contradictions) as caught:
        cub.read(root)
    return caught.value.problems


def test_lists_in_any_order_are_joined_by_id(tmp_path, write_lists, cub_lists):
    dataset = cub.read(write_lists(tmp_path, cub_lists))
    assert dataset.key == "cub"
    assert dataset.root == tmp_path
    assert dataset.classes == ("002.Laysan_Albatross", "005.Crested_Auklet", "009.Brewer_Blackbird")
    assert dataset.train.files == (
        "images/002.Laysan_Albatross/a2.jpg",
        "images/005.Crested_Auklet/b2.jpg",
        "images/009.Brewer_Blackbird/c1.jpg",
    )
    assert dataset.train.labels == (0, 1, 2)
    assert dataset.test.files == (
        "images/002.Laysan_Albatross/a1.jpg",
        "images/005.Crested_Auklet/b1.jpg",
        "images/009.Brewer_Blackbird/c2.jpg",
    )
    assert dataset.test.labels == (0, 1, 2)


def test_the_order_of_lines_changes_nothing(tmp_path, write_lists, cub_lists):
    one = cub.read(write_lists(tmp_path, cub_lists))
    backwards = {name: lines[::-1] for name, lines in cub_lists.items()}
    assert cub.read(write_lists(tmp_path, backwards)) == one


def test_file_names_with_spaces_are_kept(tmp_path, write_lists, cub_lists):
    cub_lists["images.txt"][1] = "3 002.Laysan_Albatross/a 1 (copy).jpg"
    dataset = cub.read(write_lists(tmp_path, cub_lists))
    assert dataset.test.files[0] == "images/002.Laysan_Albatross/a 1 (copy).jpg"


def test_windows_line_ends_and_a_byte_order_mark_are_read(tmp_path, write_lists, cub_lists):
    expected = cub.read(write_lists(tmp_path, cub_lists))
    for name in ("images.txt", "classes.txt"):
        (tmp_path / name).write_bytes(b"\xef\xbb\xbf" + "\r\n".join(cub_lists[name]).encode())
    assert cub.read(tmp_path) == expected


def test_classes_without_images_are_dropped_and_labels_stay_contiguous(tmp_path, write_lists, cub_lists):
    cub_lists["classes.txt"] += ["1 001.Black_footed_Albatross", "6 006.Least_Auklet"]
    dataset = cub.read(write_lists(tmp_path, cub_lists))
    assert dataset.classes == ("002.Laysan_Albatross", "005.Crested_Auklet", "009.Brewer_Blackbird")
    assert dataset.test.labels == (0, 1, 2)


@pytest.mark.parametrize(
    "name", ["classes.txt", "images.txt", "image_class_labels.txt", "train_test_split.txt"]
)
def test_a_missing_list_is_named(tmp_path, write_lists, cub_lists, name):
    del cub_lists[name]
    with pytest.raises(DataError, match=f": missing .*{name}"):
        cub.read(write_lists(tmp_path, cub_lists))


def test_an_empty_list_is_named(tmp_path, write_lists, cub_lists):
    cub_lists["train_test_split.txt"] = ["", " "]
    with pytest.raises(DataError, match=r"train_test_split\.txt: the list is empty"):
        cub.read(write_lists(tmp_path, cub_lists))


def test_a_list_that_is_no_text_is_named(tmp_path, write_lists, cub_lists):
    write_lists(tmp_path, cub_lists)
    (tmp_path / "images.txt").write_bytes(b"1 a\xff\xd8.jpg\n")
    with pytest.raises(DataError, match=r"images\.txt: found a byte that is not UTF-8 text .*byte 3"):
        cub.read(tmp_path)


@pytest.mark.parametrize(
    ("name", "row", "line", "expected"),
    [
        ("images.txt", 2, "4", "images.txt, line 3: found '4', expected '<id> <path>'"),
        ("images.txt", 0, "x1 a/b.jpg", "images.txt, line 1: found 'x1 a/b.jpg', expected '<id> <path>'"),
        (
            "classes.txt",
            1,
            "Albatross",
            "classes.txt, line 2: found 'Albatross', expected '<id> <class name>'",
        ),
        (
            "classes.txt",
            2,
            "5 009.Brewer_Blackbird",
            "classes.txt, line 3: id 5 is on line 1 already, expected once",
        ),
        (
            "image_class_labels.txt",
            0,
            "3 two",
            "image_class_labels.txt, line 1: found 'two' for image 3, expected a class id",
        ),
        (
            "train_test_split.txt",
            3,
            "7 2",
            "train_test_split.txt, line 4: found '2' for image 7, expected 1 (train) or 0 (test)",
        ),
        (
            "train_test_split.txt",
            3,
            "8 0",
            "train_test_split.txt, line 4: id 8 is on line 3 already, expected once",
        ),
    ],
)
def test_a_bad_line_is_named_by_file_and_number(tmp_path, write_lists, cub_lists, name, row, line, expected):
    cub_lists[name][row] = line
    assert problems(write_lists(tmp_path, cub_lists)) == (expected,)


@pytest.mark.parametrize(
    ("name", "row", "line", "expected"),
    [
        (
            "image_class_labels.txt",
            0,
            "3 6",
            "image_class_labels.txt, line 1: image 3 has class 6, expected one of the 3 ids of classes.txt",
        ),
        (
            "image_class_labels.txt",
            0,
            "3 5",
            "images.txt, line 2: image 3 is '002.Laysan_Albatross/a1.jpg', expected it in the folder of its class 5, "
            "'005.Crested_Auklet'",
        ),
    ],
)
def test_a_label_at_odds_with_the_class_list_or_the_folder_is_named(
    tmp_path, write_lists, cub_lists, name, row, line, expected
):
    cub_lists[name][row] = line
    assert problems(write_lists(tmp_path, cub_lists)) == (expected,)


@pytest.mark.parametrize("name", ["image_class_labels.txt", "train_test_split.txt"])
def test_ids_that_only_one_list_has_are_named_both_ways(tmp_path, write_lists, cub_lists, name):
    cub_lists[name] = [line for line in cub_lists[name] if not line.startswith("7 ")]
    cub_lists[name].append("99 " + ("9" if "labels" in name else "1"))
    assert problems(write_lists(tmp_path, cub_lists)) == (
        f"image 7 is in images.txt but not in {name}",
        f"image 99 is in {name} but not in images.txt",
    )


def test_one_file_under_two_ids_is_named(tmp_path, write_lists, cub_lists):
    cub_lists["images.txt"][2] = "4 002.Laysan_Albatross/a1.jpg"
    (found,) = problems(write_lists(tmp_path, cub_lists))
    assert found == "images/002.Laysan_Albatross/a1.jpg is listed twice (train and test), expected once"


def test_a_class_with_test_but_no_train_images_is_refused(tmp_path, write_lists, cub_lists):
    cub_lists["train_test_split.txt"][2] = "8 0"
    (found,) = problems(write_lists(tmp_path, cub_lists))
    assert found == "class '005.Crested_Auklet' has test but no train images, expected both"


def test_a_split_without_images_is_refused(tmp_path, write_lists, cub_lists):
    cub_lists["train_test_split.txt"] = [f"{line.split()[0]} 1" for line in cub_lists["images.txt"]]
    assert problems(write_lists(tmp_path, cub_lists)) == ("the test split has no images",)


def test_ten_contradictions_of_several_files_are_printed_and_the_rest_counted(
    tmp_path, write_lists, cub_lists
):
    cub_lists["train_test_split.txt"] = [f"{image} 7" for image in range(12)]
    cub_lists["image_class_labels.txt"][0] = "3 two"
    with pytest.raises(DataError) as caught:
        cub.read(write_lists(tmp_path, cub_lists))
    lines = str(caught.value).splitlines()
    assert lines[0] == f"CUB-200-2011 at {tmp_path}: 13 contradictions"
    assert lines[1].startswith("  image_class_labels.txt, line 1")
    assert lines[10].startswith("  train_test_split.txt, line 9")
    assert lines[11] == "  … and 3 more"
    assert lines[12] == cub.ADVICE
