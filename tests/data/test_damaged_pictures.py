"""Pictures that decode although a part is missing: named by the data check, before training, and once while it runs."""

import ctypes
import io
import logging
import os
import zlib

import cv2
import numpy as np
import pytest
from campaigns import damaged_pictures as campaign
from own_folders import write_tiny
from PIL import Image

from benchmark.__main__ import main
from benchmark.config.grid import select
from benchmark.config.resolve import load_profile, resolve
from benchmark.data import decoder_messages, locate
from benchmark.data.check import check
from benchmark.data.images import TestPictures, read_image
from benchmark.data.own.register import register_own
from benchmark.data.picture_check import CheckedPicture, check_picture, refuse_unreadable
from benchmark.data.splits import Contradictions


def half(data):
    """A JPEG whose scan ends half-way: from there on the file holds zeros, up to the end marker."""
    middle = (data.index(b"\xff\xda") + len(data)) // 2
    return data[:middle] + bytes(len(data) - middle - 2) + b"\xff\xd9"


SOUND = campaign.encoded(campaign.generated(0), "jpg")
HALF = half(SOUND)
PREMATURE = "the decoder warns of damage (Corrupt JPEG data: premature end of data segment)"


def stored(path, data):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


@pytest.fixture
def own(tmp_path):
    """A user's own dataset of sound pictures, and the folder it lies in."""
    root = write_tiny(
        tmp_path / "my_birds", [f"{split}/{name}/1.png" for split in ("train", "test") for name in "ab"]
    )
    for number in range(12):
        stored(root / "train" / "a" / f"{number}.jpg", SOUND)
    register_own("my_birds", tmp_path)
    return root


@pytest.fixture
def written(caplog, monkeypatch):
    """Warnings that were logged, by text; nothing was logged before."""
    monkeypatch.setattr("benchmark.data.images._logged", set())
    caplog.set_level(logging.WARNING)
    return lambda: [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]


# ---------------------------------------------------------------- named


def test_a_scan_that_ends_half_way_is_named_and_still_decodes(tmp_path, capfd):
    path = stored(tmp_path / "half.jpg", HALF)
    (remark,) = check_picture(path).remarks
    assert remark.damage
    assert remark.text.startswith(
        f"{path}: {PREMATURE}, a part of the picture may be missing or wrong; fetch this file"
    )
    assert np.array_equal(read_image(path, remark=[].append)[:20], read_image(stored(path, SOUND))[:20])
    assert capfd.readouterr() == ("", "")


def test_the_data_check_counts_and_names_it(tmp_path, write_cub, capsys):
    root = write_cub(tmp_path / "CUB_200_2011")
    file = stored(root / "images" / "002.Laysan_Albatross" / "a1.jpg", HALF)
    report = check("cub", tmp_path, decode=True)
    assert (report.unreadable, report.sound) == ((), False)
    assert [line.partition(", a part")[0] for line in report.damaged] == [f"{file}: {PREMATURE}"]
    assert main(["check-data", "--data", str(tmp_path), "--cells", "cub"]) == 1
    out = capsys.readouterr().out
    assert "  5 of 6 image files decode\n  damaged: 1\n    " + str(file) in out


def test_it_is_refused_before_training_on_own_data(own):
    damaged = stored(own / "train/a/7.jpg", HALF)
    torn = stored(own / "train/a/5.jpg", SOUND[:-40])
    with pytest.raises(Contradictions, match="Nothing was trained") as caught:
        refuse_unreadable(locate.load_fgvc("my_birds", own.parent), 3, lambda: "")
    assert [line.partition(": ")[0] for line in caught.value.problems] == [str(torn), str(damaged)]


@pytest.mark.parametrize("workers", [0, 2])
def test_training_and_evaluation_warn_once_and_go_on(own, written, workers, capfd):
    from benchmark.data.loader import TestLoader, TrainLoader
    from benchmark.data.samplers import ShuffledBatches

    damaged = [stored(own / "train/a/3.jpg", HALF), stored(own / "test/b/1.jpg", HALF)]
    dataset = locate.load_fgvc("my_birds", own.parent)
    settings = resolve(select(["cub/deit_tiny/dcal"])[0], 0, load_profile("mini"), {}).settings.data
    loader = TrainLoader(dataset, settings, ShuffledBatches(len(dataset.train), 5, 0), 0, workers=workers)
    tests = TestLoader(dataset, settings, 2, workers=workers)
    seen = sum(len(batch.images) for epoch in range(3) for batch in loader.epoch(epoch))
    assert seen >= 3 * (len(dataset.train) - 4)
    assert sum(len(batch.images) for _ in range(2) for batch in tests) == 2 * len(dataset.test)
    loader.close()
    tests.close()
    assert [line.partition(", a part")[0] for line in written()] == [
        f"{file}: {PREMATURE}" for file in damaged
    ]
    assert "Corrupt" not in capfd.readouterr().err.replace("(Corrupt", "")


def test_a_picture_of_a_verb_is_warned_of_once(tmp_path, written):
    path = stored(tmp_path / "half.jpg", HALF)
    settings = resolve(select(["cub/deit_tiny/dcal"])[0], 0, load_profile("mini"), {}).settings.data
    pictures = TestPictures.for_dataset("own", settings)
    for _ in range(3):
        pictures(path)
    (line,) = written()
    assert line.startswith(f"{path}: {PREMATURE}")


def png_with(chunk, content, checksum=None):
    """A sound PNG with one more chunk after its head."""
    data = campaign.encoded(campaign.generated(0), "png")
    crc = zlib.crc32(chunk + content) if checksum is None else checksum
    return data[:33] + len(content).to_bytes(4, "big") + chunk + content + crc.to_bytes(4, "big") + data[33:]


