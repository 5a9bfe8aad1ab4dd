"""CUB's boxes: read, refused where they are of other pictures, and mapped through a view to the pixel."""

import struct
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from benchmark.data.readers import cub_boxes
from benchmark.data.splits import Contradictions
from benchmark.data.transforms import ViewSettings
from benchmark.data.transforms import test_view as view_of
from benchmark.errors import DataError

ROOT = Path(__file__).resolve().parents[2]


def dataset(root, sizes, lines):
    """Pictures of these (height, width), numbered from 1, and the lines of the box file."""
    (root / "images" / "001.A").mkdir(parents=True)
    names = [f"001.A/p{number}.png" for number in range(1, len(sizes) + 1)]
    for name, size in zip(names, sizes, strict=True):
        cv2.imwrite(str(root / "images" / name), np.zeros((*size, 3), np.uint8))
    (root / "images.txt").write_text("".join(f"{k} {name}\n" for k, name in enumerate(names, 1)))
    (root / "bounding_boxes.txt").write_text("\n".join(lines) + "\n")
    return root


def of(boxes, number):
    return boxes.boxes[f"images/001.A/p{number}.png"]


def test_boxes_come_as_corners_by_file(tmp_path):
    root = dataset(tmp_path, [(100, 200), (50, 60)], ["1 10.0 20.0 30.0 40.0", "2 0.0 0.0 60.0 50.0"])
    found = cub_boxes.load_boxes(root)
    assert of(found, 1) == (10, 20, 40, 60)
    assert of(found, 2) == (0, 0, 60, 50)
    assert found.sizes["images/001.A/p1.png"] == (100, 200)
    assert (found.scale, found.scaled, found.clipped) == (1.0, 0, 0)


def test_boxes_of_larger_pictures_are_refused_with_what_to_do(tmp_path):
    root = dataset(tmp_path, [(100, 384), (50, 60)], ["1 300 20 120 40", "2 0 0 60 50"])
    with pytest.raises(DataError, match=r"1 of 2 boxes .* stick out .*p1\.png.*BOX_SIDE=500"):
        cub_boxes.load_boxes(root)


def test_rounding_does_not_stick_out(tmp_path):
    root = dataset(tmp_path, [(100, 200)], ["1 -1.5 0 203 101.5"])
    assert of(cub_boxes.load_boxes(root), 1) == (0, 0, 200, 100)


def test_with_the_official_side_pictures_of_the_largest_size_are_scaled_and_smaller_ones_are_not(tmp_path):
    root = dataset(
        tmp_path,
        [(288, 384), (384, 200), (100, 200)],
        ["1 100 50 400 300", "2 10 20 100 200", "3 10 20 100 50"],
    )
    found = cub_boxes.load_boxes(root, 500)
    np.testing.assert_allclose(of(found, 1), np.array([100, 50, 500, 350]) * 384 / 500)
    np.testing.assert_allclose(of(found, 2), np.array([10, 20, 110, 220]) * 384 / 500)
    assert of(found, 3) == (10, 20, 110, 70)
    assert (found.scale, found.scaled, found.clipped) == (0.768, 2, 0)


def test_boxes_that_still_stick_out_are_cut_and_counted(tmp_path):
    inside = [f"{number} 0 0 60 50" for number in range(3, 41)]
    root = dataset(
        tmp_path, [(384, 384), (100, 200)] + 38 * [(50, 60)], ["1 0 0 500 510", "2 150 0 80 50", *inside]
    )
    found = cub_boxes.load_boxes(root, 500)
    assert found.clipped == 2
    assert of(found, 1) == (0, 0, 384, 384)
    assert of(found, 2) == (150, 0, 200, 50)


@pytest.mark.parametrize("side", [384, 400])
def test_an_official_side_that_leaves_many_boxes_outside_is_refused(tmp_path, side):
    root = dataset(tmp_path, [(384, 384), (100, 200)], ["1 0 0 500 500", "2 0 0 80 50"])
    with pytest.raises(DataError, match=f"BOX_SIDE={side} 1 of 2 boxes .* official pictures is 500"):
        cub_boxes.load_boxes(root, side)


def test_official_pictures_take_their_own_side(tmp_path):
    root = dataset(tmp_path, [(333, 500)], ["1 10 20 30 40"])
    assert of(cub_boxes.load_boxes(root, 500), 1) == of(cub_boxes.load_boxes(root), 1) == (10, 20, 40, 60)


def test_an_official_side_below_the_pictures_is_refused(tmp_path):
    with pytest.raises(DataError, match="up to 500 pixels"):
        cub_boxes.load_boxes(dataset(tmp_path, [(333, 500)], ["1 10 20 30 40"]), 384)


