"""Lazy layers get their sizes from one pass, the same for the same seed."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from featherweight.errors import ModelError
from featherweight.models.lazy import fill_lazy, lazy_names

IMAGES = torch.zeros(2, 1, 28, 28)


def filled():
    torch.manual_seed(3)
    network = nn.Sequential(
        nn.LazyConv2d(4, 3), nn.LazyBatchNorm2d(), nn.Dropout(0.5), nn.Flatten(), nn.LazyLinear(10)
    )
    assert len(lazy_names(network)) == 8
    fill_lazy(network, [IMAGES])
    return network


def test_sizes_come_from_the_input_and_weights_from_the_seed():
    first, second = filled(), filled()
    assert not lazy_names(first) and first.training
    assert [tuple(p.shape) for p in first.parameters()] == [(4, 1, 3, 3), (4,), (4,), (4,), (10, 2704), (10,)]
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))
    assert first[1].running_mean.tolist() == [0.0] * 4 and int(first[1].num_batches_tracked) == 0


def test_a_network_without_lazy_layers_is_not_asked():
    network, state = nn.Linear(3, 3), torch.get_rng_state()
    fill_lazy(network, [IMAGES])    # which it would not take
    assert torch.equal(torch.get_rng_state(), state)


def test_lazy_layers_that_cannot_be_filled_are_one_line():
    with pytest.raises(ModelError, match=r"lazy layers cannot be found with inputs \(2, 1, 28, 28\): .*"):
        fill_lazy(nn.Sequential(nn.Linear(3, 3), nn.LazyLinear(2)), [IMAGES])
    idle = nn.Sequential(nn.Flatten())
    idle.never = nn.ModuleList([nn.LazyLinear(2)])
    idle.forward = lambda x: x
    with pytest.raises(ModelError, match=r"'never.0.weight' is lazy, and forward never gives it an input"):
        fill_lazy(idle, [IMAGES])
