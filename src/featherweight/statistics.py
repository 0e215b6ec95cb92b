"""Summaries and confidence intervals. Pure functions on plain numbers; only the bootstrap imports numpy."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

__all__ = [
    "SampleSummary", "bootstrap_interval", "paired_difference", "paired_shares", "summarize_values", "wilson_interval",
]

UNEVEN = 2.0        # largest count / smallest count of a class from which classes are unbalanced; MNIST has 1.24


@dataclass(frozen=True)
class SampleSummary:
    """Statistics of a list of values: mean, sample standard deviation (0 for one value), lowest, highest, count."""

    mean: float
    spread: float
    lowest: float
    highest: float
    count: int


def summarize_values(values: Sequence[float]) -> SampleSummary:
    """Return the statistics of the values. Raise ValueError for an empty list."""
    if not values:
        raise ValueError("no values to summarize")
    spread = stdev(values) if len(values) > 1 else 0.0
    return SampleSummary(fmean(values), spread, min(values), max(values), len(values))


def wilson_interval(correct: int, count: int, z: float = 1.96) -> tuple[float, float]:
    """Return the Wilson confidence interval of an accuracy, for `correct` correct predictions out of `count`.

    z: 1.96 gives a confidence of 95 %. The bounds are fractions in [0, 1].
    Raises ValueError unless 0 <= correct <= count and count > 0. Source: Wilson (1927), JASA 22, 209-212.
    """
    if not 0 <= correct <= count or count == 0:
        raise ValueError(f"{correct} of {count} is no share")
    share = correct / count
    centre = share + z * z / (2 * count)
    half = z * math.sqrt(share * (1 - share) / count + z * z / (4 * count * count))
    scale = 1 + z * z / count
    return max(0.0, (centre - half) / scale), min(1.0, (centre + half) / scale)


def paired_shares(first_only: int, second_only: int, count: int, z: float = 1.96) -> tuple[float, tuple[float, float]]:
    """Return the accuracy of a second network minus that of a first on the same images, and its interval.

    first_only, second_only: number of images that only the first, only the second classifies correctly.
    count: number of all images. z: 1.96 gives a confidence of 95 %.
    Raises ValueError unless 0 <= first_only + second_only <= count and count > 0.
    Source: Bonett and Price (2012), Journal of Educational and Behavioral Statistics 37, 479-488 (adjusted Wald).
    """
    if min(first_only, second_only) < 0 or first_only + second_only > count or count == 0:
        raise ValueError(f"{first_only} and {second_only} of {count} are no shares")
    lost, won = (first_only + 1) / (count + 2), (second_only + 1) / (count + 2)
    half = z * math.sqrt((lost + won - (won - lost) ** 2) / (count + 2))
    return (second_only - first_only) / count, (max(-1.0, won - lost - half), min(1.0, won - lost + half))


def bootstrap_interval(
    values: Sequence[float], *, level: float = 0.95, draws: int = 10_000, seed: int = 0
) -> tuple[float, float]:
    """Return the percentile bootstrap interval of the mean. The same values and seed give the same interval."""
    import numpy as np

    sample = np.asarray(values, dtype=np.float64)
    picks = np.random.default_rng(seed).integers(0, len(sample), size=(draws, len(sample)))
    tail = (1 - level) / 2
    low, high = np.quantile(sample[picks].mean(axis=1), [tail, 1 - tail])
    return float(low), float(high)


def paired_difference(first: Sequence[float], second: Sequence[float]) -> tuple[float, tuple[float, float]]:
    """Return the mean of second - first over pairs (e.g. of equal seeds), and its bootstrap interval.

    Raises ValueError if the two lists have different lengths.
    """
    if len(first) != len(second):
        raise ValueError(f"{len(first)} and {len(second)} values do not pair")
    differences = [b - a for a, b in zip(first, second, strict=True)]
    return fmean(differences), bootstrap_interval(differences)
