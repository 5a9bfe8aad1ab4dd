"""Image files of every kind against Pillow, and damaged ones."""

import io

import cv2
import numpy as np
import pytest
from PIL import Image

from benchmark.data.images import read_image
from benchmark.errors import DataError


@pytest.fixture
def picture():
    """Smooth colours (H 60, W 80), so that lossy compression stays close."""
    y, x = np.mgrid[0:60, 0:80]
    return Image.fromarray(np.stack([x * 3, y * 4, x + y], -1).astype(np.uint8))


@pytest.fixture
def noise():
    """Pixels that fill a JPEG with image data, so that cut points lie within it."""
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (60, 80, 3)).astype(np.uint8))


def encode(image, kind="JPEG", **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def stored(tmp_path, data):
    path = tmp_path / "picture.jpg"
    path.write_bytes(data)
    return path


def assert_as_pillow_reads_it(path, tolerance):
    image = read_image(path)
    assert image.dtype == np.uint8
    assert image.flags.c_contiguous
    expected = np.asarray(Image.open(path).convert("RGB")).astype(int)
    assert image.shape == expected.shape
    assert np.abs(image - expected).max() <= tolerance


def test_channels_are_red_green_blue(tmp_path):
    orange = Image.fromarray(np.full((8, 8, 3), (250, 130, 10), np.uint8))
    assert read_image(stored(tmp_path, encode(orange, "PNG")))[0, 0].tolist() == [250, 130, 10]


@pytest.mark.parametrize("mode", ["RGB", "L"])
@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"optimize": True, "quality": 40}])
def test_colour_and_grey_jpegs(tmp_path, picture, mode, options):
    assert_as_pillow_reads_it(stored(tmp_path, encode(picture.convert(mode), **options)), tolerance=2)


def cmyk_of(picture):
    """CMYK with a black channel of its own, not only the complement of the colours."""
    channels = np.asarray(picture.convert("CMYK")).copy()
    channels[..., 3] = np.arange(80, dtype=np.uint8)
    return Image.fromarray(channels, "CMYK")


def test_cmyk_jpegs_are_inverted_as_adobe_writes_them(tmp_path, picture):
    data = encode(cmyk_of(picture), quality=95)
    assert b"Adobe" in data
    assert_as_pillow_reads_it(stored(tmp_path, data), tolerance=3)


def test_ycck_jpegs(tmp_path, picture):
    data = bytearray(encode(cmyk_of(picture), quality=95))
    transform = data.index(b"Adobe") + 11  # the Adobe segment's last byte: 0 is CMYK, 2 is YCCK
    assert data[transform] == 0
    data[transform] = 2
    assert_as_pillow_reads_it(stored(tmp_path, bytes(data)), tolerance=3)


def with_alpha(picture):
    return Image.fromarray(np.dstack([np.asarray(picture), np.tile(np.arange(80, dtype=np.uint8), (60, 1))]))


@pytest.mark.parametrize(
    "convert",
    [
        lambda picture: picture.convert("L"),
        lambda picture: picture.convert("1"),
        lambda picture: picture.convert("LA"),
        lambda picture: picture.quantize(20),
        with_alpha,
    ],
    ids=["grey", "bilevel", "grey and alpha", "palette", "alpha"],
)
def test_pngs_of_every_kind(tmp_path, picture, convert):
    assert_as_pillow_reads_it(stored(tmp_path, encode(convert(picture), "PNG")), tolerance=0)


def test_transparent_palette_entries_keep_their_colour(tmp_path, picture):
    data = encode(picture.quantize(20), "PNG", transparency=3)
    assert b"tRNS" in data
    assert_as_pillow_reads_it(stored(tmp_path, data), tolerance=0)


@pytest.mark.parametrize("shape", [(6, 7, 3), (6, 7)])
def test_16_bit_pngs_keep_their_upper_8_bits(tmp_path, shape):
    values = np.random.default_rng(1).integers(0, 65536, shape).astype(np.uint16)
    assert cv2.imwrite(str(tmp_path / "deep.png"), values)
    upper = (values >> 8).astype(np.uint8)
    expected = upper[..., ::-1] if upper.ndim == 3 else np.dstack([upper] * 3)  # imwrite takes BGR
    np.testing.assert_array_equal(read_image(tmp_path / "deep.png"), expected)


def test_exif_orientation_is_ignored(tmp_path, picture):
    exif = Image.Exif()
    exif[0x0112] = 6
    assert read_image(stored(tmp_path, encode(picture, exif=exif))).shape == (60, 80, 3)


