"""The data check: everything wrong by name, nothing stops it, the exit code tells."""

import io
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool

import pytest

from benchmark.data.check import check, check_all, print_reports
from benchmark.data.registry import DATASETS
from benchmark.errors import SettingsError


def text_of(report):
    out = io.StringIO()
    print_reports([report], out)
    return out.getvalue()


@pytest.fixture
def cub(tmp_path, write_cub):
    return write_cub(tmp_path / "CUB_200_2011")


def test_a_sound_subset_is_reported_in_plain_words(tmp_path, cub):
    report = check("cub", tmp_path, decode=True)
    assert report.sound
    assert text_of(report) == (
        f"cub: CUB-200-2011 at {cub}\n"
        "  subset: 3 of 200 classes, 3 of 5,994 train and 3 of 5,794 test images\n"
        "  6 of 6 image files are there\n"
        "  6 of 6 image files decode\n"
        "  sound\n"
    )


def test_without_decoding_the_report_says_so(tmp_path, cub):
    (cub / "images" / "002.Laysan_Albatross" / "a1.jpg").write_bytes(b"no image")
    report = check("cub", tmp_path, decode=False)
    assert report.sound
    assert "  images not decoded\n" in text_of(report)


def test_missing_and_damaged_images_are_all_named(tmp_path, cub):
    missing = cub / "images" / "005.Crested_Auklet" / "b1.jpg"
    missing.unlink()
    empty, cut = (cub / "images" / "002.Laysan_Albatross" / name for name in ("a1.jpg", "a2.jpg"))
    empty.write_bytes(b"")
    cut.write_bytes(cut.read_bytes()[:-40])
    report = check("cub", tmp_path, decode=True)
    assert not report.sound
    assert report.missing == ("images/005.Crested_Auklet/b1.jpg",)
    assert [line.split(": ")[0] for line in report.unreadable] == [str(cut), str(empty)]
    text = text_of(report)
    assert "  5 of 6 image files are there\n  missing: 1\n    images/005.Crested_Auklet/b1.jpg\n" in text
    assert "  3 of 5 image files decode\n  unreadable: 2\n" in text
    assert text.endswith("  NOT SOUND\n")


def test_two_processes_find_what_one_finds(tmp_path, cub):
    (cub / "images" / "002.Laysan_Albatross" / "a1.jpg").write_bytes(b"no image")
    one, two = (check("cub", tmp_path, decode=True, jobs=jobs) for jobs in (1, 2))
    assert len(one.unreadable) == 1
    assert two == one


def test_a_killed_decoding_process_is_reported_beside_the_rest(tmp_path, cub, monkeypatch):
    def killed(*_, **__):
        raise BrokenProcessPool

    monkeypatch.setattr(ProcessPoolExecutor, "map", killed)
    next(cub.rglob("*.jpg")).unlink()
    report = check("cub", tmp_path, decode=True, jobs=2)
    assert report.contradictions == (
        "a decoding process was killed, expected it to finish; check with one job",
    )
    assert (len(report.missing), report.decoded, report.sound) == (1, False, False)
    assert "  images not decoded\n" in text_of(report)


def test_the_limit_counts_the_rest(tmp_path, cub):
    for file in sorted(cub.rglob("*.jpg"))[:5]:
        file.unlink()
    report = check("cub", tmp_path, decode=False, limit=2)
    assert len(report.missing) == 5
    assert "    … and 3 more\n" in text_of(report)
    assert text_of(report).count(".jpg\n") == 2


def test_every_contradiction_and_the_advice_are_printed(tmp_path, cub):
    with (cub / "train_test_split.txt").open("a") as file:
        file.writelines(f"{image} 3\n" for image in range(100, 115))
    report = check("cub", tmp_path, decode=True, limit=12)
    assert len(report.contradictions) == 15
    text = text_of(report)
    assert "  lists not usable\n  contradictions: 15\n    train_test_split.txt, line 7: found '3'" in text
    assert "    … and 3 more\n  Unpack the official archive again" in text
    assert not report.sound


def test_a_folder_without_its_lists_is_found_but_not_sound(tmp_path):
    (tmp_path / "fgvc-aircraft-2013b").mkdir()
    report = check("aircraft", tmp_path, decode=False)
    assert report.root == tmp_path / "fgvc-aircraft-2013b"
    assert "variants.txt" in report.contradictions[0]
    assert not report.sound


def test_more_images_than_official_are_a_contradiction(tmp_path, cub, monkeypatch):
    monkeypatch.setitem(DATASETS["cub"].official, "test", 2)
    report = check("cub", tmp_path, decode=False)
    assert report.contradictions == (
        "found 3 test images, expected at most the official 2; unpack the official archive again",
    )
    assert not report.sound


def test_one_broken_dataset_does_not_keep_the_next_from_its_report(tmp_path, cub, write_cars):
    (tmp_path / "fgvc-aircraft-2013b").mkdir()
    root = write_cars(tmp_path / "stanford_cars")
    (root / "devkit" / "cars_train_annos.mat").write_bytes(b"no MATLAB file")
    out = io.StringIO()
    assert check_all(("aircraft", "cars", "cub"), tmp_path, True, 10, 1, out) == 1
    lines = out.getvalue().splitlines()
    assert [line.split(":")[0] for line in lines if line[0] != " "] == [
        "aircraft",
        "cars",
        "cub",
        "3 of 3 datasets found, 1 of them sound",
    ]
    assert "cars_train_annos.mat: found 14 bytes that cannot be read as a MATLAB file" in out.getvalue()


def test_a_folder_that_cannot_be_looked_at_is_reported(tmp_path):
    out = io.StringIO()
    assert check_all(("cub",), tmp_path / ("x" * 300), False, 10, 1, out) == 1
    assert "cannot look there" in out.getvalue()


def test_absent_datasets_do_not_spoil_sound_ones(tmp_path, cub):
    out = io.StringIO()
    assert check_all(("cub", "cars", "aircraft", "veri"), tmp_path, False, 10, 1, out) == 0
    assert f"cars: Stanford Cars: not found; looked for {tmp_path}/stanford_cars, " in out.getvalue()
    assert "veri: re-identification datasets are not checked yet\n" in out.getvalue()
    assert out.getvalue().endswith("1 of 4 datasets found, 1 of them sound\n")


@pytest.mark.parametrize("data_root", [None, "empty"])
def test_nothing_found_is_a_failure(tmp_path, data_root):
    out = io.StringIO()
    assert check_all(("cub", "cars"), data_root and tmp_path / data_root, False, 10, 1, out) == 1
    assert out.getvalue().endswith("0 of 2 datasets found, 0 of them sound\n")


def test_an_unknown_dataset_is_a_settings_error(tmp_path):
    with pytest.raises(SettingsError, match="unknown dataset 'birds'"):
        check("birds", tmp_path, decode=False)


def test_all_images_of_the_real_subset_decode(real_cub):
    report = check("cub", real_cub, decode=True)
    assert (report.images, report.missing, report.unreadable) == (1402, (), ())
    assert report.sound
