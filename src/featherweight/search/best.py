"""Networks as marks of a picture: name, costs and accuracy, and which of them are the best for a cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from featherweight.search.records import Costs

COSTS = ("parameters", "macs", "ram", "flash")


@dataclass(frozen=True)
class Mark:
    """One network in a picture. accuracy: mean over seeds; low, high: lowest and highest seed; all fractions."""

    name: str
    costs: Costs
    accuracy: float
    low: float
    high: float
    seeds: int = 1

    def cost(self, name: str) -> float:
        """Return a cost, such as "parameters"; at least 1, because a logarithmic scale has no 0."""
        return float(max(getattr(self.costs, name), 1))


def best_of(marks: Sequence[Mark], cost: str) -> list[Mark]:
    """Return the networks that are more accurate than all that cost as much or less, from cheap to expensive."""
    found: list[Mark] = []
    for mark in sorted(marks, key=lambda mark: (mark.cost(cost), -mark.accuracy)):
        if not found or mark.accuracy > found[-1].accuracy:
            found.append(mark)
    return found