BROKEN = {
    "malformed": (["1 1 2 3", "2 1 1 5 5"], r"line 1: found '1 1 2 3'"),
    "no number": (["1 1 2 x 4", "2 1 1 5 5"], "line 1"),
    "not finite": (["1 1 2 nan 4", "2 1 1 5 5"], "line 1"),
    "without extent": (["1 1 2 0 4", "2 1 1 5 5"], "positive"),
    "repeated": (["1 1 2 3 4", "1 1 2 3 4", "2 1 1 5 5"], r"id 1 is on line 1 already"),
    "unknown": (["1 1 2 3 4", "2 1 1 5 5", "7 1 2 3 4"], r"image 7 is in bounding_boxes\.txt but not"),
    "missing": (["1 1 2 3 4"], r"image 2 is in images\.txt but not in bounding_boxes\.txt"),
}


@pytest.mark.parametrize(("lines", "said"), BROKEN.values(), ids=BROKEN)
def test_lists_that_contradict_are_refused(tmp_path, lines, said):
    root = dataset(tmp_path, [(50, 60), (50, 60)], lines)
    with pytest.raises(Contradictions, match=said) as caught:
        cub_boxes.load_boxes(root)
    assert len(caught.value.problems) == 1


def test_a_missing_list_and_an_empty_one_are_named(tmp_path):
    root = dataset(tmp_path, [(50, 60)], [])
    with pytest.raises(DataError, match="empty"):
        cub_boxes.load_boxes(root)
    (root / "bounding_boxes.txt").unlink()
    assert not cub_boxes.has_boxes(root)
    with pytest.raises(DataError, match=r"bounding_boxes\.txt: no such list"):
        cub_boxes.load_boxes(root)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"nothing", "found 7 bytes starting with b'nothing' that cannot be decoded"),
        (b"version https://git-lfs.github.com/spec/v1\n", "found a Git LFS pointer"),
        (
            b"BM" + bytes(12) + struct.pack("<IiiHH", 40, 30000, 30000, 1, 24) + bytes(99),
            "30,000 × 30,000 pixels",
        ),
    ],
)
def test_a_picture_without_readable_size_is_named(tmp_path, data, said):
    root = dataset(tmp_path, [(50, 60)], ["1 1 2 3 4"])
    (root / "images" / "001.A" / "p1.png").write_bytes(data)
    with pytest.raises(DataError, match=rf"p1\.png: .*{said}"):
        cub_boxes.load_boxes(root)


VIEWS = {
    "centre crop": ViewSettings(resize=(60, 80), crop=(48, 64)),
    "whole": ViewSettings(resize=(60, 80), crop=(48, 64), test_crop="whole"),
    "odd margins": ViewSettings(resize=(61, 75), crop=(48, 64)),
}


@pytest.mark.parametrize("view", VIEWS.values(), ids=VIEWS)
@pytest.mark.parametrize("box", [(120, 60, 300, 240), (0, 0, 400, 300), (10, 200, 90, 290)])
def test_a_box_lies_in_the_view_where_its_painted_pixels_lie(view, box):
    size = (300, 400)
    painted = np.zeros((*size, 3), np.uint8)
    painted[box[1] : box[3], box[0] : box[2]] = 255
    seen = (
        view_of(painted, view)[..., 0] / 255
    )  # area averages: a pixel's value is the share of it that is painted
    left, top, right, bottom = cub_boxes.view_box(box, size, view)
    mask = np.zeros(view.crop)
    for row in range(view.crop[0]):
        for column in range(view.crop[1]):
            high = max(0.0, min(row + 1, bottom) - max(row, top))
            wide = max(0.0, min(column + 1, right) - max(column, left))
            mask[row, column] = high * wide
    np.testing.assert_allclose(mask, seen, atol=0.02)
    # Of each patch of 8 pixels, the mean of its pixels.
    patches = mask.reshape(6, 8, 8, 8).mean(axis=(1, 3))
    np.testing.assert_allclose(
        cub_boxes.patch_coverage((left, top, right, bottom), view.crop, (6, 8)), patches, atol=1e-12
    )


def test_a_box_that_the_crop_cuts_off_covers_nothing():
    view = ViewSettings(resize=(100, 100), crop=(50, 50))
    box = cub_boxes.view_box((0, 0, 20, 20), (100, 100), view)
    assert not cub_boxes.patch_coverage(box, view.crop, (5, 5)).any()


def test_patches_of_uneven_pixels_are_covered_by_area():
    found = cub_boxes.patch_coverage(
        (0, 0, 5, 10), (10, 10), (1, 3)
    )  # patches 3⅓ wide: one and a half are inside
    np.testing.assert_allclose(found, [[1, 0.5, 0]])


def test_the_readers_do_without_torch():
    code = "import sys, benchmark.data.readers.cub_boxes, benchmark.data.images; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_the_real_boxes_need_the_official_side(shared):
    root = shared / "data" / "CUB_200_2011"
    if not cub_boxes.has_boxes(root):
        pytest.skip("needs the real CUB subset")
    largest = max(max(size) for size in cub_boxes.load_boxes(root, 500).sizes.values())
    if largest == 500:
        pytest.skip("these pictures are the official ones")
    with pytest.raises(DataError, match="BOX_SIDE=500"):
        cub_boxes.load_boxes(root)
    assert cub_boxes.load_boxes(root, 500).clipped <= len(cub_boxes.read_list(root)) // 100