def thumbnailed(picture, noise):
    """A JPEG whose EXIF segment holds a whole JPEG, end-of-image marker included."""
    thumbnail = encode(picture.resize((16, 12)))
    data = encode(noise, exif=b"Exif\0\0" + thumbnail)
    assert data.index(b"\xff\xd9") < data.index(thumbnail) + len(thumbnail)
    return data


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("cut", [-1, -2, -200, 0.75, 0.5, 0.25, 3])
def test_a_jpeg_cut_anywhere_is_truncated(tmp_path, noise, cut, progressive):
    data = encode(noise, progressive=progressive)
    short = data[: int(len(data) * cut) if isinstance(cut, float) else cut]
    path = stored(tmp_path, short)
    with pytest.raises(DataError, match="the image is truncated") as caught:
        read_image(path)
    assert str(path) in str(caught.value)
    assert f"{len(short):,} bytes" in str(caught.value)
    assert "fetch this file again" in str(caught.value)


@pytest.mark.parametrize("cut", [0.5, 0.9])
def test_a_thumbnail_with_its_own_end_marker_hides_no_truncation(tmp_path, picture, noise, cut):
    data = thumbnailed(picture, noise)
    short = data[: int(len(data) * cut)]
    assert b"\xff\xd9" in short
    with pytest.raises(DataError, match="the image is truncated"):
        read_image(stored(tmp_path, short))


def test_a_cut_within_the_thumbnail_is_truncated(tmp_path, picture, noise):
    data = thumbnailed(picture, noise)
    with pytest.raises(DataError, match="the image is truncated"):
        read_image(stored(tmp_path, data[: data.index(b"\xff\xd9") + 2]))


def test_a_whole_jpeg_with_a_thumbnail_is_read(tmp_path, picture, noise):
    assert_as_pillow_reads_it(stored(tmp_path, thumbnailed(picture, noise)), tolerance=2)


def test_bytes_after_the_end_are_fine(tmp_path, picture):
    assert_as_pillow_reads_it(stored(tmp_path, encode(picture) + b"\0\xff\xda trailing"), tolerance=2)


def test_an_end_marker_within_a_segment_between_scans_ends_nothing(tmp_path, noise):
    data = encode(noise, progressive=True)
    second_scan = data.index(b"\xff\xda", data.index(b"\xff\xda") + 2)
    comment = b"\xff\xfe\x00\x06\xff\xd9\xff\xd9"
    with_comment = data[:second_scan] + comment
    with pytest.raises(DataError, match="the image is truncated"):
        read_image(stored(tmp_path, with_comment))
    assert_as_pillow_reads_it(stored(tmp_path, with_comment + data[second_scan:]), tolerance=2)


def test_an_end_marker_without_any_scan_is_no_whole_image(tmp_path, noise):
    data = encode(noise)
    with pytest.raises(DataError, match="the image is truncated"):
        read_image(stored(tmp_path, data[: data.index(b"\xff\xda")] + b"\xff\xd9"))


@pytest.mark.parametrize("cut", [-1, -12, 0.5, 40])
def test_a_cut_png_is_truncated(tmp_path, noise, cut):
    data = encode(noise, "PNG")
    with pytest.raises(DataError, match="the image is truncated"):
        read_image(stored(tmp_path, data[: int(len(data) * cut) if isinstance(cut, float) else cut]))


def test_what_the_decoder_says_of_a_picture_that_does_not_decode_is_passed_on(tmp_path, noise):
    data = bytearray(encode(noise, "PNG"))
    data[len(data) // 2] ^= 1
    with pytest.raises(DataError, match=r"found a PNG file .* \(the decoder says: libpng error: IDAT: .*\)"):
        read_image(stored(tmp_path, bytes(data)))


def test_an_empty_file_is_called_empty(tmp_path):
    with pytest.raises(DataError, match=r"picture\.jpg: the file is empty \(0 bytes\)"):
        read_image(stored(tmp_path, b""))


@pytest.mark.parametrize("data", [b"no picture", b"\0", b"BM\0\0"])
def test_a_file_that_is_no_image_says_what_it_starts_with(tmp_path, data):
    with pytest.raises(DataError, match="cannot be decoded") as caught:
        read_image(stored(tmp_path, data))
    assert repr(data[:8]) in str(caught.value)


def test_a_missing_file_and_a_folder_are_named(tmp_path):
    with pytest.raises(DataError, match=r"gone\.jpg: no such image file"):
        read_image(tmp_path / "gone.jpg")
    with pytest.raises(DataError, match=f"cannot read {tmp_path}: it is a folder"):
        read_image(tmp_path)


def test_damaged_files_print_nothing_beside_the_error(tmp_path, noise, capfd):
    no_header = encode(noise, "PNG").replace(b"IHDR", b"XXXX")
    for data in (encode(noise)[:-500], encode(noise, "PNG")[:-500], no_header, b"no image"):
        with pytest.raises(DataError):
            read_image(stored(tmp_path, data))
    assert capfd.readouterr() == ("", "")
