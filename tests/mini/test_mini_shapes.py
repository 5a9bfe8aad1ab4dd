"""The rows of the generated pictures: what a shape, a face and a part look like in a picture."""

from itertools import combinations

import numpy as np
import pytest

from benchmark.data.mini import splits
from benchmark.data.mini.draw import BLACK, WHITE, Pen
from benchmark.data.mini.shapes import Part, View, draw_parts, named_colour, parse_shapes

CUBE = {"box": "-0.5,0.5 -0.5,0.5 -0.5,0.5", "name": "cube", "fill": "grey"}
COLOURS = {"grey": (100.0, 100.0, 100.0), "red": (0.0, 0.0, 255.0)}
# From another viewpoint other parts are hidden; these together show all of them.
VIEWPOINTS = (20, 70, 110, 160)


def drawn(rows, yaw=90.0, above=10.0):
    canvas = np.zeros((64, 64, 4), np.uint8)
    pen = Pen(canvas, np.array([[24.0, 0, 32], [0, -24, 32], [0, 0, 1]]))
    draw_parts(pen, [Part("slot", "red", parse_shapes(rows))], View(yaw, above, (0.0, 0.0)), COLOURS)
    return canvas[..., :3].astype(int)


def red(image):
    return (image[..., 2] > 200) & (image[..., 0] < 60)


@pytest.mark.parametrize(
    ("face", "yaw", "seen"),
    [
        ("front", 45, True),
        ("front", 135, False),
        ("back", 45, False),
        ("back", 135, True),
        ("side", 45, True),
        ("top", 135, True),
        ("*", 135, True),
    ],
)
def test_a_shape_is_seen_where_its_face_is(face, yaw, seen):
    mark = {"polygon": "-0.5,-0.5 0.5,-0.5 0.5,0.5 -0.5,0.5", "fill": "red", "on": f"cube.{face}"}
    assert red(drawn([CUBE, mark], yaw, above=30)).any() == seen


def test_the_front_turns_from_the_middle_to_the_right():
    mark = {"polygon": "-0.5,-0.5 0.5,-0.5 0.5,0.5 -0.5,0.5", "fill": "red", "on": "cube.front"}
    columns = [np.nonzero(red(drawn([CUBE, mark], yaw)))[1].mean() for yaw in (5, 30, 60)]
    assert columns == sorted(columns)
    assert abs(columns[0] - 32) < 3


@pytest.mark.parametrize("yaw", [30, 150])
def test_the_nearer_of_two_boxes_hides_the_other(yaw):
    """The red one stands in front of the subject: it hides the grey one from the front and is hidden from the back."""
    before = {"box": "0.6,0.7 -0.5,0.5 -0.5,0.5", "name": "plate", "fill": "red"}
    middle = drawn([before, CUBE], yaw, above=0)[32, 33 if yaw < 90 else 31]
    assert (middle[2] > 150) == (yaw < 90)


def test_a_shape_is_drawn_at_each_of_its_places():
    dot = {"ellipse": "0,0 0.05,0.05", "fill": "red", "at": "-0.5,0 0.5,0.5", "repeat": "2,1 0.25,0"}
    (shape,) = parse_shapes([dot])
    centres = shape.outlines.mean(axis=1).round(6)
    assert sorted(map(tuple, centres)) == [(-0.5, 0), (-0.25, 0), (0.5, 0.5), (0.75, 0.5)]


def test_a_colour_is_mixed_with_white_or_black():
    assert named_colour("grey", COLOURS) == COLOURS["grey"]
    assert named_colour("grey +50%", COLOURS) == pytest.approx([(100 + w) / 2 for w in WHITE])
    assert named_colour("grey -25%", COLOURS) == pytest.approx([75 + b / 4 for b in BLACK])


@pytest.mark.parametrize(
    "row", [{"circle": "0,0 1,1"}, {"fill": "red"}, {"line": "0,0 1,1", "polygon": "0,0"}]
)
def test_a_row_that_is_no_shape_is_refused(row):
    with pytest.raises(ValueError, match="expected one of box, polygon"):
        parse_shapes([row])


@pytest.mark.parametrize("key", sorted(splits.GENERATED))
def test_every_kind_that_a_set_chooses_from_changes_the_picture(key):
    """Two subjects that differ in one slot alone differ in the picture, from some viewpoint at least."""
    dataset = splits.GENERATED[key]
    given = dataset.choices or {
        slot: {kinds[slot] for kinds in dataset.classes.values() if slot in kinds}
        for slot in {slot for kinds in dataset.classes.values() for slot in kinds}
    }
    first = {slot: choices[0] for slot, choices in dataset.choices.items()}
    for slot, kinds in given.items():
        pictures = {kind: _pictures(dataset, {**first, slot: kind}) for kind in kinds}
        for one, other in combinations(pictures, 2):
            assert np.abs(pictures[one] - pictures[other]).max() > 20, (slot, one, other)


def _pictures(dataset, kinds):
    cameras = [splits.Camera(0, dataset.cameras[0].place, yaw=yaw, above=15) for yaw in VIEWPOINTS]
    subject = splits.Subject("", 0, kinds)
    images = [
        splits.draw_subject(dataset, subject, camera, np.random.default_rng(3)).image.astype(int)
        for camera in cameras
    ]
    return np.stack(images)
