"""Lists, annotation files and names that are damaged, absurd or hostile: refused by name and line, or read whole."""

import os

import pytest
from campaigns import mutated_lists as campaign
from campaigns.sound_lists import WRITERS

from benchmark.config.datasets import DATASETS
from benchmark.config.places import Places
from benchmark.data import locate, splits
from benchmark.data.readers import veri
from benchmark.data.splits import Contradictions, missing_files
from benchmark.errors import DataError, SettingsError

DIGITS = "9" * 5000  # Python refuses to make a number of more than 4,300


@pytest.fixture
def write(tmp_path):
    """Writes a dataset and replaces one line of one of its lists; returns the list."""

    def write(key, name="", old="", new=""):
        root = tmp_path / DATASETS[key].folders[0]
        WRITERS[key](root)
        path = root / name
        if name:
            text = path.read_text()
            assert old in text
            path.write_text(text.replace(old, new, 1))
        return path

    return write


def refusal(key, data):
    with pytest.raises(DataError) as error:
        (locate.load_fgvc if DATASETS[key].task == "fgvc" else locate.load_reid)(key, data)
    if isinstance(error.value, Contradictions):
        return "\n".join(error.value.problems)
    return str(error.value)


@pytest.mark.parametrize(
    "number", [DIGITS, "4294967296", "-3", "1.0", "٣", "1_0"], ids=lambda text: text[:10]
)
@pytest.mark.parametrize(
    ("key", "name", "old", "words"),
    [
        ("cub", "classes.txt", "2 002", "classes.txt, line 2"),
        ("cub", "images.txt", "\n3 ", "images.txt, line 3"),
        ("cub", "image_class_labels.txt", "\n3 1", "image_class_labels.txt, line 3"),
        ("msmt17", "list_query.txt", " 0\n", "list_query.txt, line 1"),
    ],
)
def test_a_number_that_is_none_of_nine_digits_is_named_by_line(
    key, name, old, words, number, write, tmp_path
):
    new = f"\n3 {number}" if name == "image_class_labels.txt" else old.replace(old.strip()[0], number, 1)
    write(key, name, old, new)
    if len(number) == 5000:
        words = f"{name}, line {words.rpartition(' ')[2]}: found 5,0"
    assert words in refusal(key, tmp_path)


@pytest.mark.parametrize(
    ("key", "name", "old"),
    [
        ("veri", "name_query.txt", "0010_c001"),
        ("market", "query/0010_c1s1_000010_00.jpg", ""),
        ("duke", "query/0010_c1_f0000010.jpg", ""),
    ],
)
@pytest.mark.parametrize("place", ["identity", "camera"])
def test_an_identity_or_camera_of_more_than_nine_digits_does_not_parse(
    key, name, old, place, write, tmp_path
):
    path = write(key) / name if key == "veri" else write(key, name)
    many = "1" * 150
    if key == "veri":
        new = f"{many}_c001" if place == "identity" else f"0010_c{many}"
        path.write_text(path.read_text().replace(old, new, 1))
    else:
        new = f"{many}_c1" if place == "identity" else f"0010_c{many}"
        path.rename(path.with_name(path.name.replace("0010_c1", new)))
    said = refusal(key, tmp_path)
    assert "the name says neither identity nor camera" in said
    assert many in said


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("../../../etc/x.jpg", "leads out of the dataset's folder"),
        ("a/../../x.jpg", "leads out of the dataset's folder"),
        ("x" * 300 + ".jpg", "a name of more than 255 bytes"),
        ("é" * 130 + ".jpg", "a name of more than 255 bytes"),
    ],
)
def test_a_path_out_of_the_dataset_or_of_no_file_is_refused(path, words, write, tmp_path):
    write("cub", "images.txt", "/Bird_0_1.jpg", f"/{path}")
    assert words in refusal("cub", tmp_path)
    assert any(words in problem for problem in splits.outside_problems([path]))


def test_an_absolute_path_is_refused():
    (problem,) = splits.outside_problems(["a/b.jpg", "/etc/passwd"])
    assert problem.startswith("'/etc/passwd' leads out of the dataset's folder")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"1 a\x00b\n", r"line 1: found the control character '\x00'"),
        (b"1 a\n2 \x1b[2Jb\n", r"line 2: found the control character '\x1b'"),
        ("1 ä\n".encode("utf-16"), "found a byte that is not UTF-8 text"),
        (b"1 " + b"x" * 1000, "line 1: found 1,002 characters, expected at most 1,000"),
        (b"\n \n", "the list is empty"),
    ],
)
def test_a_list_that_is_no_plain_text_is_refused_by_line(content, words, tmp_path):
    path = tmp_path / "classes.txt"
    path.write_bytes(content)
    with pytest.raises(DataError) as error:
        splits.numbered_lines(path)
    assert str(error.value).startswith(str(path))
    assert words in str(error.value)


