"""Measure the accuracy on realistic pictures, made from test images with other pens, papers, light and positions.

Each condition turns the same test digits into pictures, and the network predicts each picture. The baseline "plain"
uses the test images themselves, made upright if the network was trained on upright images.
A pen is drawn along the digit's skeleton. So a thin or a thick stroke has the shape of the digit and a constant width.
Papers have grain, ruling, shadow and camera noise.
"""

from __future__ import annotations

import argparse
import io
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

import report
from featherweight import load_dataset
from featherweight.errors import PictureError
from featherweight.inference.answering import read_digit
from featherweight.inference.opening import open_network
from featherweight.inference.predictor import rank
from featherweight.specification import NONE
from featherweight.upright import upright

Floats = NDArray[np.float64]
Random = np.random.Generator
FINE = 5        # pixels of a drawn digit per pixel of the test image, in each direction


def main() -> int:
    options = parse()
    networks = [open_network(run) for run in options.runs]
    recipes = sorted({network.card.recipe for network in networks})
    settings = {"runs": len(networks), "recipes": recipes, "images": options.images, "split": options.split,
                "skip": options.skip}
    content = report.begin("pictures", settings)
    digits, labels = chosen(networks[0].card.dataset, options)
    plain = float(np.mean([plain_accuracy(network, digits, labels) for network in networks]))
    results: dict[str, Any] = {}
    for name in options.only or CONDITIONS:
        keep = options.keep and options.keep / name
        pictures = [CONDITIONS[name](digit, np.random.default_rng(index)) for index, digit in enumerate(digits)]
        found = [measure(network, pictures, labels, keep) for network in networks]
        results[name] = report.means(found) | {"all": [one["accuracy"] for one in found]}
        report.say(f"{name:12} {results[name]['accuracy']:.2%}  {results[name]['milliseconds']:.1f} ms a picture")
        report.save(options.out, content | {"plain": plain, "results": results})
    mean = float(np.mean([result["accuracy"] for result in results.values()]))
    report.say(f"mean {mean:.2%}, plain {plain:.2%}")
    ratios = {f"{name} / plain": result["accuracy"] / plain for name, result in results.items()}
    report.save(options.out, content | {"plain": plain, "results": results, "ratios": ratios, "mean": mean,
                                        "complete": True})
    return 0


def parse() -> argparse.Namespace:
    parser = report.parser(__doc__, "pictures")
    parser.add_argument("runs", nargs="+", metavar="RUN", help="a run folder or a bundle; several give means")
    parser.add_argument("--images", type=report.positive, default=500, help="images for each condition")
    parser.add_argument("--split", choices=("test", "train"), default="test", help="use train to choose settings")
    parser.add_argument("--skip", type=int, default=0, help="leave out the first images, used to choose settings")
    parser.add_argument("--only", nargs="+", choices=list(CONDITIONS), metavar="CONDITION")
    parser.add_argument("--data-dir", help="folder with mnist/*.gz")
    parser.add_argument("--keep", type=Path, help="a folder for the pictures with wrong predictions of one run")
    options = parser.parse_args()
    if options.keep and len(options.runs) > 1:
        parser.error("--keep takes one run")
    return options


def chosen(dataset: str, options: argparse.Namespace) -> tuple[Any, Any]:
    """Return the digits and their labels."""
    split = getattr(load_dataset(dataset, data_dir=options.data_dir), options.split)
    rows = np.random.default_rng(0).permutation(len(split))[options.skip :][: options.images]
    return split.images[rows, 0].numpy(), split.labels[rows].numpy()


def plain_accuracy(network: Any, digits: Any, labels: Any) -> float:
    """Return the accuracy on the digits in the form of the test set."""
    head = next(iter(network.card.heads))
    numbers = np.zeros(len(digits), np.int64) if network.card.takes_number else None
    shown = upright(digits) if network.card.picture.upright else digits
    digits_of = [name != NONE for name in network.card.heads[head]]
    return float((network.probabilities(shown[:, None], numbers)[head][:, digits_of].argmax(1) == labels).mean())


