"""Proposals depend on the seed, the number and what was measured, and nothing else."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from featherweight.search.exploring import PARENTS, Exploring, proposal
from featherweight.search.problem import Budgets, Problem
from featherweight.search.sampler import Observation, Sampler
from featherweight.search.space import SPACE, START, STARTS, Choice, draw, near
from featherweight.search.study import WINDOW, Study

PROBLEM = Problem("mnist", (1, 28, 28), 10, 60000, Budgets(parameters=2000), "int8", 2, 1, ())


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
    return [Observation(number, point, None if luck.random() < 0.1 else 1 - abs(point["moves"] - 0.3))
            for number, point in enumerate(points)]


def test_a_new_sampler_proposes_the_same():
    seen, old = observations(2 * WINDOW), Sampler(1)
    for count in (0, 5, 40, 2 * WINDOW):
        assert old.point(count, 0, seen[:count]) == Sampler(1).point(count, 0, seen[:count]), count
    assert old.point(9, 0, seen) != old.point(10, 0, seen) != old.point(10, 1, seen)


def test_it_learns():
    seen = observations(90)
    asked = [Sampler(seed).point(90, 0, seen)["moves"] for seed in range(12)]
    random_ones = [Sampler(seed, randomly=True).point(90, 0, seen)["moves"] for seed in range(12)]
    assert sum(abs(one - 0.3) for one in asked) < sum(abs(one - 0.3) for one in random_ones)


def searched(count):
    """Return a study with `count` members at the first rung. The accuracy rises with the number."""
    study = Study(PROBLEM)
    for number in range(count):
        study.apply(proposal(study, Sampler(1, randomly=True)))
        study.apply({"event": "measured", "number": number, "rung": 0, "accuracy": 0.5 + number / 1000, "seconds": 1.0})
    return study


def test_what_tpe_sees_is_bounded_and_holds_the_best():
    study = searched(2 * WINDOW + 5)
    assert len(study.window()) <= 2 * WINDOW
    assert {repr(one.point) for one in study.leaders(WINDOW)} <= {repr(one.point) for one in study.window()}


def test_a_member_of_a_higher_rung_is_better_than_all_of_lower_ones():
    study = searched(10)
    study.apply({"event": "rung", "number": 0, "rung": 1})
    study.apply({"event": "measured", "number": 0, "rung": 1, "accuracy": 0.4, "seconds": 1.0})
    assert study.leaders(1)[0].point == study.members[0].point      # it counts once, with its last measurement
    assert len(study.order) == 10 and study.leaders(2)[1].point in (study.members[8].point, study.members[9].point)


def test_a_failure_at_a_higher_rung_is_no_leader():
    study = searched(10)
    study.apply({"event": "rung", "number": 9, "rung": 1})
    study.apply({"event": "failed", "number": 9, "rung": 1, "reason": "a fault", "seconds": 1.0})
    assert study.members[9].point not in [one.point for one in study.leaders(10)]
    assert [one.score for one in study.window()].count(None) == 1


def test_every_point_has_what_the_space_says():
    point = Sampler(1).point(0, 0, [])
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
    parents = [Observation(place, {**START, "stem_width": 0.2 + 0.01 * place}, place / 100) for place in range(PARENTS)]
    widths = [Sampler(1).neighbour(number, 0, parents)["stem_width"] for number in range(40)]
    assert sum(width in {one.point["stem_width"] for one in parents} for width in widths) > 25


@pytest.mark.parametrize(("ram", "words"), [(20_000, "words:c"), (2000, "words:z2 t")])
def test_a_budget_begins_with_a_form_that_fits_its_ram(ram, words):
    study = Study(Problem("mnist", (1, 28, 28), 10, 60000, Budgets(ram=ram), "int8", 1, 1, ()))
    assert proposal(study, Sampler(1))["candidate"]["words"].startswith(words)


def test_the_first_network_of_a_budget_is_trained_to_the_end_even_if_it_is_the_worst():
    study, whole = searched(9), len(Study(PROBLEM).epochs)
    stage, gone = Exploring(study, Sampler(1), 9, lambda at: True), []
    while (job := stage.promoted()) and len(gone) < 2 * (whole - 1):
        study.apply(job.begins)
        study.apply({"event": "measured", **job.ends, "accuracy": 0.1, "seconds": 1.0})
        gone.append((job.ends["number"], job.ends["rung"]))
    assert gone == [(number, rung) for number in (0, 1) for rung in range(1, whole)]     # one of each budget


def test_a_first_network_that_fails_does_not_go_on():
    study = searched(4)
    stage = Exploring(study, Sampler(1), 4, lambda at: True)
    for number in (0, 1):
        study.apply({"event": "rung", "number": number, "rung": 1})
        study.apply({"event": "failed", "number": number, "rung": 1, "reason": "a fault", "seconds": 1.0})
    assert (job := stage.promoted()) is None or job.ends["number"] > 1