@pytest.mark.parametrize("content", [b"\xef\xbb\xbf1 a\r\n2 b\r\n", b"1 a\r2 b\r", b"1 a\n2 b"])
def test_a_byte_order_mark_and_every_systems_line_ends_are_read(content, tmp_path):
    (tmp_path / "classes.txt").write_bytes(content)
    assert splits.numbered_lines(tmp_path / "classes.txt") == [(1, "1 a"), (2, "2 b")]


def place_pipe(path):
    os.mkfifo(path)
    return "it is a named pipe, expected a file"


def place_folder(path):
    path.mkdir()
    return "it is a folder, expected a file"


def place_too_large(path):
    with open(path, "wb") as stream:
        stream.truncate(2**30)
    return "it has 1,073,741,824 bytes, expected at most 67,108,864"


def place_own_link(path):
    path.symlink_to(path.name)
    return "it is a link that leads back to itself"


@pytest.mark.parametrize("place", [place_pipe, place_folder, place_too_large, place_own_link])
@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("cub", "images.txt"),
        ("aircraft", "data/variants.txt"),
        ("veri", "name_train.txt"),
        ("veri", "test_label.xml"),
        ("msmt17", "list_val.txt"),
    ],
)
def test_what_is_no_list_is_named_and_never_waited_for(key, name, place, write, tmp_path):
    path = write(key, name)
    path.unlink()
    words = place(path)
    said = refusal(key, tmp_path)
    assert words in said
    assert path.name in said
    if name != "test_label.xml":  # no part of it
        with pytest.raises(DataError, match=path.name):
            locate.fingerprint(tmp_path / DATASETS[key].folders[0], key)


def test_the_search_of_an_xml_file_takes_time_in_proportion_to_its_length(tmp_path):
    """2 MB of letters would take hours if every one of them were the start of a search to the end."""
    path = tmp_path / "train_label.xml"
    path.write_text("<Item " + "a" * 2_000_000 + ' imageName="x" vehicleID="1"/>')
    assert veri._contradictions(path, []) == []


def test_a_folder_that_may_not_be_read_is_said_to_be_one(write, tmp_path, monkeypatch):
    """As root may read everything, the system's answer is put in its place."""
    root = write("cub")
    plain = os.stat

    def stat(path, *arguments, **options):
        if str(path).startswith(f"{root}/images"):
            raise PermissionError(13, "Permission denied", str(path))
        return plain(path, *arguments, **options)

    dataset = locate.load_fgvc("cub", tmp_path)
    monkeypatch.setattr(os, "stat", stat)
    with pytest.raises(DataError, match=f"cannot read {root}/images.*: this user may not read it"):
        missing_files(dataset.root, dataset.pictures)


@pytest.mark.parametrize("name", ["data", "weights"])
@pytest.mark.parametrize("what", ["file", "pipe", "long name", "own link"])
def test_places_that_are_no_folders_are_refused_in_words(name, what, tmp_path):
    path = tmp_path / ("x" * 300 if what == "long name" else "place")
    if what == "file":
        path.touch()
    elif what == "pipe":
        os.mkfifo(path)
    elif what == "own link":
        path.symlink_to(path.name)
    given = {"data": None, "weights": None, name: path}
    if (name, what) == ("weights", "file"):
        assert Places.of("paper", tmp_path, None, path).weights == path
        return
    words = {"long name": "the name is too long", "own link": "a link that leads back"}.get(
        what, "is no folder"
    )
    with pytest.raises(SettingsError, match=f"^{name.upper()}.*{words}"):
        Places.of("paper", tmp_path, given["data"], given["weights"])


def test_places_that_this_user_may_not_list_are_refused(tmp_path, monkeypatch):
    def scandir(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(os, "scandir", scandir)
    for given in ((tmp_path, None), (None, tmp_path)):
        with pytest.raises(SettingsError, match=f"cannot read {tmp_path}: this user may not read it"):
            Places.of("paper", tmp_path, *given)


def test_places_that_do_not_exist_yet_are_none_of_these(tmp_path):
    assert Places.of("paper", tmp_path, tmp_path / "data", tmp_path / "weights").data == tmp_path / "data"


def test_a_sample_of_the_campaign(tmp_path):
    """Without MATLAB files, each of which would take a process of its own."""
    counts = {"cub": 24, "aircraft": 20, "veri": 24, "msmt17": 24, "market": 14, "duke": 14}
    outcomes = campaign.campaign(tmp_path, counts, seed=1)
    assert sum(outcomes.values()) == sum(counts.values())
    assert {outcome for _, outcome in outcomes} <= {"same", "changed", "refused by file", "refused by folder"}
    assert sum(count for (_, outcome), count in outcomes.items() if outcome == "refused by file") > 40
