"""The data check: everything wrong by name, nothing stops it, the exit code tells."""

import io
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool

import pytest

from benchmark.__main__ import main
from benchmark.config.datasets import DATASETS
from benchmark.data.check import check, check_all, print_reports
from benchmark.errors import DataError, SettingsError


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
    (said,) = report.contradictions
    assert said.startswith(
        "one of 2 decoding processes was killed, probably by the system because memory ran out"
    )
    assert "taskset -c 0 make check-data" in said
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


def test_a_folder_that_no_file_system_can_have_is_refused_once(tmp_path, capsys):
    with pytest.raises(
        DataError, match=r"^cannot read .*characters\): the name is too long for this file system"
    ):
        check_all(("cub",), tmp_path / ("x" * 300), False, 10, 1, io.StringIO())
    assert main(["check-data", "--profile", "paper", "--data", str(tmp_path / ("x" * 300))]) == 2
    said = capsys.readouterr()
    assert (said.out, said.err.count("the name is too long")) == ("", 1)


@pytest.mark.parametrize("profile", ["paper", "mini"])
def test_a_folder_that_does_not_exist_is_said_once_and_is_a_failure(profile, tmp_path, capsys):
    assert main(["check-data", "--profile", profile, "--data", str(tmp_path / "nope")]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith(f"error: DATA={tmp_path}/nope does not exist: expected the folder that holds")
    assert said.err.count("\n") == 1


def test_absent_datasets_do_not_spoil_sound_ones(tmp_path, cub):
    out = io.StringIO()
    assert check_all(("cub", "cars", "aircraft", "veri"), tmp_path, False, 10, 1, out) == 0
    assert f"cars: Stanford Cars: not found; looked for {tmp_path}/stanford_cars, " in out.getvalue()
    assert f"veri: VeRi-776: not found; looked for {tmp_path}/VeRi_776, " in out.getvalue()
    assert out.getvalue().endswith("1 of 4 datasets found, 1 of them sound\n")


def test_a_sound_re_identification_subset_is_reported_in_plain_words(tmp_path, write_pictures, market_names):
    root = write_pictures(tmp_path / "Market-1501-v15.09.15", market_names)
    report = check("market", tmp_path, decode=True)
    assert text_of(report) == (
        f"market: Market-1501 at {root}\n"
        "  subset: 3 of 751 identities, 4 of 12,936 train images, 3 of 3,368 queries, 5 of 15,913 gallery images\n"
        "  12 of 12 image files are there\n"
        "  12 of 12 image files decode\n"
        "  sound\n"
    )


def test_missing_and_damaged_pictures_of_every_split_are_named(tmp_path, write_veri, veri_lists):
    root = write_veri(tmp_path / "VeRi_776")
    gone = root / "image_query" / veri_lists["name_query.txt"][0]
    gone.unlink()
    damaged = [
        root / "image_train" / veri_lists["name_train.txt"][2],
        root / "image_test" / veri_lists["name_test.txt"][0],
    ]
    for file in damaged:
        file.write_bytes(b"no image")
    report = check("veri", tmp_path, decode=True, jobs=1)
    assert report.missing == ("image_query/0002_c002_00030600_0.jpg",)
    assert [line.split(": ")[0] for line in report.unreadable] == [str(file) for file in damaged]
    assert not report.sound


def test_queries_without_an_answer_and_notes_are_warnings_about_a_sound_dataset(
    tmp_path, write_veri, veri_lists
):
    veri_lists["name_query.txt"] += ["0005_c004_00000007_0.jpg", "0006_c004_00000008_0.jpg"]
    (write_veri(tmp_path / "VeRi_776") / "test_label.xml").unlink()
    report = check("veri", tmp_path, decode=False, limit=1)
    assert report.sound
    assert report.warnings == (
        "no test_label.xml: names not checked against it",
        "2 of 3 queries cannot be answered, the gallery has their identity from no other camera: "
        "image_query/0005_c004_00000007_0.jpg, … and 1 more",
    )
    assert "  warnings: 2\n    no test_label.xml: names" in text_of(report)


def test_names_that_do_not_parse_are_contradictions_or_as_asked_a_warning(
    tmp_path, write_pictures, duke_names
):
    duke_names["query"].append("person.jpg")
    write_pictures(tmp_path / "DukeMTMC-reID", duke_names)
    report = check("duke", tmp_path, decode=False)
    assert len(report.contradictions) == 1
    assert "'query/person.jpg'" in text_of(report)
    assert 'SET="data.skip_unparsable=true"' in text_of(report)
    assert not report.sound
    out = io.StringIO()
    options = {"duke": {"skip_unparsable": True}}
    assert check_all(("duke",), tmp_path, False, 10, 1, out, options) == 0
    assert "  warnings: 1\n    1 left out, names that do not parse: query/person.jpg\n" in out.getvalue()


def test_the_check_reads_as_a_run_does(tmp_path, write_msmt17):
    root = write_msmt17(tmp_path / "MSMT17")
    assert "MSMT17 V1, train + val: subset: 2 of" in check("msmt17", tmp_path, decode=False).coverage
    (root / "list_val.txt").unlink()
    assert "list_val.txt" in check("msmt17", tmp_path, decode=False).contradictions[0]
    report = check("msmt17", tmp_path, decode=False, merge_val=False)
    assert report.sound
    assert "MSMT17 V1, train only: subset: 2 of" in report.coverage


@pytest.mark.parametrize(
    ("name", "official", "found"),
    [("gallery", 4, "5 gallery images"), ("train_ids", 2, "3 train identities"), ("query", 2, "3 queries")],
)
def test_more_of_a_re_identification_dataset_than_official_is_a_contradiction(
    tmp_path, write_pictures, market_names, monkeypatch, name, official, found
):
    write_pictures(tmp_path / "Market1501", market_names)
    monkeypatch.setitem(DATASETS["market"].official, name, official)
    assert check("market", tmp_path, decode=False).contradictions == (
        f"found {found}, expected at most the official {official}; unpack the official archive again",
    )


def test_the_command_checks_the_datasets_of_its_cells_with_its_settings(tmp_path, write_msmt17, capsys):
    (write_msmt17(tmp_path / "MSMT17") / "list_val.txt").unlink()
    command = ["check-data", "--profile", "paper", "--data", str(tmp_path), "--cells", "msmt17 cub"]
    assert main(command) == 1
    assert 'SET="data.merge_val=false"' in capsys.readouterr().out
    assert main([*command, "--set", "data.merge_val=false"]) == 0
    out = capsys.readouterr().out
    assert "cub: CUB-200-2011: not found" in out
    assert "MSMT17 V1, train only: subset" in out
    assert "6 of 6 image files decode" in out


def test_real_pictures_in_the_layout_of_veri_decode(real_veri):
    report = check("veri", real_veri, decode=True)
    assert (report.images, report.missing, report.unreadable) == (660, (), ())
    assert report.sound


@pytest.mark.parametrize("data_root", [None, "empty"])
def test_nothing_found_is_a_failure(tmp_path, data_root):
    out = io.StringIO()
    (tmp_path / "empty").mkdir()
    assert check_all(("cub", "cars"), data_root and tmp_path / data_root, False, 10, 1, out) == 1
    assert out.getvalue().endswith("0 of 2 datasets found, 0 of them sound\n")


def test_an_unknown_dataset_is_a_settings_error(tmp_path):
    with pytest.raises(SettingsError, match="unknown dataset 'birds'"):
        check("birds", tmp_path, decode=False)


def test_all_images_of_the_real_subset_decode(real_cub):
    report = check("cub", real_cub, decode=True)
    assert (report.images, report.missing, report.unreadable) == (1402, (), ())
    assert report.sound