def test_a_colour_profile_that_is_odd_is_no_damage(tmp_path):
    path = stored(tmp_path / "x.png", png_with(b"iCCP", b"odd\0\0"))
    assert decoder_messages.collect(lambda: cv2.imread(str(path)))[1]
    assert check_picture(path) == CheckedPicture("")


@pytest.mark.parametrize("chunk", [b"tEXt", b"IEND"])
def test_a_wrong_checksum_anywhere_in_a_png_is_damage(tmp_path, chunk):
    data = campaign.encoded(campaign.generated(0), "png")
    data = data[:-1] + b"!" if chunk == b"IEND" else png_with(chunk, b"a\0b", checksum=1)
    (remark,) = check_picture(stored(tmp_path / "x.png", data)).remarks
    assert f"(libpng warning: {chunk.decode()}: CRC error)" in remark.text


def test_a_strip_of_a_tiff_that_does_not_decode_is_damage(tmp_path):
    data = bytearray(campaign.encoded(campaign.generated(0), "tif lzw"))
    data[len(data) // 2 : len(data) // 2 + 800] = bytes(800)
    path = stored(tmp_path / "x.tif", data)
    (remark,) = check_picture(path).remarks
    assert remark.damage
    assert str(path) in remark.text


# ---------------------------------------------------------------- told apart


def test_threads_that_decode_at_once_name_the_right_pictures(tmp_path):
    assert campaign.decode_in_threads(tmp_path, SOUND, HALF, 90) == []


def print_from_c(text):
    library = ctypes.CDLL(None)
    name = "__stderrp" if os.uname().sysname == "Darwin" else "stderr"
    library.fputs(text.encode(), ctypes.c_void_p.in_dll(library, name))


def test_only_what_is_printed_from_c_while_decoding_is_collected(capfd):
    def decode():
        print_from_c("damage\n")
        os.write(2, b"a heartbeat's line\n")
        return "picture"

    assert decoder_messages.collect(decode) == ("picture", ["damage"])
    print_from_c("later\n")
    assert set(capfd.readouterr().err.splitlines()) == {"a heartbeat's line", "later"}


def test_a_process_forked_while_a_picture_is_decoded_prints_as_usual(capfd):
    def decode():
        child = os.fork()
        if not child:
            print_from_c("from the child\n")
            found = decoder_messages.collect(lambda: print_from_c("its own\n"))
            os._exit(0 if found[1] == ["its own"] else 1)
        return os.waitpid(child, 0)[1]

    assert decoder_messages.collect(decode) == (0, [])
    assert capfd.readouterr().err == "from the child\n"


def test_an_error_while_decoding_gives_stderr_back(capfd):
    with pytest.raises(ZeroDivisionError):
        decoder_messages.collect(lambda: 1 // 0)
    print_from_c("back\n")
    assert capfd.readouterr().err == "back\n"


# ---------------------------------------------------------------- 12 of 16 bits


def sixteen_bits(path, values):
    Image.fromarray(values.astype(np.uint16)).save(path)
    return path


@pytest.mark.parametrize("suffix", ["png", "tif", "pgm"])
@pytest.mark.parametrize(("largest", "dark"), [(4095, True), (255, True), (4096, False), (65535, False)])
def test_values_of_twelve_bits_in_sixteen_are_said(tmp_path, suffix, largest, dark):
    path = sixteen_bits(tmp_path / f"x.{suffix}", np.linspace(0, largest, 48 * 64).round().reshape(48, 64))
    remarks = check_picture(path).remarks
    assert [(remark.damage, remark.topic) for remark in remarks] == ([(False, "dark")] if dark else [])
    assert all("values are all below 4,096" in remark.text for remark in remarks)


def test_a_black_picture_of_eight_bits_is_nothing_odd(tmp_path):
    Image.new("L", (64, 48)).save(tmp_path / "x.png")
    assert check_picture(tmp_path / "x.png") == CheckedPicture("")


def test_dark_pictures_of_own_data_are_said_once_and_trained_on(own, written, tmp_path):
    for number in range(3):
        sixteen_bits(own / "train/b" / f"{number}.png", np.full((48, 64), 4000))
    refuse_unreadable(locate.load_fgvc("my_birds", own.parent), 2, lambda: "")
    (line,) = written()
    assert line.startswith("3 pictures, the first of them ")
    assert "comes out black" in line
    read_image(own / "train/b/0.png")
    read_image(own / "train/b/1.png")
    assert len(written()) == 2


def test_dark_pictures_are_a_warning_of_the_data_check(tmp_path, write_cub):
    root = write_cub(tmp_path / "CUB_200_2011")
    buffer = io.BytesIO()
    Image.fromarray(np.full((48, 64), 4000, np.uint16)).save(buffer, "PNG")
    file = stored(root / "images" / "002.Laysan_Albatross" / "a1.jpg", buffer.getvalue())
    report = check("cub", tmp_path, decode=True)
    assert report.sound
    assert [line.partition(": ")[0] for line in report.warnings] == [str(file)]


# ---------------------------------------------------------------- a sample of the campaign


@pytest.mark.parametrize("kind", campaign.FORMATS)
def test_damaged_files_are_named_or_show_no_sign(tmp_path, kind):
    rng = np.random.default_rng(len(kind))
    path, data = tmp_path / f"picture.{kind.split()[0]}", campaign.encoded(campaign.generated(1), kind)
    whole = read_image(stored(path, data))
    assert check_picture(path) == CheckedPicture("")
    verdicts = [
        campaign.judge(path, campaign.mutated(data, mutate, rng), mutate, whole)
        for _ in range(4)
        for mutate in campaign.MUTATIONS
    ]
    assert [verdict for verdict in verdicts if verdict.startswith("WRONG")] == []
    assert verdicts.count("named") >= 4  # the cut ones at least
