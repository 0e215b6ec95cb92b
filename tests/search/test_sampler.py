"""Proposals depend on the seed, the number and what was measured, and nothing else."""

from __future__ import annotations

import random

from featherweight.search.sampler import RECENT, Observation, Sampler, best, window_start
from featherweight.search.space import SPACE, Choice, draw


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
