"""Stanford Cars from real MATLAB files, in both published layouts."""

import numpy as np
import pytest
from scipy.io import loadmat, savemat

from benchmark.data.readers import cars
from benchmark.data.splits import Contradictions
from benchmark.errors import DataError

NAMES = ("AM General Hummer SUV 2000", "Acura RL Sedan 2012", "Ram C/V Cargo Van Minivan 2012")
pytestmark = pytest.mark.usefixtures("matlab_in_this_process")
LABELLED = "cars_test_annos_withlabels.mat"


def problems(root):
    with pytest.raises(Contradictions) as caught:
        cars.read(root)
    return caught.value.problems


@pytest.fixture
def write_joint(save_struct, car_row):
    """Layout (b): rows are (file name, class id, in test)."""

    def write(root, rows=(("000003.jpg", 3, 0), ("000001.jpg", 1, 0), ("000002.jpg", 3, 1))):
        rows = [
            car_row(f"car_ims/{name}", class_id, "relative_im_path", test=np.uint8(test))
            for name, class_id, test in rows
        ]
        save_struct(root / "cars_annos.mat", rows, class_names=NAMES)
        return root

    return write


def test_the_files_written_here_nest_values_as_the_official_ones_do(tmp_path, write_cars):
    write_cars(tmp_path)
    annotations = loadmat(tmp_path / "devkit" / "cars_train_annos.mat")["annotations"]
    assert annotations.shape == (1, 3)
    assert annotations[0, 0]["class"].dtype == np.uint8
    assert annotations[0, 0]["class"].shape == (1, 1)
    assert annotations.dtype.names == ("bbox_x1", "bbox_y1", "bbox_x2", "bbox_y2", "class", "fname")


@pytest.mark.parametrize("place", ["", "devkit"])
def test_layout_a_is_read_with_test_labels_in_either_place(tmp_path, write_cars, place):
    dataset = cars.read(write_cars(tmp_path, place=place))
    assert dataset.key == "cars"
    assert dataset.classes == NAMES
    assert dataset.train.files == ("cars_train/00002.jpg", "cars_train/00001.jpg", "cars_train/00003.jpg")
    assert dataset.train.labels == (2, 0, 1)
    assert dataset.test.files == ("cars_test/00001.jpg", "cars_test/00002.jpg")
    assert dataset.test.labels == (1, 2)


def test_layout_b_is_read_and_split_by_its_test_field(tmp_path, write_joint):
    dataset = cars.read(write_joint(tmp_path))
    assert dataset.train.files == ("car_ims/000003.jpg", "car_ims/000001.jpg")
    assert dataset.classes == (NAMES[0], NAMES[2])
    assert dataset.train.labels == (1, 0)
    assert dataset.test.files == ("car_ims/000002.jpg",)
    assert dataset.test.labels == (1,)


def test_a_single_row_is_read_as_a_row(tmp_path, write_cars):
    dataset = cars.read(write_cars(tmp_path, train=[("7.jpg", 2)], test=[("9.jpg", 2)]))
    assert (dataset.classes, dataset.train.labels, dataset.test.files) == (
        (NAMES[1],),
        (0,),
        ("cars_test/9.jpg",),
    )


def test_all_196_classes_get_labels_0_to_195(tmp_path, write_cars):
    names = [f"Make {number} Sedan" for number in range(1, 197)]
    rows = [(f"{number:05}.jpg", number) for number in range(196, 0, -1)]
    dataset = cars.read(write_cars(tmp_path, train=rows, test=rows, names=names))
    assert dataset.classes == tuple(names)
    assert dataset.train.labels == tuple(range(195, -1, -1))


def test_fields_are_read_by_name_whatever_their_order(tmp_path, write_cars, save_struct, car_row):
    write_cars(tmp_path)
    rows = [car_row("00005.jpg", 2), car_row("00006.jpg", 3)]
    fields = ["fname", "bbox_y2", "class", "bbox_x1", "bbox_x2", "bbox_y1"]
    save_struct(tmp_path / "devkit" / "cars_train_annos.mat", rows, fields=fields)
    dataset = cars.read(tmp_path)
    assert dataset.train.files == ("cars_train/00005.jpg", "cars_train/00006.jpg")
    assert dataset.train.labels == (0, 1)


def test_a_nested_image_folder_is_found_for_each_split(tmp_path, write_cars):
    (tmp_path / "cars_test" / "cars_test").mkdir(parents=True)
    dataset = cars.read(write_cars(tmp_path))
    assert dataset.test.files[0] == "cars_test/cars_test/00001.jpg"
    assert dataset.train.files[0] == "cars_train/00002.jpg"


def test_absent_classes_are_dropped_in_official_order(tmp_path, write_cars):
    dataset = cars.read(write_cars(tmp_path, train=[("1.jpg", 3), ("2.jpg", 1)], test=[("1.jpg", 3)]))
    assert dataset.classes == (NAMES[0], NAMES[2])
    assert (dataset.train.labels, dataset.test.labels) == ((1, 0), (1,))


