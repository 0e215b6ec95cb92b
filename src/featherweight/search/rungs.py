"""Rungs: each candidate is trained for a few epochs first, and only the best are trained for more.

Each rung is a complete training with its own schedule and its own fade. Asynchronous successive halving: a candidate
goes on to the next rung if it is among the best third of its rung at that moment.
Source: Li et al. (2020), "A System for Massively Parallel Hyperparameter Tuning".
"""

from __future__ import annotations

import heapq
from bisect import bisect_left, insort
from collections.abc import Mapping

SHARE = 3       # one of this many goes on
RUNGS = 3       # most rungs


def epochs_of_rungs(epochs: int) -> list[int]:
    """Return the epochs of each rung: a ninth, a third and all of them, without repetition. 15 -> [2, 5, 15]."""
    return sorted({max(1, round(epochs / SHARE**rung)) for rung in range(RUNGS)})


class Rung:
    """Accuracies of the candidates at one rung, and which of them have gone on to the next."""

    def __init__(self) -> None:
        self.ranking: list[tuple[float, int]] = []      # (-accuracy, number), the best first
        self.waiting: list[tuple[float, int]] = []      # the same as a heap, with some that went on
        self.gone = set[int]()

    def add(self, number: int, accuracy: float) -> None:
        """Add the accuracy of a candidate."""
        insort(self.ranking, (-accuracy, number))
        heapq.heappush(self.waiting, (-accuracy, number))

    def promotable(self, *, at_least: int = 0) -> int | None:
        """Return the best candidate that did not go on, if it is among the best 1/SHARE. Else None.

        at_least: number of candidates that may go on even if they are more than 1/SHARE.
        """
        while self.waiting and self.waiting[0][1] in self.gone:
            heapq.heappop(self.waiting)
        allowed = max(at_least, len(self.ranking) // SHARE)
        if self.waiting and bisect_left(self.ranking, self.waiting[0]) < allowed:
            return self.waiting[0][1]
        return None


def rank_correlation(first: Mapping[int, float], last: Mapping[int, float]) -> float | None:
    """Return Spearman's rank correlation of the candidates that are in both, None for fewer than 3 or equal values."""
    both = [number for number in first if number in last]
    if len(both) < 3:
        return None
    sides = [[side[number] for number in both] for side in (first, last)]
    if any(len(set(values)) == 1 for values in sides):
        return None
    from scipy.stats import spearmanr  # takes long to load

    return float(spearmanr(*sides).statistic)
