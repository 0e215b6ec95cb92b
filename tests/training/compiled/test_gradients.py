"""Gradients and running statistics of every network that "auto" compiles against torch in float64."""

from __future__ import annotations

import pytest
import torch
from beside_torch import assert_equal, by_c, by_torch, draw_inputs, randomised

from featherweight.models import CATALOGUE, build_model

THIN = sorted(CATALOGUE.keys() - {"session1", "session7-model3"})      # model 3 has the network of model 2


@pytest.mark.parametrize("name", THIN)
def test_gradients_are_those_of_torch(name: str) -> None:
    model = randomised(build_model(name))
    for count in ((37, 3) if name in ("session5", "feather-cifar") else (64, 37, 5, 3)):
        inputs = draw_inputs(model, model.input_shapes, count)
        expected, rounded = by_torch(model, inputs), by_torch(model, inputs, torch.float32)
        for threads in (1, 2) if count > 32 else (1,):
            assert_equal(by_c(model, inputs, threads), expected, rounded)