def test_a_class_with_test_but_no_train_images_is_refused(tmp_path, write_cars):
    root = write_cars(tmp_path, train=[("1.jpg", 1)], test=[("1.jpg", 1), ("2.jpg", 3)])
    assert problems(root) == (
        "class 'Ram C/V Cargo Van Minivan 2012' has test but no train images, expected both",
    )


@pytest.mark.parametrize("bad", [0, 4, 196])
def test_a_class_out_of_range_is_named_by_file_and_row(tmp_path, write_cars, bad):
    root = write_cars(tmp_path, train=[("1.jpg", 1), ("2.jpg", 2), ("3.jpg", bad)])
    (found,) = problems(root)
    assert found.startswith("cars_train_annos.mat, row 3: class is ")
    assert f"{bad}" in found.split("expected")[0]
    assert found.endswith("expected 1 to 3, the number of class_names")


def test_values_of_the_wrong_kind_are_all_named(tmp_path, write_cars, save_struct, car_row):
    write_cars(tmp_path)
    rows = [
        {**car_row("1.jpg", 1), "class": 1.5},
        {**car_row("2.jpg", 1), "class": np.nan},
        {**car_row("3.jpg", 1), "class": "two"},
        {**car_row("4.jpg", 1), "fname": 4},
        car_row("5.jpg", 1),
    ]
    save_struct(tmp_path / "devkit" / "cars_train_annos.mat", rows)
    found = problems(tmp_path)
    assert [text.split(":")[0] for text in found] == [f"cars_train_annos.mat, row {n}" for n in (1, 2, 3, 4)]
    assert "'fname'" in found[3]


def test_one_image_twice_is_named(tmp_path, write_cars):
    root = write_cars(tmp_path, test=[("00001.jpg", 1), ("00002.jpg", 2), ("00001.jpg", 3)])
    assert problems(root) == ("cars_test/00001.jpg is listed twice (test and test), expected once",)


def test_a_test_flag_other_than_0_or_1_is_named(tmp_path, write_joint):
    root = write_joint(tmp_path, (("1.jpg", 1, 0), ("2.jpg", 1, 2)))
    (found,) = problems(root)
    assert found.startswith("cars_annos.mat, row 2: 'test' is ")
    assert found.endswith("expected 0 or 1")


def test_missing_test_labels_are_said_to_be_missing(tmp_path, write_cars, save_struct, car_row):
    write_cars(tmp_path)
    (tmp_path / LABELLED).unlink()
    with pytest.raises(DataError, match=f"found no {LABELLED}, so the test split has no labels"):
        cars.read(tmp_path)
    unlabelled = {field: value for field, value in car_row("1.jpg", 1).items() if field != "class"}
    save_struct(tmp_path / "devkit" / "cars_test_annos.mat", [unlabelled])
    with pytest.raises(DataError, match=f"found cars_test_annos.mat, which has no labels, but no {LABELLED}"):
        cars.read(tmp_path)


def test_the_unlabelled_file_under_the_labelled_name_is_told(tmp_path, write_cars, save_struct, car_row):
    write_cars(tmp_path)
    unlabelled = {field: value for field, value in car_row("1.jpg", 1).items() if field != "class"}
    save_struct(tmp_path / LABELLED, [unlabelled])
    with pytest.raises(DataError, match=r"bbox_y2, fname, expected also class\."):
        cars.read(tmp_path)


@pytest.mark.parametrize("name", ["cars_meta.mat", "cars_train_annos.mat"])
def test_a_missing_devkit_file_is_named(tmp_path, write_cars, name):
    write_cars(tmp_path)
    (tmp_path / "devkit" / name).unlink()
    with pytest.raises(DataError, match=f": missing .*{name}"):
        cars.read(tmp_path)


@pytest.mark.parametrize("cut", [0, 60, 200])
def test_a_cut_matlab_file_is_named(tmp_path, write_cars, cut):
    file = write_cars(tmp_path) / "devkit" / "cars_train_annos.mat"
    file.write_bytes(file.read_bytes()[:cut])
    with pytest.raises(DataError, match=rf"cars_train_annos\.mat: found {cut} bytes"):
        cars.read(tmp_path)


def test_a_file_without_the_variable_says_what_it_holds(tmp_path, write_cars):
    savemat(write_cars(tmp_path) / "devkit" / "cars_meta.mat", {"names": [1], "other": [2]})
    with pytest.raises(DataError, match="found names, other, expected the variable 'class_names'"):
        cars.read(tmp_path)


def test_an_empty_struct_array_is_refused(tmp_path, write_cars):
    savemat(write_cars(tmp_path) / LABELLED, {"annotations": np.empty((1, 0), dtype=[("class", object)])})
    with pytest.raises(DataError, match=rf"{LABELLED}: 'annotations' is empty"):
        cars.read(tmp_path)


def test_joint_labels_beside_the_split_folders_are_refused_with_a_reason(tmp_path, write_joint):
    (tmp_path / "cars_train").mkdir()
    with pytest.raises(DataError, match="rows name images in car_ims, beside the folders cars_train"):
        cars.read(write_joint(tmp_path))


def test_layout_a_wins_where_both_are_there(tmp_path, write_cars, write_joint):
    dataset = cars.read(write_joint(write_cars(tmp_path)))
    assert dataset.train.files[0] == "cars_train/00002.jpg"
