"""Curves drawn with characters, for terminals without graphics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import plotext

from featherweight.errors import RunError
from featherweight.runs import watched_losses

HEIGHT = 14     # height of a plot in lines


def text_curves(history: Sequence[Mapping[str, Any]], width: int = 80) -> str:
    """Return the loss and accuracy curves by epoch as text, `width` characters wide.

    Raises RunError before the first epoch is done.
    """
    if not history:
        raise RunError("no epoch is done yet, so there is no curve. Wait for the first one.")
    watched = history[0].get("curve_on")
    losses = {"train": [line["train_loss"] for line in history]}
    heads = list(history[0]["train_accuracy"])
    accuracies = {f"train {head}": [100 * line["train_accuracy"][head] for line in history] for head in heads}
    if watched:
        losses[watched] = watched_losses(history)
        for head in heads:
            accuracies[f"{watched} {head}"] = [100 * line["curve"][head]["accuracy"] for line in history]
    panels = [panel("loss", losses, width), panel("accuracy (%)", accuracies, width)]
    last = history[-1]
    panels.append(f"epoch {last['epoch']}: learning rate {last['lr']:.3g}, train loss {last['train_loss']:.4f}")
    return "\n".join(panels)


def panel(title: str, curves: Mapping[str, Sequence[float]], width: int) -> str:
    """Return one plot with its legend as text."""
    plotext.clear_figure()
    plotext.theme("clear")
    plotext.plotsize(max(width, 40), HEIGHT)
    plotext.title(f"{title}, by epoch")
    for (name, values), marker in zip(curves.items(), "ox+*#@", strict=False):
        plotext.plot(range(1, len(values) + 1), values, label=name, marker=marker)
    plotext.xticks([1, *range(5, max(map(len, curves.values())) + 1, 5)])
    return str(plotext.uncolorize(plotext.build())).rstrip()