def measure(network: Any, pictures: list[Image.Image], labels: Any, keep: Path | None) -> Any:
    """Return accuracy, number of refused pictures, and milliseconds per picture of one condition.

    keep: a folder for the pictures with wrong predictions, or None.
    """
    right, refused, seconds, head = 0, 0, 0.0, next(iter(network.card.heads))
    for index, (picture, label) in enumerate(zip(pictures, labels, strict=True)):
        begun = time.perf_counter()
        try:
            prepared, answers = read_digit(network, picture, 0 if network.card.takes_number else None)
            names = network.card.heads[head]
            seen, said = prepared.pixels, names.index(rank(answers[head][0], names, top=1)[0][0])
        except PictureError:
            refused, seen, said = refused + 1, np.zeros((1, 28, 28), np.uint8), -1
        seconds += time.perf_counter() - begun
        right += said == label
        if keep and said != label:
            keep.mkdir(parents=True, exist_ok=True)
            picture.save(keep / f"{index}-{label}-as-{said}.png")
            Image.fromarray(seen[0]).resize((280, 280), 0).save(keep / f"{index}-{label}-as-{said}-seen.png")
    return {"accuracy": right / len(labels), "refused": refused, "milliseconds": 1000 * seconds / len(labels)}


# pens: convert a digit (28, 28) to ink coverage in [0, 1], with FINE times as many pixels in each direction


def own(digit: Floats, random: Random, fine: int = FINE) -> Floats:
    """Return the digit's own strokes, enlarged."""
    return np.clip(ndimage.zoom(digit.astype(float), fine, order=3, mode="grid-constant", grid_mode=True) / 255, 0, 1)


def pen(digit: Floats, random: Random, low: float, high: float) -> Floats:
    """Return the digit's skeleton drawn with a round pen.

    low, high: range of the random width, in pixels of the test image.
    """
    width = random.uniform(low, high) * FINE
    line = skeleton(own(digit, random) > 0.5)
    padded = np.pad(line, 3 * FINE)
    return np.clip(width / 2 - ndimage.distance_transform_edt(~padded) + 0.5, 0, 1)


