"""The picture of parameters against accuracy, with the best networks for their size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator

from featherweight.plots.figure import GOOD, INK, PALE, named, new_figure, plain
from featherweight.words import percent


@dataclass(frozen=True)
class Point:
    """One network. accuracy, low, high: mean accuracy of its runs and its interval, as fractions."""

    name: str
    parameters: int
    accuracy: float
    low: float
    high: float


def pareto(points: Sequence[Point]) -> Figure:
    """Draw accuracy with intervals against parameters on a logarithmic scale. A line joins the Pareto front."""
    figure = new_figure(5.2, 3.8)
    axes = plain(figure.subplots(), grid="both")
    axes.set_xscale("log")
    points = [replace(point, parameters=max(point.parameters, 1)) for point in points]      # 0 has no logarithm
    front = best_for_size(points)
    axes.plot([p.parameters for p in front], [100 * p.accuracy for p in front], color=PALE, linewidth=1, zorder=1)
    for point in points:
        interval = f"{percent(point.low)} to {percent(point.high)}"
        said = f"{point.name}: {point.parameters:,} parameters, {percent(point.accuracy)}; {interval}"
        axes.plot([point.parameters] * 2, [100 * point.low, 100 * point.high], color=GOOD, linewidth=1.5)
        axes.plot([point.parameters], [100 * point.accuracy], "o", color=GOOD, markersize=7, gid=named(said))
        place = (point.parameters, 100 * point.accuracy)
        axes.annotate(point.name, place, (6, 5), textcoords="offset points", fontsize=8, color=INK)
    smallest, largest = min(p.parameters for p in points), max(p.parameters for p in points)
    axes.set_xlim(smallest / 1.6, largest * 2.4)
    axes.set_xlabel("parameters", fontsize=9)
    axes.set_ylabel("test accuracy (%), with 95 % interval", fontsize=9)
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    axes.xaxis.set_minor_locator(NullLocator())
    return figure


def best_for_size(points: Sequence[Point]) -> list[Point]:
    """Return the Pareto front, from small to large: networks more accurate than all smaller or equally large ones."""
    front: list[Point] = []
    for point in sorted(points, key=lambda p: (p.parameters, -p.accuracy)):
        if not front or point.accuracy > front[-1].accuracy:
            front.append(point)
    return front
