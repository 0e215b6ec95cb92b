"""Measure `predict --many` on pages of test digits: rows, touching neighbours, lines of writing, boxes, squared paper.

A page counts as found if it has the right number of digits, and each looks like the digit drawn at its place.
A digit counts as read if the network's answer at its place is right. Pages with a wrong count have no digit read.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

import report
from featherweight import load_dataset
from featherweight.errors import PictureError
from featherweight.inference.opening import open_network
from featherweight.inference.picture import prepare_many

Bytes = NDArray[np.uint8]
Random = np.random.Generator
LIKE = 0.7      # cosine of a found image and the digit drawn at its place: above it, both show the same
FIRST = 1000    # seed of the first page: seeds below it served to choose settings
DIGIT = 60      # pixels: mean height of a drawn digit


def main() -> int:
    options = parse()
    network = open_network(options.run)
    test = load_dataset(network.card.dataset, data_dir=options.data_dir).test
    images, labels = test.images[:, 0].numpy(), test.labels.numpy()
    settings = {"run": network.card.recipe, "pages": options.pages, "singles": options.singles}
    content, results = report.begin("many", settings), {}
    for name in options.only or CONDITIONS:
        results[name] = measure(network, CONDITIONS[name], images, labels, options.pages)
        shares = f"found {results[name]['found']:.1%}  read {results[name]['read']:.1%}"
        report.say(f"{name:16} {shares}  {results[name]['milliseconds']:.0f} ms a page")
        report.save(options.out, content | {"results": results})
    split = sum(len(found_in(page_of([image]), network.card.picture)) != 1 for image in images[: options.singles])
    report.say(f"single digits that were split: {split} of {options.singles}")
    results["single digits split"] = {"count": split, "of": options.singles}
    report.save(options.out, content | {"results": results, "ratios": {}, "complete": True})
    return 0


def parse() -> argparse.Namespace:
    parser = report.parser(__doc__, "many")
    parser.add_argument("run", help="a run folder or a bundle")
    parser.add_argument("--pages", type=report.positive, default=200, help="pages for each condition")
    parser.add_argument("--singles", type=report.positive, default=2000, help="pages with one digit")
    parser.add_argument("--only", nargs="+", choices=list(CONDITIONS), metavar="CONDITION")
    parser.add_argument("--data-dir", help="folder with mnist/*.gz")
    return parser.parse_args()


def measure(network: Any, draw: Callable[..., Image.Image], images: Bytes, labels: Any, pages: int) -> dict[str, float]:
    """Return the share of pages found, the share of digits read, and milliseconds of processor time a page."""
    found = read = digits = 0
    seconds = 0.0
    for index in range(pages):
        random = np.random.default_rng(FIRST + index)
        chosen = random.integers(len(images), size=18)
        page, count = draw([images[place] for place in chosen], random)
        begun = time.process_time()
        seen = found_in(page, network.card.picture)
        seconds += time.process_time() - begun
        digits += count
        if len(seen) == count:
            found += all(alike(one, images[place]) for one, place in zip(seen, chosen, strict=False))
            answers = next(iter(network.probabilities(np.stack(seen)[:, None], None).values())).argmax(axis=1)
            read += int((answers == labels[chosen[:count]]).sum())
    return {"found": found / pages, "read": read / digits, "milliseconds": 1000 * seconds / pages}


def found_in(page: Image.Image, specification: Any) -> list[Bytes]:
    """Return the images (28, 28) of the digits on a page, in the order in which they are answered."""
    try:
        return [one.pixels[0] for one in prepare_many(page, specification)]
    except PictureError:
        return []


def alike(one: Bytes, other: Bytes) -> bool:
    """Return True if two images (28, 28) show the same digit. A shift by a pixel does not matter."""
    shifts = [np.roll(other.astype(float), (down, right), (0, 1)) for down in (-1, 0, 1) for right in (-1, 0, 1)]
    norm = np.linalg.norm(one.astype(float)) * np.linalg.norm(other.astype(float))
    return bool(max((one * shifted).sum() for shifted in shifts) > LIKE * norm)


# pages: digits (28, 28) -> (a page, the number of digits drawn on it)


def lines(digits: list[Bytes], random: Random, count: int = 1, touching: float = 0.0) -> tuple[Image.Image, int]:
    """Return `count` lines of 3 to 6 digits with random gaps and sizes. touching: share of neighbours that touch."""
    rows, drawn = [], 0
    for _ in range(count):
        length = int(random.integers(3, 7))
        rows.append(line(digits[drawn : drawn + length], random, touching))
        drawn += length
    wide, step = max(row.shape[1] for row in rows), rows[0].shape[0]
    page = np.zeros((step * count, wide), np.uint8)
    for place, row in enumerate(rows):
        left = int(random.integers(wide - row.shape[1] + 1))
        page[place * step : (place + 1) * step, left : left + row.shape[1]] = row
    return on_paper(page), drawn


def line(digits: list[Bytes], random: Random, touching: float) -> Bytes:
    """Return one line, (1.6 DIGIT, W), light on black."""
    row, end = np.zeros((round(1.6 * DIGIT), 10 * DIGIT), np.uint8), 0
    for digit in digits:
        ink = drawn(digit, DIGIT * random.uniform(0.8, 1.2))
        top = max(0, round((row.shape[0] - ink.shape[0]) / 2 + DIGIT * random.uniform(-0.06, 0.06)))
        ink = ink[: row.shape[0] - top]
        left = end + round(DIGIT * random.uniform(0.12, 0.6))
        if end and random.random() < touching:
            left = end
            while not touch(row[top : top + ink.shape[0], left : left + ink.shape[1]], ink):
                left -= 1
            left -= int(random.integers(0, 5))
        part = row[top : top + ink.shape[0], left : left + ink.shape[1]]
        np.maximum(part, ink, out=part)
        end = left + ink.shape[1]
    return row[:, : end]


def touch(row: Bytes, ink: Bytes) -> bool:
    return bool(((row > 127) & (ink > 127)).any())


def boxes(digits: list[Bytes], random: Random, thickness: tuple[int, int], crossing: float = 0.0, joined: bool = True,
          ) -> tuple[Image.Image, int]:
    """Return a row of 3 to 6 boxes with a digit in each. crossing: largest shift of a digit, in parts of a box.

    thickness: range of the lines' thickness in pixels. joined: boxes share their sides.
    """
    count, side, pen = int(random.integers(3, 7)), round(1.5 * DIGIT), int(random.integers(*thickness, endpoint=True))
    step = side if joined else side + round(0.3 * DIGIT)
    page = np.zeros((side + pen + 60, step * count + pen + 60), np.uint8)
    picture = Image.fromarray(page)
    for place in range(count):
        left, far = 30 + place * step, side + pen - 1
        ImageDraw.Draw(picture).rectangle((left, 30, left + far, 30 + far), outline=255, width=pen)
    page = np.asarray(picture).copy()
    for place, digit in enumerate(digits[:count]):
        ink = drawn(digit, DIGIT * random.uniform(0.8, 1.2))
        shift = side * random.uniform(-crossing, crossing, 2)
        put(page, ink, 30 + (side + pen) / 2 + shift[0], 30 + place * step + (side + pen) / 2 + shift[1])
    return on_paper(page), count


def framed(digits: list[Bytes], random: Random) -> tuple[Image.Image, int]:
    """Return two lines of digits with one frame around all."""
    page, count = lines(digits, random, 2)
    pen, room = int(random.integers(2, 7)), 40
    framed = Image.new("L", (page.width + 2 * room, page.height + 2 * room), 255)
    framed.paste(page, (room, room))
    ImageDraw.Draw(framed).rectangle((15, 15, framed.width - 16, framed.height - 16), outline=0, width=pen)
    return framed, count


def squared(digits: list[Bytes], random: Random) -> tuple[Image.Image, int]:
    """Return one line of digits on squared paper with strong lines. A digit is one to two squares tall."""
    page, count = lines(digits, random)
    step, pen = round(DIGIT / random.uniform(1, 2)), int(random.integers(1, 4))
    pixels = np.asarray(page).copy()
    for start in range(int(random.integers(step)), max(pixels.shape), step):
        pixels[start : start + pen] = 0
        pixels[:, start : start + pen] = 0
    return Image.fromarray(pixels), count


def drawn(digit: Bytes, height: float) -> Bytes:
    """Return a digit's own strokes, cropped, enlarged as if the box of 20 pixels were `height` pixels."""
    side = round(28 * height / 20)
    large = Image.fromarray(digit).resize((side, side), Image.Resampling.BICUBIC)
    return np.asarray(large.crop(large.point(lambda value: 255 * (value > 100)).getbbox()))


