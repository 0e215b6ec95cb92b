"""The picture of byhand: the error of the network trained by hand, at several learning rates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from featherweight.plots.figure import INK, LINE, PALE, Picture, powers_of_ten

LOWEST = 1e-12      # lowest error on the logarithmic scale: smaller values are rounding
HIGHEST = 1e30      # highest drawn error: matplotlib fails on axes near the largest float


def learning_rates(curves: Mapping[str, Sequence[float]], title: str, subtitle: str) -> Figure:
    """Draw the error of several trainings against the update, on a linear and a logarithmic scale.

    curves: learning rate as text, such as "2.0" -> error before updates 0, 1, 2, ...
    """
    figure = Picture(figsize=(10.5, 4.8), layout="constrained")
    figure.suptitle(f"{title}\n", x=0.01, ha="left", fontsize=14, fontweight="bold", color=INK)
    figure.text(0.01, 0.905, subtitle, fontsize=10, color=PALE)
    plain, logarithmic = figure.subplots(1, 2, gridspec_kw={"wspace": 0.08})
    colours = mpl.colormaps["viridis"].resampled(len(curves) + 1)
    for axes in (plain, logarithmic):
        for index, errors in enumerate(curves.values()):
            axes.plot(range(len(errors)), [bounded(error) for error in errors], color=colours(index), linewidth=2)
        axes.set_xlabel("updates done")
        axes.set_xlim(0, len(next(iter(curves.values()))) - 1)
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(axis="y", color=LINE)
    plain.set_ylim(bottom=0)
    plain.set_title("Error: lower is better", loc="left", fontsize=10)
    logarithmic.set_yscale("log")
    powers_of_ten(logarithmic.yaxis)
    logarithmic.set_title("The same on a logarithmic scale", loc="left", fontsize=10)
    label_ends(logarithmic, curves, [colours(index) for index in range(len(curves))])
    return figure


def label_ends(axes: Axes, curves: Mapping[str, Sequence[float]], colours: Sequence[object]) -> None:
    """Write the label of each curve at its right end. Labels do not overlap."""
    axes.figure.draw_without_rendering()    # type: ignore[union-attr]  # sets the scale of positions
    last = [errors[-1] for errors in curves.values()]
    place = axes.transAxes.inverted()
    heights = [float(place.transform(axes.transData.transform((0, bounded(value))))[1]) for value in last]
    for name, height, error, colour in zip(curves, spread(heights, 0.055), last, colours, strict=True):
        said = f"{error:.2g}" if error > LOWEST else f"below {LOWEST:g}"
        axes.text(1.02, height, f"rate {name}: {said}", color=colour, va="center", transform=axes.transAxes)


def bounded(error: float) -> float:
    """The error to draw: limited to LOWEST ... HIGHEST."""
    return max(LOWEST, min(error, HIGHEST))


def spread(heights: Sequence[float], gap: float) -> list[float]:
    """Return the heights, moved up where needed so that any two differ by at least `gap`."""
    placed: dict[int, float] = {}
    lowest = -1.0
    for index in sorted(range(len(heights)), key=lambda index: heights[index]):
        placed[index] = lowest = max(heights[index], lowest + gap)
    return [placed[index] for index in range(len(heights))]