def skeleton(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the skeleton of a mask. Source: the thinning algorithm of Zhang and Suen (1984)."""
    mask = np.pad(mask, 1)
    while True:
        before = mask.sum()
        for turn in (0, 1):
            around = [np.roll(mask, (dy, dx), (0, 1)) for dy, dx in
                      ((1, 0), (1, -1), (0, -1), (-1, -1), (-1, 0), (-1, 1), (0, 1), (1, 1))]   # N, NE, E ... NW
            count = sum(a.astype(int) for a in around)
            changes = sum((~a & b).astype(int) for a, b in zip(around, around[1:] + around[:1], strict=True))
            n, e, s, w = around[0], around[2], around[4], around[6]
            loose = ~(n & e & s) & ~(e & s & w) if turn == 0 else ~(n & e & w) & ~(n & s & w)
            mask = mask & ~((count >= 2) & (count <= 6) & (changes == 1) & loose)
        if mask.sum() == before:
            return mask[1:-1, 1:-1]


# places and papers: convert ink coverage to a picture


def lay(ink: Floats, random: Random, *, scale: tuple[float, float] = (0.6, 2.5), margin: float = 0.6,
        tilt: float = 0) -> Floats:
    """Return the coverage at a random size and position on an empty page.

    scale: range of the size factor. margin: largest margin, as a fraction of the digit's longer side.
    tilt: largest rotation in degrees.
    """
    factor = random.uniform(*scale)
    size = [max(8, round(side * factor)) for side in ink.shape]
    picture = Image.fromarray((ink * 255).astype(np.uint8)).resize(size[::-1], Image.Resampling.BICUBIC)
    picture = picture.rotate(random.uniform(-tilt, tilt), Image.Resampling.BICUBIC, expand=True)
    picture = picture.crop(picture.point(lambda value: 255 * (value > 40)).getbbox())
    room = [round(random.uniform(0.0, margin) * max(picture.size)) for _ in range(4)]
    page = Image.new("L", (picture.width + room[0] + room[1], picture.height + room[2] + room[3]))
    page.paste(picture, (room[0], room[2]))
    return np.asarray(page) / 255


def coloured(ink: Floats, ground: Any, mark: Any) -> Image.Image:
    """Return a picture of the coverage, in the colour `mark` on the background `ground`."""
    ground, mark = np.broadcast_to(ground, 3), np.broadcast_to(mark, 3)
    return Image.fromarray((ground + ink[..., None] * (mark - ground)).clip(0, 255).astype(np.uint8))


def photo(ink: Floats, random: Random, *, shadow: bool = True, grain: float = 4, ruled: bool = False) -> Image.Image:
    """Return the coverage as a photo of paper under a lamp.

    The photo has a gradient of light, the edge of a shadow, grain, blur, camera noise and JPEG compression.
    """
    height, width = ink.shape
    y, x = np.mgrid[0:height, 0:width] / max(ink.shape)
    angle, edge = random.uniform(0, 2 * np.pi), random.uniform(0.2, 0.8)
    along = np.cos(angle) * x + np.sin(angle) * y
    light = 1 - random.uniform(0.1, 0.45) * (along - along.min())
    if shadow:
        soft = random.uniform(0.01, 0.15)
        light *= 1 - random.uniform(0.2, 0.5) / (1 + np.exp(-(along - np.quantile(along, edge)) / soft))
    paper = random.uniform(170, 245) * np.array([1, random.uniform(0.93, 1), random.uniform(0.8, 1)])
    mark = random.uniform(15, 90, 3)
    page = np.broadcast_to(paper, (height, width, 3)).copy()
    if ruled:
        step = max(6, round(max(ink.shape) / random.uniform(4, 9)))
        page[random.integers(step) :: step] *= np.array([0.8, 0.87, 0.95])
    page += ink[..., None] * (mark - page) * random.uniform(0.7, 1)
    page *= light[..., None]
    page += ndimage.gaussian_filter(random.normal(0, grain, (height, width)), 1.0)[..., None] * 2
    page = ndimage.gaussian_filter(page, (random.uniform(0.2, 1.2),) * 2 + (0,))
    page += random.normal(0, random.uniform(1, 5), page.shape)
    stored = io.BytesIO()
    Image.fromarray(page.clip(0, 255).astype(np.uint8)).save(stored, "JPEG", quality=int(random.integers(40, 95)))
    return Image.open(stored).convert("RGB")


def any_colours(random: Random) -> tuple[Floats, Floats]:
    """Return two random colours with a clear contrast."""
    while True:
        ground, mark = random.uniform(0, 255, 3), random.uniform(0, 255, 3)
        if abs(ground - mark).max() > 100:
            return ground, mark


def ruled_paper(ink: Floats, random: Random) -> Image.Image:
    return photo(ink, random, ruled=True)


CONDITIONS: dict[str, Callable[[Floats, Random], Image.Image]] = {
    "large": lambda d, r: coloured(lay(own(d, r), r, scale=(1, 5)), 0, 255),
    "far off": lambda d, r: coloured(lay(own(d, r), r, scale=(0.4, 0.8), margin=4), 0, 255),
    "inverted": lambda d, r: coloured(lay(own(d, r), r), 255, 0),
    "colours": lambda d, r: coloured(lay(own(d, r), r), *any_colours(r)),
    "tight": lambda d, r: coloured(lay(own(d, r), r, margin=0), *r.permutation([0, 255])),
    "thin pen": lambda d, r: coloured(lay(pen(d, r, 0.35, 1.0), r), 255, 0),
    "pen": lambda d, r: coloured(lay(pen(d, r, 1.0, 3.0), r), 255, 30),
    "marker": lambda d, r: coloured(lay(pen(d, r, 3.0, 4.5), r), 255, 0),
    "tight marker": lambda d, r: coloured(lay(pen(d, r, 3.0, 4.5), r, margin=0), 255, 0),
    "tilted": lambda d, r: coloured(lay(own(d, r), r, tilt=12), 255, 0),
    "tiny": lambda d, r: coloured(lay(own(d, r), r, scale=(0.12, 0.3)), 255, 0),
    "photo": lambda d, r: photo(lay(pen(d, r, 1.0, 3.2), r, scale=(1, 4)), r, shadow=False),
    "shadow": lambda d, r: photo(lay(pen(d, r, 1.0, 3.2), r, scale=(1, 4)), r),
    "small photo": lambda d, r: photo(lay(pen(d, r, 0.8, 3.0), r, scale=(0.3, 0.8), margin=2), r),
    "ruled": lambda d, r: ruled_paper(lay(pen(d, r, 1.2, 3.0), r, scale=(1, 4)), r),
}

if __name__ == "__main__":
    raise SystemExit(report.run(main))
