"""Loss, accuracy and learning rate, epoch by epoch, of one run or of several."""

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

Histories = Mapping[str, Sequence[Mapping[str, Any]]]      # what a run is called -> the lines of its history.jsonl
LARGEST = 1e30          # that is drawn: near the largest float, axes have no room for their ticks
MOST_NAMED = 1000       # epochs that say their values when they are pointed at


@dataclass(frozen=True)
class Curve:
    """One line of a picture."""

    name: str
    values: Sequence[float]
    colour: str
    dashed: bool = False


def curves(histories: Histories) -> Figure:
    """The three panels side by side."""
    figure = new_figure(13, 3.6)
    for axes, draw in zip(figure.subplots(1, 3), (draw_loss, draw_accuracy, draw_rate), strict=True):
        draw(axes, histories)
    return figure


def panel(draw: Callable[[Axes, Histories], None], histories: Histories) -> Figure:
    """One of them alone."""
    figure = new_figure()
    draw(figure.subplots(), histories)
    return figure


def draw_loss(axes: Axes, histories: Histories) -> None:
    """Training loss, and the loss on what the recipe watches, both summed over heads as training minimises them."""
    found = []
    for name, lines, colour in coloured(histories):
        found.append(Curve(f"{name}train", [line["train_loss"] for line in lines], colour, dashed=True))
        if lines[0].get("curve"):
            found.append(Curve(f"{name}{lines[0]['curve_on']}", watched_losses(lines), colour))
    draw_curves(axes, found, "Loss", "{:.4f}")


def draw_accuracy(axes: Axes, histories: Histories) -> None:
    """Accuracy in percent, of each head."""
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
    if late and min(late) > 90:     # the first epochs would squeeze what matters into a line
        axes.set_ylim(min(late) - 0.5, min(100.05, axes.get_ylim()[1]))


def draw_rate(axes: Axes, histories: Histories) -> None:
    """The learning rate of each epoch's last step."""
    found = [Curve(name, [line["lr"] for line in lines], colour) for name, lines, colour in coloured(histories)]
    draw_curves(axes, found, "Learning rate", "{:.3g}")
    axes.set_ylim(bottom=0)


def coloured(histories: Histories) -> list[tuple[str, Sequence[Mapping[str, Any]], str]]:
    """Each run's prefix in a legend (none for a single run), its lines, its colour."""
    alone = len(histories) == 1
    return [
        ("" if alone else f"{name} ", lines, SERIES[index % len(SERIES)])
        for index, (name, lines) in enumerate(histories.items())
    ]


def draw_curves(axes: Axes, found: Sequence[Curve], title: str, form: str) -> None:
    """Lines with a legend, and a band over each epoch that says its values when it is pointed at."""
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
    """A value as it is drawn: within the largest, and 0 for NaN."""
    return 0.0 if math.isnan(value) else max(-LARGEST, min(value, LARGEST))
