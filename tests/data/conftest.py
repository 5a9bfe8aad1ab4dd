"""Writers of the official layouts as real files, in small; every test changes what it is about."""

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from benchmark.data.readers import matlab_files, matlab_reader

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
def write_pictures(write_image):
    """Writes small pictures by a dict of folder -> names below a folder and returns that."""

    def write(root, names):
        for folder, files in names.items():
            (root / folder).mkdir(parents=True, exist_ok=True)
            for name in files:
                write_image(root / folder / name)
        return root

    return write


@pytest.fixture
def market_names():
    """3 training identities, 3 queries, a gallery with junk (-1) and distractors (0000)."""
    return {
        "bounding_box_train": [
            "0010_c6s3_077467_02.jpg",
            "0002_c1s1_000451_03.jpg",
            "0002_c2s1_000301_01.jpg",
            "0007_c3s3_077419_03.jpg",
        ],
        "query": ["0003_c4s6_015641_00.jpg", "0001_c1s1_001051_00.jpg", "0001_c2s1_000301_00.jpg"],
        "bounding_box_test": [
            "-1_c1s1_000401_03.jpg",
            "0000_c6s4_002427_04.jpg",
            "0001_c1s1_001051_03.jpg",
            "0001_c2s1_000326_01.jpg",
            "0003_c1s6_015996_01.jpg",
            "0000_c1s1_000151_01.jpg",
        ],
    }


@pytest.fixture
def duke_names():
    return {
        "bounding_box_train": ["0001_c2_f0046182.jpg", "0001_c8_f0046302.jpg", "0009_c2_f0091680.jpg"],
        "query": ["0005_c2_f0046985.jpg"],
        "bounding_box_test": ["0005_c5_f0052139.jpg", "7139_c2_f0152150.jpg"],
    }


@pytest.fixture
def msmt17_lists():
    """Identities 0 and 1 of training are not those of the test lists."""
    return {
        "list_train.txt": [
            "0001/0001_000_14_0303morning_0022_0.jpg 1",
            "0000/0000_000_01_0303morning_0015_0.jpg 0",
            "0000/0000_002_15_0303noon_0027_1.jpg 0",
        ],
        "list_val.txt": ["0001/0001_001_03_0113afternoon_0941_0.jpg 1"],
        "list_query.txt": ["0000/0000_000_05_0303morning_0125_1.jpg 0"],
        "list_gallery.txt": [
            "0001/0001_000_07_0302noon_2110_0.jpg 1",
            "0000/0000_001_06_0303morning_0130_0.jpg 0",
        ],
    }


@pytest.fixture
def write_msmt17(write_lists, write_image, msmt17_lists):
    """Writes the lists, and the pictures they name into the folders of a version."""

    def write(root, train="train", test="test"):
        for name, lines in msmt17_lists.items():
            folder = train if name in ("list_train.txt", "list_val.txt") else test
            for line in lines:
                write_image(root / folder / line.split(" ")[0])
        return write_lists(root, msmt17_lists)

    return write


@pytest.fixture
def veri_lists():
    """The queries are in the gallery as well, as in the official lists."""
    return {
        "name_train.txt": [
            "0003_c001_00000101_0.jpg",
            "0001_c001_00016450_0.jpg",
            "0001_c020_00016460_0.jpg",
        ],
        "name_query.txt": ["0002_c002_00030600_0.jpg"],
        "name_test.txt": [
            "0002_c002_00030600_0.jpg",
            "0002_c003_00030640_1.jpg",
            "0005_c004_00076635_0.jpg",
        ],
    }


@pytest.fixture
def veri_xml():
    """Writes a label file as the official ones are: gb2312 declared, with a byte that is not."""

    def write(path, names, extra=()):
        items = [
            f'<Item imageName="{name}" vehicleID="{name[:4]}" cameraID="{name[5:9]}" colorID="1" typeID="4" />'
            for name in names
        ]
        body = "\n".join([*items, *extra])
        head = '<?xml version="1.0" encoding="gb2312"?>\n<TrainingImages Version="1.0">\n<Items number="9">\n'
        path.write_bytes(f"{head}{body}\n</Items>\n</TrainingImages>\n".encode() + b"<!-- \xff\xb3 -->\n")
        return path

    return write


@pytest.fixture
def write_veri(write_lists, write_image, veri_lists, veri_xml):
    def write(root):
        for name, lines in veri_lists.items():
            for line in lines:
                write_image(root / name.replace("name", "image").removesuffix(".txt") / line)
        veri_xml(root / "train_label.xml", veri_lists["name_train.txt"])
        veri_xml(root / "test_label.xml", veri_lists["name_test.txt"])
        return write_lists(root, veri_lists)

    return write


@pytest.fixture
def real_veri(shared):
    """The folder that holds real pictures in the layout of VeRi-776."""
    if not (shared / "data" / "VeRi_776" / "name_train.txt").is_file():
        pytest.skip(f"needs real photographs: no {shared}/data/VeRi_776 (set DCAL_SHARED)")
    return shared / "data"


@pytest.fixture
def real_cub(shared):
    """The folder that holds the real subset of CUB-200-2011."""
    if not (shared / "data" / "CUB_200_2011" / "images.txt").is_file():
        pytest.skip(f"needs real photographs: no {shared}/data/CUB_200_2011 (set DCAL_SHARED)")
    return shared / "data"


@pytest.fixture
def matlab_in_this_process(monkeypatch, capsys):
    """Reads MATLAB files without the half second that a process of its own takes to start."""

    def run(request):
        monkeypatch.setattr("sys.argv", ["", request])
        monkeypatch.setattr(matlab_reader.resource, "setrlimit", lambda *_: None)
        matlab_reader.main()
        return capsys.readouterr().out.splitlines(keepends=True), "it crashed"

    monkeypatch.setattr(matlab_files, "_run", run)
