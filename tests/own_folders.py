"""Writers of a user's own datasets: class folders and Market-1501's layout, with pictures of every kind."""

import numpy as np
from PIL import Image

ORIENTATION = 0x0112  # EXIF's tag


def write_class_picture(file, hue, number, mode="RGB", orientation=1):
    """A stripe of the class's colour on noise, so that classes can be told apart; the suffix says the format."""
    rng = np.random.default_rng(number)
    pixels = rng.integers(0, 120, (40, 56, 3), dtype=np.uint8)
    pixels[10:30] = hue
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).convert(mode).save(file, exif=exif)
    return file


def write_tiny(root, names):
    """Pictures of 2×2 pixels under these names."""
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (2, 2)).save(root / name)
    return root


def write_people(root, identities=9, cameras=(1, 2, 13)):
    """Pictures of people of one colour each: ``identities`` to train on, four to find again."""

    def write(folder, identity, name):
        (root / folder).mkdir(parents=True, exist_ok=True)
        rng = np.random.default_rng(identity)
        Image.new("RGB", (20, 40), tuple(rng.integers(0, 255, 3).tolist())).save(root / folder / name)

    for identity in range(1, identities + 1):
        for camera in cameras:
            write("bounding_box_train", identity, f"{identity:04d}_c{camera}s1_{camera:06d}_01.jpg")
    for identity in range(100, 104):
        write("query", identity, f"{identity}_c1.png")
        write("bounding_box_test", identity, f"{identity}_c17_whatever 2.webp")
        write("bounding_box_test", identity, f"{identity}_c2.JPG")
    write("bounding_box_test", 0, "0000_c1s1_000001_00.jpg")
    write("bounding_box_test", 1, "-1_c2s1_000001_00.jpg")
    return root
