"""Thousands of damaged pictures: is each one named for which a decoder warns, and how many show no sign of damage?

    python -m tests.campaigns.damaged_pictures [COUNT]

COUNT: pictures in all, 4,200 by default (about a minute on one core). JPEGs are photographs from DCAL_SHARED (default
../shared) where it is there. Exits with 1 where a picture is cut or its decoder prints a line and ``check_picture``
does not name it, where a sound one is named, and where anything but a SuiteError is raised.
"""

import io
import os
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from benchmark.data.images import read_image
from benchmark.data.picture_check import CheckedPicture, check_picture

FORMATS: dict[str, tuple[str, dict]] = {
    "jpg": ("JPEG", {}),
    "jpg progressive": ("JPEG", {"progressive": True}),
    "jpg restarts": ("JPEG", {"restart_marker_rows": 1}),
    "png": ("PNG", {}),
    "webp": ("WEBP", {}),
    "webp lossless": ("WEBP", {"lossless": True}),
    "tif": ("TIFF", {}),
    "tif lzw": ("TIFF", {"compression": "tiff_lzw"}),
    "tif deflate": ("TIFF", {"compression": "tiff_adobe_deflate"}),
    "tif jpeg": ("TIFF", {"compression": "jpeg"}),
    "bmp": ("BMP", {}),
    "gif": ("GIF", {}),
    "ppm": ("PPM", {}),
}
# Of how many pictures in 20 each is one: mostly JPEGs, as datasets are.
SHARES = {"photographs": 5, "jpg": 3, "jpg progressive": 2, "jpg restarts": 2, "png": 1}


def generated(number: int) -> Image.Image:
    """A picture of smooth colours under noise, so that every part of its file has something to say."""
    rng = np.random.default_rng(number)
    rows, columns = np.mgrid[0:90, 0:120]
    smooth = np.stack([rows * 2, columns * 2, rows + columns], -1) + rng.integers(0, 60, (90, 120, 3))
    return Image.fromarray(np.clip(smooth, 0, 255).astype(np.uint8))


def encoded(picture: Image.Image, kind: str) -> bytes:
    """Content of the file."""
    name, options = FORMATS[kind]
    buffer = io.BytesIO()
    picture.save(buffer, name, **options)
    return buffer.getvalue()


def cut(data: bytearray, at: int, _: np.random.Generator) -> None:
    del data[at:]


def flip_bit(data: bytearray, at: int, rng: np.random.Generator) -> None:
    data[at] ^= 1 << int(rng.integers(8))


def zero_block(data: bytearray, at: int, rng: np.random.Generator) -> None:
    end = min(len(data), at + int(rng.integers(64, 4096)))
    data[at:end] = bytes(end - at)


def remove_bytes(data: bytearray, at: int, rng: np.random.Generator) -> None:
    del data[at : at + int(rng.integers(1, 600))]


def insert_bytes(data: bytearray, at: int, rng: np.random.Generator) -> None:
    data[at:at] = rng.bytes(int(rng.integers(1, 600)))


def change_head(data: bytearray, _: int, rng: np.random.Generator) -> None:
    data[int(rng.integers(min(200, len(data))))] = int(rng.integers(256))


MUTATIONS: tuple[Callable, ...] = (cut, flip_bit, zero_block, remove_bytes, insert_bytes, change_head)


def mutated(data: bytes, mutate: Callable, rng: np.random.Generator) -> bytes:
    """The damaged content; equal to ``data`` by chance, too."""
    changed = bytearray(data)
    mutate(changed, int(rng.integers(len(data))), rng)
    return bytes(changed)


def printed_by_opencv(data: bytes) -> str:
    """What decoding prints to file descriptor 2: the truth, in another way than the suite's."""
    with tempfile.TemporaryFile() as file:
        usual = os.dup(2)
        os.dup2(file.fileno(), 2)
        try:
            cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
        except cv2.error:
            pass
        finally:
            os.dup2(usual, 2)
            os.close(usual)
        file.seek(0)
        return file.read().decode(errors="replace")


