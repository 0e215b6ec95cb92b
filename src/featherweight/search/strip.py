"""The distribution of accuracy over seeds as a small picture: one dot for each seed on a line."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from featherweight.statistics import summarize_values

LEFT, RIGHT, LINE, STEP = 26, 394, 40, 8        # ends of the line, its height, and between dots of equal accuracy


@dataclass(frozen=True)
class Strip:
    """Places of the dots and of the mean, in units of the SVG's viewBox, and the ends of the line with their texts."""

    dots: list[tuple[float, float, str]]        # x, y, title
    mean: float
    ticks: list[tuple[float, str]]


def strip(values: Sequence[float]) -> Strip:
    """Return the picture of the accuracies of all seeds, which are fractions. Equal values are stacked."""
    found = summarize_values(values)
    digits = 2 if found.highest - found.lowest < 0.02 else 1
    unit = 10.0 ** -(digits + 2)
    low, high = (math.floor(found.lowest / unit) - 1) * unit, (math.ceil(found.highest / unit) + 1) * unit

    def place(value: float) -> float:
        return round(LEFT + (value - low) / (high - low) * (RIGHT - LEFT), 1)

    taken: list[float] = []
    dots: list[tuple[float, float, str]] = []
    for number, value in enumerate(values, start=1):
        x = place(value)
        level = sum(abs(other - x) < STEP for other in taken)
        dots.append((x, LINE - STEP * min(level, 4), f"seed {number}: {100 * value:.2f} %"))
        taken.append(x)
    return Strip(dots, place(found.mean), [(place(end), f"{100 * end:.{digits}f} %") for end in (low, high)])
