"""Bring a point of the space within a budget: its widths are multiplied by the largest factor that fits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from itertools import product
from math import sqrt
from typing import Any

from featherweight.errors import ModelError, RecipeError
from featherweight.search.costs import Outline, code_size, outline_of
from featherweight.search.problem import Problem
from featherweight.search.records import Candidate, Costs
from featherweight.search.space import START, settings_of, words_of
from featherweight.shipping.c_files import upright_bytes
from featherweight.wording import option

LOWEST, HIGHEST = 0.4, 256.0    # factors; with the lowest, all layers of START have the fewest channels
HALVINGS = 10                   # of the ratio of the two: the factor is exact to 1 %

Limits = Mapping[str, int]


def cells_of(problem: Problem) -> list[dict[str, int]]:
    """Return the limits of each level: those of the budget, half of them, a quarter, ... as far as a network fits.

    Raises RecipeError, with the smallest possible number, if no network fits the budget itself.
    """
    limits = problem.budgets.limits
    halved = [{name: limit // 2**level for name, limit in limits.items()} for level in range(problem.levels)]
    smallest = list(smallest_networks(problem))
    cells = [cell for cell in halved if any(within(one, cell) for one in smallest)]
    if not cells:
        raise RecipeError(why_impossible(smallest, limits))
    return cells


def fitted(point: Mapping[str, Any], problem: Problem, limits: Limits) -> tuple[Candidate, Costs] | None:
    """Return the widest network of a point within the limits, or None if the point has none."""
    @cache      # near the end most factors give the same words
    def outline(words: str) -> Outline | None:
        return attempt(words, point["gain"], problem, limits)

    low, high = LOWEST, HIGHEST
    best = words_of(point, low, problem.shape[1])
    if outline(best) is None:
        return None
    for _ in range(HALVINGS):
        middle = sqrt(low * high)
        words = words_of(point, middle, problem.shape[1])
        if outline(words) is None:
            high = middle
        else:
            low, best = middle, words
    whole = outline(best)
    assert whole is not None
    return Candidate(best, settings_of(point) | {"training.epochs": problem.budgets.epochs}), costs(whole, problem)


def attempt(words: str, gain: bool, problem: Problem, limits: Limits) -> Outline | None:
    """Return the layers of a network, or None if it is not within the limits.

    The bytes of the C code take longest to count, so they are counted last, and only if they are limited.
    """
    try:
        outline = outline_of(words, problem.shape, problem.classes, gain=gain)
    except ModelError:      # a map is too small
        return None
    counted = {"parameters": outline.parameters, "macs": outline.macs}
    if any(counted[name] > limits.get(name, counted[name]) for name in counted):
        return None
    if limits.keys() <= counted.keys() or within(costs(outline, problem), limits):
        return outline
    return None


def costs(outline: Outline, problem: Problem) -> Costs:
    """Return the costs of a network, with those of its C code."""
    ram, flash = code_size(outline, problem.form)
    standing = upright_bytes(problem.shape[1]) if problem.upright else 0
    return Costs(outline.parameters, outline.macs, ram + standing, flash)


def within(found: Costs, limits: Limits) -> bool:
    """Return True if no cost is above its limit."""
    return all(getattr(found, name) <= limit for name, limit in limits.items())


def smallest_networks(problem: Problem) -> Iterator[Costs]:
    """Yield the costs of short networks with the fewest channels. One of them is the smallest for each cost."""
    forms = product((0, 3), ("c", "t", "F"), ("s", "S", "c", "x"), (0, 1, 2))
    for crop, stem, kind, pools in forms:
        places = dict(zip(("pool", "pool2")[:pools], (0.0, 1.0), strict=False))
        point = {**START, "crop": crop, "stem": stem, "stages": 2, "kind0": kind, "kind1": kind, "pools": pools}
        point = {**{k: v for k, v in point.items() if k != "pool"}, **places}
        found = attempt(words_of(point, LOWEST, problem.shape[1]), point["gain"], problem, {})
        if found:
            yield costs(found, problem)


def why_impossible(smallest: list[Costs], limits: Limits) -> str:
    """Return the message for limits that no network of the space meets."""
    for name, limit in limits.items():
        least = min(getattr(one, name) for one in smallest)
        if limit < least:
            return (f"{option(f'max-{name}', limit)} cannot be met: the smallest network of this search has "
                    f"{least:,}. Give at least {least}.")
    given = " and ".join(option(f"max-{name}", limit) for name, limit in limits.items())
    nearest = min(smallest, key=lambda one: max(getattr(one, name) / limit for name, limit in limits.items()))
    needs = " and ".join(option(f"max-{name}", getattr(nearest, name)) for name in limits)
    return f"{given} cannot be met together: the smallest network of this search needs {needs}."