def judge(path: Path, data: bytes, mutate: Callable, whole: np.ndarray) -> str:
    """named, same pixels or silent; a line that starts with "WRONG" where the check does not do what it should."""
    path.write_bytes(data)
    printed = printed_by_opencv(data)
    try:
        found = check_picture(path)
    except Exception as error:
        return f"WRONG: {type(error).__name__}: {error}"
    lines = [found.error] if found.error else [remark.text for remark in found.remarks if remark.damage]
    if any(str(path) not in line for line in lines):
        return f"WRONG: no name in {lines}"
    if lines:
        return "named"
    if mutate is cut or printed.strip():
        return f"WRONG: not named, {printed.strip() or 'cut'}"
    image = read_image(path)
    return "same pixels" if image.shape == whole.shape and np.array_equal(image, whole) else "silent"


def decode_in_threads(folder: Path, sound: bytes, damaged: bytes, count: int, threads: int = 4) -> list[str]:
    """Pictures checked by several threads at once, each third damaged; what is named wrongly or not at all."""
    files = []
    for number in range(count):
        files.append(folder / f"{number}.jpg")
        files[-1].write_bytes(sound if number % 3 else damaged)
    with ThreadPoolExecutor(threads) as pool:
        checked: list[CheckedPicture] = list(pool.map(check_picture, files))
    wrong = []
    for number, (file, found) in enumerate(zip(files, checked, strict=True)):
        texts = [remark.text for remark in found.remarks]
        right = not texts if number % 3 else len(texts) == 1 and str(file) in texts[0]
        wrong += [] if right and not found.error else [f"{file}: {found}"]
    return wrong


def originals(count: int) -> Iterator[tuple[str, list[bytes]]]:
    """Formats and sound files of each."""
    shared = Path(os.environ.get("DCAL_SHARED") or Path(__file__).resolve().parents[3] / "shared")
    photographs = sorted((shared / "data/CUB_200_2011/images").rglob("*.jpg"))[:: max(1, 1400 // count)][
        :count
    ]
    if photographs:
        yield "photographs", [file.read_bytes() for file in photographs]
    for kind in FORMATS:
        yield kind, [encoded(generated(number), kind) for number in range(min(count, 20))]


def main(count: int) -> int:
    """Print a line a format and mutation, the totals and whatever is wrong."""
    rng = np.random.default_rng(1)
    totals: Counter[str] = Counter()
    wrong: list[str] = []
    with tempfile.TemporaryDirectory(prefix="damaged pictures ") as folder:
        for kind, sound in originals(100):
            path = Path(folder) / f"picture.{kind.split()[0] if kind in FORMATS else 'jpg'}"
            wholes = []
            for data in sound:
                path.write_bytes(data)
                wholes.append(read_image(path))
                wrong += (
                    [f"{kind}: a sound one is named"] if check_picture(path) != CheckedPicture("") else []
                )
            of_format: Counter[str] = Counter()
            for number in range(round(count * SHARES.get(kind, 1) / 21)):
                place, mutate = number % len(sound), MUTATIONS[number % len(MUTATIONS)]
                data = mutated(sound[place], mutate, rng)
                verdict = judge(path, data, mutate, wholes[place])
                wrong += [f"{kind}, {mutate.__name__}: {verdict}"] if verdict.startswith("WRONG") else []
                of_format[f"{mutate.__name__} {verdict.partition(':')[0]}"] += 1
                totals[verdict.partition(":")[0]] += 1
            print(f"{kind}: {', '.join(f'{name} {n}' for name, n in sorted(of_format.items()))}", flush=True)
        picture = generated(0)
        sound = encoded(picture, "jpg")
        damaged = bytearray(sound)
        damaged[len(sound) // 2 : len(sound) // 2 + 1500] = bytes(1500)
        wrong += decode_in_threads(Path(folder), sound, bytes(damaged), 600)
    print(f"{sum(totals.values()):,} damaged pictures: {dict(totals)}; {len(wrong)} wrong")
    print("\n".join(wrong))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 4200))
