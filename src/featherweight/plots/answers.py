"""Pictures of a network's predictions: confusion matrix, accuracy by class, calibration."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from featherweight.evaluation import Bin
from featherweight.outside import visible
from featherweight.plots.figure import BAD, GOOD, INK, LINE, PALE, named, new_figure, plain
from featherweight.statistics import wilson_interval
from featherweight.words import percent

MOST_NAMED = 100        # with more classes, names are omitted and squares drawn as one image
Matrix = Sequence[Sequence[int]]    # matrix[true class][predicted class] = number of images


def confusion(matrix: Matrix, classes: Sequence[str]) -> Figure:
    """Draw the confusion matrix: correct predictions in blue, mistakes in orange, darker for more images."""
    classes = [visible(name) for name in classes]
    side = max(3.6, 0.42 * min(len(classes), MOST_NAMED) + 1)
    figure = new_figure(side + 0.2, side)
    axes = plain(figure.subplots(), grid="")
    most_wrong = max((count for r, row in enumerate(matrix) for c, count in enumerate(row) if r != c), default=0)
    if len(classes) > MOST_NAMED:
        draw_cells(axes, matrix, most_wrong)
        axes.set(xticks=[], yticks=[])
    else:
        for truth, row in enumerate(matrix):
            for answer, count in enumerate(row):
                draw_cell(axes, truth, answer, count, sum(row), most_wrong, classes)
        axes.set_xticks(range(len(classes)), classes, rotation=45 if max(map(len, classes)) > 3 else 0)
        axes.set_yticks(range(len(classes)), classes)
    axes.set_xlim(-0.5, len(classes) - 0.5)
    axes.set_ylim(len(classes) - 0.5, -0.5)
    axes.set_aspect("equal")
    axes.set_xlabel("answer", fontsize=9)
    axes.set_ylabel("truth", fontsize=9)
    axes.tick_params(length=0)
    axes.spines[["left", "bottom"]].set_visible(False)
    return figure


def draw_cell(
    axes: Axes, truth: int, answer: int, count: int, of: int, most_wrong: int, classes: Sequence[str]
) -> None:
    """Draw one square of the matrix. of: number of images of the true class."""
    right = truth == answer
    depth = 0.25 if right else 0.75 * (count / most_wrong) ** 0.5 if most_wrong else 0.0
    said = f"{classes[truth]} read as {classes[answer]}: {count:,} of {of:,}"
    axes.add_patch(Rectangle((answer - 0.48, truth - 0.48), 0.96, 0.96, facecolor=GOOD if right else BAD,
                             alpha=depth if count else 0, linewidth=0, gid=named(said)))
    if count and len(classes) <= 20:
        size = 8 if count < 1000 else 7
        axes.text(answer, truth, f"{count}", ha="center", va="center", fontsize=size, color=INK)


def draw_cells(axes: Axes, matrix: Matrix, most_wrong: int) -> None:
    """Draw all squares of a large matrix as one image. A rectangle for each would take minutes."""
    counts = np.array(matrix, np.float64)
    shades = np.zeros((*counts.shape, 4))
    shades[..., :3], shades[..., 3] = to_rgb(BAD), 0.75 * np.sqrt(counts / max(most_wrong, 1))
    diagonal = np.arange(len(counts))
    shades[diagonal, diagonal] = (*to_rgb(GOOD), 0.25)
    axes.imshow(shades.clip(0, 1), interpolation="none")


def by_class(matrix: Matrix, classes: Sequence[str]) -> Figure:
    """Draw the accuracy on the images of each class, with its 95 % Wilson interval."""
    classes = [visible(name) for name in classes]
    figure = new_figure(4.6, max(2.4, 0.26 * min(len(classes), MOST_NAMED) + 0.8))
    axes = plain(figure.subplots(), grid="x")
    for index, row in enumerate(matrix):
        if not sum(row):
            continue
        share = row[index] / sum(row)
        low, high = wilson_interval(row[index], sum(row))
        said = f"{classes[index]}: {percent(share)}, {row[index]:,} of {sum(row):,}; {percent(low)} to {percent(high)}"
        axes.plot([100 * low, 100 * high], [index, index], color=PALE, linewidth=1.5)
        axes.plot([100 * share], [index], "o", color=GOOD, markersize=6, gid=named(said))
    if len(classes) <= MOST_NAMED:
        axes.set_yticks(range(len(classes)), classes)
    axes.invert_yaxis()
    axes.set_xlabel("right answers (%), with 95 % interval", fontsize=9)
    return figure


def calibration(bins: Sequence[Bin]) -> Figure:
    """Draw a calibration plot: confidence against accuracy, one disc per bin. A larger disc means more images."""
    figure = new_figure(4.0, 3.6)
    axes = plain(figure.subplots(), grid="both")
    axes.plot([0, 1], [0, 1], color=LINE, linewidth=2, zorder=1)
    total = sum(one.count for one in bins)
    for one in bins:
        said = f"{one.count:,} images, {percent(one.confidence, 1)} sure on average, {percent(one.accuracy, 1)} right"
        axes.scatter([one.confidence], [one.accuracy], s=20 + 300 * one.count / total, color=GOOD, alpha=0.75, zorder=2,
                     gid=named(said))
    axes.set_xlim(0, 1.04)
    axes.set_ylim(0, 1.04)
    axes.set_xlabel("how sure it was", fontsize=9)
    axes.set_ylabel("how often it was right", fontsize=9)
    return figure
