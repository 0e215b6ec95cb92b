"""Costs that are counted without a network are those of the network, and no candidate is over its budget."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import featherweight
from featherweight.budgets.budget import built
from featherweight.budgets.outline import adapted
from featherweight.budgets.usage import inputs_for, usage_of
from featherweight.errors import ModelError, RecipeError
from featherweight.search.costs import costs_of
from featherweight.search.fitting import cells_of, fitted, within
from featherweight.search.problem import Budgets, Problem
from featherweight.search.space import SPACE, START, Choice, Real, draw
from featherweight.shipping import export


def problem(form="int8", shape=(1, 28, 28), levels=1, **limits):
    return Problem("mnist", shape, 10, 60000, Budgets(**limits), form, levels, 1, ())


@st.composite
def points(drawing):
    def value(_, dimension):
        if isinstance(dimension, Choice):
            return drawing(st.sampled_from(dimension.values))
        numbers = st.floats if isinstance(dimension, Real) else st.integers
        return drawing(numbers(dimension.low, dimension.high))

    return draw(value)


def usage(words, shape, gain):
    model = built(words, {"in_channels": shape[0], "classes": 10, "gain": gain})
    with torch.no_grad():
        return usage_of(model, (shape,), adapted(model, inputs_for((shape,))))


@pytest.mark.parametrize("upright", [False, True])
def test_ram_of_images_that_are_stood_upright_is_that_of_the_export(upright, tmp_path):
    asked = replace(problem(parameters=400), upright=upright)
    candidate, costs = fitted(START, asked, asked.budgets.limits)
    settings = {"data.upright": upright, "data.dataset": "digits", "training.epochs": 1, "model.arguments.gain": False}
    run = featherweight.train(model=candidate.words, settings=settings, out=tmp_path / "run", quiet=True)
    done = export(run.path, "c", tmp_path / "c", int8=True)
    assert (done["ram"], done["flash"]) == (costs.ram, costs.flash)


@given(points(), st.sampled_from(["int8", "float"]), st.sampled_from([(1, 28, 28), (3, 32, 32)]),
       st.fixed_dictionaries({"parameters": st.integers(200, 20000)}, optional={
           "macs": st.integers(20000, 2000000), "ram": st.integers(3000, 60000), "flash": st.integers(800, 60000)}))
@settings(max_examples=20)
def test_costs_are_those_of_the_network_and_within_the_budget(point, form, shape, limits):
    found = fitted(point, problem(form, shape, **limits), limits)
    assume(found is not None)
    candidate, costs = found
    real = usage(candidate.words, shape, candidate.settings.get("model.arguments.gain", True)).amounts(form)
    assert costs.to_dict() == real
    assert all(real[name] <= limit for name, limit in limits.items())
    assert within(costs, limits)


@pytest.mark.parametrize("words", ["c8 s16 p s22 g h", "z2 t6 e8 x8t3 w8t2 q h", "F4 p S8 C6 k9 g h"])
def test_costs_of_every_word_of_the_space(words):
    for gain in (True, False):
        assert costs_of(f"words:{words}", (1, 28, 28), 10, "int8", gain=gain).to_dict() == (
            usage(f"words:{words}", (1, 28, 28), gain).amounts("int8"))


def test_faults_of_words():
    with pytest.raises(ModelError, match="too small"):
        costs_of("words:c8 z13 c4 g h", (1, 28, 28), 10)
    with pytest.raises(ModelError, match="not used in a search"):
        costs_of("words:c8 n8 g h", (1, 28, 28), 10)


def test_a_candidate_takes_milliseconds():
    begun = time.process_time()
    for _ in range(20):
        costs_of("words:c6 s12 p s16 s16 s16 s15 g h", (1, 28, 28), 10)
    assert (time.process_time() - begun) / 20 < 0.02


@pytest.mark.parametrize("limit", [1000, 2000, 8000])
def test_the_first_candidate_fills_its_budget(limit):
    _, costs = fitted(START, problem(parameters=limit), {"parameters": limit})
    assert 0.93 * limit < costs.parameters <= limit


def test_budgets_that_nothing_meets():
    with pytest.raises(RecipeError, match=r"max_parameters=20 cannot be met: the smallest .* Give at least \d+"):
        cells_of(problem(parameters=20))
    with pytest.raises(RecipeError, match="cannot be met together"):
        cells_of(problem(macs=2500, flash=610))
    assert len(cells_of(problem(parameters=400, levels=8))) < 8     # cells that are too small are left out


def test_the_start_is_a_point_of_the_space():
    point = draw(lambda name, dimension: START[name])
    assert point.items() <= START.items() and START.keys() <= SPACE.keys()
