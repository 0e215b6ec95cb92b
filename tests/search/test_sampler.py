"""Proposals depend on the seed, the number and what was measured, and nothing else."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from featherweight.search.exploring import proposal
from featherweight.search.problem import Budgets, Problem
from featherweight.search.sampler import RECENT, Observation, Sampler, best, window_start
from featherweight.search.space import SPACE, START, STARTS, Choice, draw, near
from featherweight.search.study import Study


def drawn(luck):
    def value(_, dimension):
        if isinstance(dimension, Choice):
            return luck.choice(dimension.values)
        return luck.uniform(dimension.low, dimension.high) if isinstance(dimension.low, float) or hasattr(
            dimension, "log") else luck.randint(dimension.low, dimension.high)

    return draw(value)


def observations(count, seed=1):
    luck = random.Random(seed)
    points = [drawn(luck) for _ in range(count)]
    return [Observation(point, None if luck.random() < 0.1 else 1 - abs(point["moves"] - 0.3)) for point in points]


def test_a_new_sampler_proposes_the_same():
    seen = observations(3 * RECENT + 20)
    old = Sampler(1)
    for count in (0, 5, 40, RECENT, 2 * RECENT - 1, 2 * RECENT, 3 * RECENT + 20):
        points = [sampler.point(count, 0, "place", seen[:count]) for sampler in (old, Sampler(1))]
        assert points[0] == points[1], count
    assert old.point(9, 0, "place", seen) != old.point(10, 0, "place", seen) != old.point(10, 1, "place", seen)


def test_it_learns():
    seen = observations(90)
    asked = [Sampler(seed).point(90, 0, "place", seen)["moves"] for seed in range(12)]
    random_ones = [Sampler(seed, randomly=True).point(90, 0, "place", seen)["moves"] for seed in range(12)]
    assert sum(abs(one - 0.3) for one in asked) < sum(abs(one - 0.3) for one in random_ones)


def test_what_it_sees_is_bounded():
    seen = observations(500)
    assert max(len(best(seen[: window_start(n)])) + n - window_start(n) for n in range(500)) <= 3 * RECENT
    assert [one.score for one in best(seen)] and max(one.score or 0 for one in seen) in [
        one.score for one in best(seen)]


def test_every_point_has_what_the_space_says():
    point = Sampler(1).point(0, 0, "place", [])
    assert point.keys() <= SPACE.keys() and len(point) >= len(SPACE) - 3


@given(st.integers(0, 2**32 - 1), st.sampled_from(STARTS))
def test_a_neighbour_is_a_point_of_the_space_with_few_changes(seed, point):
    found = near(point, np.random.default_rng(seed))
    assert found == near(point, np.random.default_rng(seed))
    assert found == draw(lambda name, dimension: found[name])       # nothing that has no effect
    for name, value in found.items():
        dimension = SPACE[name]
        assert value in dimension.values if isinstance(dimension, Choice) else dimension.low <= value <= dimension.high
    same = [name for name in found if name in point and found[name] == point[name]]
    assert len(same) >= len(found) - 14


def test_neighbours_are_those_of_the_best_points():
    seen = [Observation({**START, "stem_width": 0.2 + 0.01 * place}, place / 100) for place in range(100)]
    seen.append(Observation({**START, "stem_width": 1.9}, None))     # a failure has no neighbours
    widths = [Sampler(1).neighbour(number, 0, seen)["stem_width"] for number in range(40)]
    kept = [width for width in widths if width in {one.point["stem_width"] for one in seen}]
    assert len(kept) > 25 and set(kept) <= {0.2 + 0.01 * place for place in range(95, 100)}


@pytest.mark.parametrize(("ram", "words"), [(20_000, "words:c"), (2000, "words:z2 t")])
def test_a_budget_begins_with_a_form_that_fits_its_ram(ram, words):
    study = Study(Problem("mnist", (1, 28, 28), 10, 60000, Budgets(ram=ram), "int8", 1, 1, ()))
    assert proposal(study, Sampler(1))["candidate"]["words"].startswith(words)
