"""Values onto pixels, outlines onto the patch grid, foreign text onto a figure."""

import io
import warnings

import cv2
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from reports.heatmaps import figure, overlay
from reports.heatmaps.figure import FigureRow, Panel, Prediction

HOSTILE = (
    r"<script>alert('x')</script> $\frac{1}{2}$ $x_1 % 数据 שלום 🐦 \ {b} " + "Wörterbuch_der_Vögel " * 20
)


@pytest.mark.parametrize(
    ("cells", "size"), [((4, 4), (32, 32)), ((8, 4), (256, 128)), ((1, 5), (16, 40)), ((3, 2), (7, 9))]
)
def test_upsampling_is_opencvs_linear_one(cells, size):
    values = np.random.default_rng(0).random(cells)
    expected = cv2.resize(values, size[::-1], interpolation=cv2.INTER_LINEAR)
    np.testing.assert_allclose(overlay.upsample(values, size), expected, atol=1e-6)


def test_colours_run_from_the_first_to_the_last_of_the_scale():
    from matplotlib import colormaps

    ends = overlay.to_colours(np.array([0.5, 2.5, 1.5]), (0.5, 2.5))
    expected = [colormaps[overlay.COLOUR_MAP](place)[:3] for place in (0, 255, 128)]
    np.testing.assert_allclose(ends / 255, expected, atol=1 / 255)


def test_a_map_without_extent_is_drawn_in_one_colour():
    assert len(np.unique(overlay.to_colours(np.zeros((3, 3)), (0.0, 0.0)).reshape(-1, 3), axis=0)) == 1


def test_an_overlay_is_a_whole_multiple_of_its_picture():
    picture = np.zeros((64, 32, 3), np.uint8)
    shape = overlay.overlay(picture, np.ones((8, 4)), (0.0, 1.0)).shape
    assert shape == (512, 256, 3)


def test_outlines_are_the_edges_between_selected_patches_and_the_rest():
    mask = np.array([[True, True, False], [False, True, False]])
    result = {tuple(sorted(edge)) for edge in overlay.outlines(mask, (20, 30))}
    expected = set()
    for r in range(2):  # each cell's four sides; a side that two selected cells share is inside
        for c in range(3):
            if not mask[r, c]:
                continue
            x, y = 10 * c, 10 * r
            sides = {
                (r - 1, c): ((x, y), (x + 10, y)),
                (r + 1, c): ((x, y + 10), (x + 10, y + 10)),
                (r, c - 1): ((x, y), (x, y + 10)),
                (r, c + 1): ((x + 10, y), (x + 10, y + 10)),
            }
            for (row, column), side in sides.items():
                inside = 0 <= row < 2 and 0 <= column < 3 and mask[row, column]
                if not inside:
                    expected.add(side)
    assert result == expected


def test_patches_that_are_not_selected_are_darkened_to_the_pixel():
    picture = np.full((16, 24, 3), 200, np.uint8)
    mask = np.zeros((2, 3), bool)
    mask[1, 2] = True
    dark = overlay.dim_unselected(picture, mask)
    assert (dark[8:, 16:] == 200).all()
    dark[8:, 16:] = 80
    assert (dark == 80).all()


def hostile_figure():
    picture = np.zeros((32, 16, 3), np.uint8)
    panels = (
        Panel(picture),
        Panel(
            picture,
            np.ones((4, 2)),
            (0.0, 1.0),
            bar=True,
            prediction=Prediction((HOSTILE, HOSTILE), correct=False),
        ),
    )
    return figure.draw(HOSTILE, ("picture", "map"), [FigureRow(HOSTILE, HOSTILE, panels)], HOSTILE, "× 1/N")


def test_foreign_names_are_drawn_as_text_without_a_word_of_warning(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        png, pdf = overlay.save(hostile_figure(), tmp_path / "a.name" / "heatmaps")
    assert cv2.imread(str(png)) is not None
    content = pdf.read_bytes()
    assert b"/FontFile2" in content  # TrueType, embedded
    assert b"/Type3" not in content


@pytest.mark.parametrize("letters", ["Vogel_", "il. ", "x_1$ ", "ABCD "])
def test_no_text_reaches_past_the_edge_of_its_figure(letters):
    name, picture = letters * 60, np.zeros((32, 32, 3), np.uint8)
    panels = (Panel(picture), Panel(picture, prediction=Prediction((name, name), correct=False)))
    result = figure.draw(name, ("picture", "map"), [FigureRow(name, name, panels)], name, "× 1/N")
    result.set_dpi(overlay.DPI)
    FigureCanvasAgg(result).draw()
    wide = [text.get_window_extent().x1 for text in result.texts]
    assert len(wide) >= 8
    assert max(wide) <= result.bbox.width


def test_the_same_figure_is_the_same_pdf(tmp_path):
    files = [overlay.save(hostile_figure(), tmp_path / name)[1].read_bytes() for name in "ab"]
    assert files[0] == files[1]


def test_what_is_right_is_a_word_and_a_mark_and_a_colour():
    picture = np.zeros((16, 16, 3), np.uint8)
    panels = (
        Panel(picture, prediction=Prediction(("✓ right",), correct=True)),
        Panel(picture, prediction=Prediction(("✗ wrong",), correct=False)),
    )
    result = figure.draw("t", ("a", "b"), [FigureRow("A", "", panels)], "c", "u")
    colours = {text.get_text(): text.get_color() for text in result.texts}
    assert colours["✓ right"] != colours["✗ wrong"]
    result.savefig(io.BytesIO(), format="png")