def put(page: Bytes, ink: Bytes, row: float, column: float) -> None:
    """Draw ink on a page in place, its middle at (row, column)."""
    top, left = round(row - ink.shape[0] / 2), round(column - ink.shape[1] / 2)
    part = page[top : top + ink.shape[0], left : left + ink.shape[1]]
    np.maximum(part, ink, out=part)


def on_paper(page: Bytes) -> Image.Image:
    """Return a page as black on white with a margin of a third of a digit."""
    return Image.fromarray(255 - np.pad(page, DIGIT // 3))


def page_of(digits: list[Bytes]) -> Image.Image:
    """Return one digit on paper."""
    return on_paper(drawn(digits[0], DIGIT))


CONDITIONS: dict[str, Callable[[list[Bytes], Random], tuple[Image.Image, int]]] = {
    "row": lines,
    "touching": lambda d, r: lines(d, r, touching=r.uniform(0.1, 0.3)),
    "two lines": lambda d, r: lines(d, r, 2),
    "three lines": lambda d, r: lines(d, r, 3),
    "thin boxes": lambda d, r: boxes(d, r, (1, 2)),
    "thick boxes": lambda d, r: boxes(d, r, (4, 8)),
    "boxes apart": lambda d, r: boxes(d, r, (1, 6), joined=False),
    "crossed boxes": lambda d, r: boxes(d, r, (1, 5), crossing=0.25),
    "frame": framed,
    "squared paper": squared,
}

if __name__ == "__main__":
    raise SystemExit(report.run(main))
