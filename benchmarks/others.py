"""Measure what networks read in pictures by other people, and how often they doubt pictures of no digit.

With several runs, such as the seeds of one recipe, the numbers are means over the runs.
A folder of pictures holds manifest.tsv: a table with the columns file and digit. The first folder of a file's path is
its source. Letters and signs are printed in the fonts of matplotlib; scribbles, faces and empty paper are drawn.
"""

from __future__ import annotations

import argparse
import csv
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont

import report
from featherweight.errors import PictureError
from featherweight.inference import Predictor
from featherweight.inference.reading import read_picture

FONTS = ("DejaVuSans", "DejaVuSans-Bold", "DejaVuSerif-Italic", "DejaVuSansMono", "cmr10", "cmss10", "cmtt10")
LETTERS = "ACEFHJKLMNPRTUVWXYacdefhkmnprtuvwxy"     # without those that look like a digit
SIGNS = "+=#?&@%$*<>"
SIZE = 200


def main() -> int:
    options = parse()
    predictors = [Predictor(run) for run in options.runs]
    recipes = sorted({predictor.card.recipe for predictor in predictors})
    settings = {"runs": len(predictors), "recipes": recipes, "pictures": bool(options.pictures), "count": options.count}
    content = report.begin("others", settings)
    unknown = dict(drawn(options.count))
    results = averaged([results_of(predictor, options.pictures, unknown) for predictor in predictors])
    rows = [[name, f"{found['right']:.1%}" if "right" in found else "-", f"{found['doubted']:.1%}",
             f"{found['pictures']:.0f}"] for name, found in results.items()]
    title = f"{', '.join(recipes)}: mean of {len(predictors)}" if len(predictors) > 1 else recipes[0]
    report.print_table(title, ["pictures", "right", "doubted", "count"], rows)
    report.save(options.out, content | {"results": results, "ratios": {}, "complete": True})
    return 0


def parse() -> argparse.Namespace:
    parser = report.parser(__doc__, "others")
    parser.add_argument("runs", nargs="+", metavar="RUN", help="a run folder or a bundle; several give means")
    parser.add_argument("--pictures", type=Path, help="a folder with manifest.tsv and the pictures that it names")
    parser.add_argument("--count", type=report.positive, default=200, help="pictures of each kind of no digit")
    return parser.parse_args()


def results_of(
    predictor: Predictor, folder: Path | None, unknown: dict[str, list[Image.Image]]
) -> dict[str, Any]:
    """Return the results of one network by kind of picture. unknown: pictures without a digit, by kind."""
    read = read_all(predictor, folder) if folder else {}
    return read | {name: {"pictures": len(pictures), "doubted": doubted(predictor, pictures)}
                   for name, pictures in unknown.items()}


def averaged(found: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the mean over the runs of each number. all: of each run. wrong: {answer: number of runs that gave it}."""
    results: dict[str, Any] = {}
    for name, first in found[0].items():
        of_runs = [one[name] for one in found]
        results[name] = report.means(of_runs)
        if "right" in first:
            results[name]["all"] = [one["right"] for one in of_runs]
            answers = Counter(answer for one in of_runs for answer in one.get("wrong", []))
            results[name]["wrong"] = dict(answers.most_common())
    return results


def read_all(predictor: Predictor, folder: Path) -> dict[str, Any]:
    """Return accuracy, part of doubted pictures, milliseconds and wrong answers of each source and of all."""
    with (folder / "manifest.tsv").open() as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    begun, found = time.process_time(), []
    for row in rows:
        prediction = predictor.read(row["file"], read_picture(folder / row["file"]))[0]
        said = next(iter(prediction.answers.values()))[0][0]
        found.append((row["file"].split("/")[0], said == row["digit"], prediction.doubted, row["file"], said))
    each = 1000 * (time.process_time() - begun) / len(rows)
    sources = {source: [one for one in found if one[0] == source] for source in dict.fromkeys(one[0] for one in found)}
    return {name: {
        "pictures": len(ones), "right": float(np.mean([one[1] for one in ones])),
        "doubted": float(np.mean([one[2] for one in ones])),
        "wrong": [f"{file} as {said}" for _, right, _, file, said in ones if not right],
    } for name, ones in sources.items()} | {"all": {
        "pictures": len(found), "right": float(np.mean([one[1] for one in found])),
        "doubted": float(np.mean([one[2] for one in found])), "milliseconds": each,
    }}


def doubted(predictor: Predictor, pictures: list[Image.Image]) -> float:
    """Return the part of pictures that are refused or doubted."""
    count = 0
    for picture in pictures:
        try:
            count += predictor.read("drawn", picture)[0].doubted
        except PictureError:
            count += 1
    return count / len(pictures)


def drawn(count: int) -> Iterator[tuple[str, list[Image.Image]]]:
    """Yield the name of each kind of picture without a digit, and `count` of them."""
    random = np.random.default_rng(0)
    yield "letters", [printed(str(random.choice(list(LETTERS))), random) for _ in range(count)]
    yield "signs", [printed(str(random.choice(list(SIGNS))), random) for _ in range(count)]
    yield "scribbles", [scribble(random) for _ in range(count)]
    yield "faces", [face(random) for _ in range(count)]
    yield "empty paper", [paper(random) for _ in range(count)]


def printed(character: str, random: np.random.Generator) -> Image.Image:
    """Return a character in a random font and size, slightly turned."""
    folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    font = ImageFont.truetype(str(folder / f"{random.choice(FONTS)}.ttf"), int(random.integers(40, 140)))
    page = Image.new("L", (SIZE, SIZE), 255)
    place = SIZE / 2 + random.uniform(-15, 15), SIZE / 2 + random.uniform(-15, 15)
    ImageDraw.Draw(page).text(place, character, 0, font, anchor="mm")
    return page.rotate(random.uniform(-8, 8), fillcolor=255)


def scribble(random: np.random.Generator) -> Image.Image:
    """Return one line through 6 to 30 random points."""
    page = Image.new("L", (SIZE, SIZE), 255)
    points = [tuple(point) for point in random.uniform(20, SIZE - 20, (int(random.integers(6, 30)), 2)).tolist()]
    ImageDraw.Draw(page).line(points, 0, int(random.integers(2, 9)), joint="curve")
    return page


def face(random: np.random.Generator) -> Image.Image:
    """Return a drawn face."""
    page, width = Image.new("L", (SIZE, SIZE), 255), int(random.integers(2, 8))
    pen = ImageDraw.Draw(page)
    pen.ellipse((30 + int(random.integers(0, 20)), 20, 170, 180), outline=0, width=width)
    for x in (75, 125):
        pen.ellipse((x - 8, 70, x + 8, 86), fill=0)
    pen.arc((65, 90, 135, 145), 20, 160, 0, width)
    return page


def paper(random: np.random.Generator) -> Image.Image:
    """Return empty paper with grain."""
    grain = random.normal(random.uniform(120, 250), random.uniform(0, 4), (SIZE, SIZE))
    return Image.fromarray(grain.clip(0, 255).astype(np.uint8))


if __name__ == "__main__":
    raise SystemExit(report.run(main))
