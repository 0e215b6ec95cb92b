"""Gradients and running statistics of every network of the catalogue against torch in float64."""

from __future__ import annotations

import pytest
from beside_torch import assert_equal, by_c, by_torch, draw_inputs, randomised

from featherweight.models import CATALOGUE, build_model

SIZES = {name: (128, 77, 5, 2) for name in CATALOGUE}


@pytest.mark.parametrize("name", SIZES)
def test_gradients_are_those_of_torch(name: str) -> None:
    model = randomised(build_model(name))
    for count in SIZES[name]:
        inputs = draw_inputs(model, model.input_shapes, count)
        expected = by_torch(model, inputs)
        for threads in (1, 2) if count > 32 else (1,):
            assert_equal(by_c(model, inputs, threads), expected)
