"""Curves of loss, accuracy and learning rate by epoch, for one run or several."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from featherweight.plots.figure import SERIES, named, new_figure, plain
from featherweight.runs import watched_losses

Histories = Mapping[str, Sequence[Mapping[str, Any]]]      # name of a run -> lines of its history.jsonl
LARGEST = 1e30          # largest drawn value: matplotlib fails on axes near the largest float
MOST_NAMED = 1000       # with more epochs, tooltips are omitted


@dataclass(frozen=True)
class Curve:
    """One curve of a panel."""

    name: str
    values: Sequence[float]
    colour: str
    dashed: bool = False


def curves(histories: Histories) -> Figure:
    """Draw the three panels side by side: loss, accuracy, learning rate."""
    figure = new_figure(13, 3.6)
    for axes, draw in zip(figure.subplots(1, 3), (draw_loss, draw_accuracy, draw_rate), strict=True):
        draw(axes, histories)
    return figure


def panel(draw: Callable[[Axes, Histories], None], histories: Histories) -> Figure:
    """Draw one panel alone. draw: draw_loss, draw_accuracy or draw_rate."""
    figure = new_figure()
    draw(figure.subplots(), histories)
    return figure


def draw_loss(axes: Axes, histories: Histories) -> None:
    """Draw the training loss and, if recorded, the validation or test loss. Both are sums over all heads."""
    found = []
    for name, lines, colour in coloured(histories):
        found.append(Curve(f"{name}train", [line["train_loss"] for line in lines], colour, dashed=True))
        if lines[0].get("curve"):
            found.append(Curve(f"{name}{lines[0]['curve_on']}", watched_losses(lines), colour))
    draw_curves(axes, found, "Loss", "{:.4f}")


def draw_accuracy(axes: Axes, histories: Histories) -> None:
    """Draw the accuracy of each head, in percent."""
    found = []
    for index, (name, lines, colour) in enumerate(coloured(histories)):
        for offset, head in enumerate(lines[0]["train_accuracy"]):
            shown = SERIES[(index + offset) % len(SERIES)] if len(histories) == 1 else colour
            what = f"{name}{head} " if len(lines[0]["train_accuracy"]) > 1 else name
            values = [100 * line["train_accuracy"][head] for line in lines]
            found.append(Curve(f"{what}train", values, shown, dashed=True))
            if lines[0].get("curve"):
                watched = [100 * line["curve"][head]["accuracy"] for line in lines]
                found.append(Curve(f"{what}{lines[0]['curve_on']}", watched, shown))
    draw_curves(axes, found, "Accuracy (%)", "{:.2f} %")
    late = [value for curve in found for value in curve.values[len(curve.values) // 3 :]]
    if late and min(late) > 90:     # otherwise the low first epochs flatten the rest of the curve
        axes.set_ylim(min(late) - 0.5, min(100.05, axes.get_ylim()[1]))


def draw_rate(axes: Axes, histories: Histories) -> None:
    """Draw the learning rate at the last step of each epoch."""
    found = [Curve(name, [line["lr"] for line in lines], colour) for name, lines, colour in coloured(histories)]
    draw_curves(axes, found, "Learning rate", "{:.3g}")
    axes.set_ylim(bottom=0)


def coloured(histories: Histories) -> list[tuple[str, Sequence[Mapping[str, Any]], str]]:
    """Return (prefix for the legend, history, colour) of each run. A single run has the prefix ""."""
    alone = len(histories) == 1
    return [
        ("" if alone else f"{name} ", lines, SERIES[index % len(SERIES)])
        for index, (name, lines) in enumerate(histories.items())
    ]


def draw_curves(axes: Axes, found: Sequence[Curve], title: str, form: str) -> None:
    """Draw curves with a legend. Each epoch has an invisible band, whose tooltip shows the values."""
    plain(axes)
    longest = max(len(curve.values) for curve in found)
    found = [replace(curve, values=[limited(value) for value in curve.values]) for curve in found]
    for curve in found:
        style = "--" if curve.dashed else "-"
        marker = "o" if len(curve.values) == 1 else None
        epochs, name = range(1, len(curve.values) + 1), curve.name.strip()
        axes.plot(epochs, curve.values, style, color=curve.colour, linewidth=1.8, marker=marker, label=name)
    for epoch in range(1, longest + 1 if longest <= MOST_NAMED else 1):
        said = [f"{curve.name.strip()} {form.format(curve.values[epoch - 1])}".strip()
                for curve in found if epoch <= len(curve.values)]
        axes.axvspan(epoch - 0.5, epoch + 0.5, alpha=0, gid=named(f"epoch {epoch}: {', '.join(said)}"), linewidth=0)
    axes.set_xlim(0.5, longest + 0.5)
    axes.set_xlabel("epoch", fontsize=9)
    axes.set_title(title, loc="left", fontsize=10)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    if any(curve.name for curve in found) and len(found) <= 8:
        axes.legend(fontsize=8, frameon=False)


def limited(value: float) -> float:
    """The value to draw: limited to -LARGEST ... LARGEST, and 0 for NaN."""
    return 0.0 if math.isnan(value) else max(-LARGEST, min(value, LARGEST))
