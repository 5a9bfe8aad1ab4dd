"""Writers of the official layouts as real files, in small; every test changes what it is about."""

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

CARS = ("AM General Hummer SUV 2000", "Acura RL Sedan 2012", "Ram C/V Cargo Van Minivan 2012")


@pytest.fixture
def write_image():
    """Writes a small JPEG whose middle grey level is ``level``."""

    def write(path, level=128, size=(12, 16)):
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((*size, 3), level, np.uint8)).save(path, "JPEG")
        return path

    return write


@pytest.fixture
def cub_lists():
    """The five lists of a CUB with 3 classes of ids 2, 5 and 9, rows of every list in another order."""
    return {
        "classes.txt": ["5 005.Crested_Auklet", "2 002.Laysan_Albatross", "9 009.Brewer_Blackbird"],
        "images.txt": [
            "11 009.Brewer_Blackbird/c1.jpg",
            "3 002.Laysan_Albatross/a1.jpg",
            "4 002.Laysan_Albatross/a2.jpg",
            "7 005.Crested_Auklet/b1.jpg",
            "8 005.Crested_Auklet/b2.jpg",
            "12 009.Brewer_Blackbird/c2.jpg",
        ],
        "image_class_labels.txt": ["3 2", "7 5", "11 9", "12 9", "8 5", "4 2"],
        "train_test_split.txt": ["12 0", "11 1", "8 1", "7 0", "4 1", "3 0"],
        "bounding_boxes.txt": ["3 60.0 27.0 325.0 304.0"],
    }


@pytest.fixture
def write_lists():
    """Writes a dict of file name -> lines below a folder and returns the folder."""

    def write(root, lists):
        for name, lines in lists.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        return root

    return write


@pytest.fixture
def write_cub(write_lists, write_image, cub_lists):
    """A sound CUB folder with its images."""

    def write(root):
        for line in cub_lists["images.txt"]:
            write_image(root / "images" / line.split(" ")[1])
        return write_lists(root, cub_lists)

    return write


@pytest.fixture
def aircraft_lists():
    return {
        "data/variants.txt": ["707-320", "DC-10", "F/A-18", "Cessna 172"],
        "data/images_variant_trainval.txt": [
            "1025794 F/A-18",
            "0034309 707-320",
            "0081907 Cessna 172",
            "1236289 DC-10",
            "0450014 F/A-18",
        ],
        "data/images_variant_test.txt": ["0062765 Cessna 172", "1514522 F/A-18", "0747566 707-320"],
    }


@pytest.fixture
def save_struct():
    """Saves ``annotations`` as MATLAB does: a 1 x n struct array whose every value is an array of its own."""

    def save(path, rows, class_names=None, fields=None):
        path.parent.mkdir(parents=True, exist_ok=True)
        fields = fields or list(rows[0])
        array = np.empty((1, len(rows)), dtype=[(field, object) for field in fields])
        for index, row in enumerate(rows):
            for field in fields:
                value = row[field]
                array[0, index][field] = value if isinstance(value, str) else np.array([[value]])
        content = {"annotations": array}
        if class_names is not None:
            content["class_names"] = _cell(class_names)
        savemat(path, content)
        return path

    return save


def _cell(texts):
    cell = np.empty((1, len(texts)), dtype=object)
    cell[0, :] = texts
    return cell


@pytest.fixture
def save_class_names():
    def save(path, names=CARS):
        path.parent.mkdir(parents=True, exist_ok=True)
        savemat(path, {"class_names": _cell(names)})
        return path

    return save


@pytest.fixture
def car_row():
    """A row of ``annotations``: a box, a uint8 class, and the name under its field."""

    def row(name, class_id, field="fname", **more):
        box = {f"bbox_{corner}": np.uint16(30) for corner in ("x1", "y1", "x2", "y2")}
        return {**box, "class": np.uint8(class_id), field: name, **more}

    return row


@pytest.fixture
def write_cars(save_struct, save_class_names, car_row):
    """Layout (a) without images: rows are (file name, class id), the labelled test file goes to ``place``."""

    def write(root, train=None, test=None, names=CARS, place=""):
        train = train or [("00002.jpg", 3), ("00001.jpg", 1), ("00003.jpg", 2)]
        test = test or [("00001.jpg", 2), ("00002.jpg", 3)]
        save_class_names(root / "devkit" / "cars_meta.mat", names)
        save_struct(root / "devkit" / "cars_train_annos.mat", [car_row(*row) for row in train])
        save_struct(root / place / "cars_test_annos_withlabels.mat", [car_row(*row) for row in test])
        return root

    return write


@pytest.fixture
def real_cub(shared):
    """The folder that holds the real subset of CUB-200-2011."""
    if not (shared / "data" / "CUB_200_2011" / "images.txt").is_file():
        pytest.skip(f"needs real photographs: no {shared}/data/CUB_200_2011 (set DCAL_SHARED)")
    return shared / "data"
