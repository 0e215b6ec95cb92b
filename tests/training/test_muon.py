"""Muon beside singular values, torch's own Muon for matrices and torch's Adam for vectors."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from featherweight.training.muon import VECTOR_RATE, Muon, orthogonal, step_together

sides = st.integers(1, 12)


def random(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def moved(optimizer, parameters, steps=4):
    """Take steps with gradients that are the same for parameters of the same size, however they are shaped."""
    for step in range(steps):
        for index, parameter in enumerate(parameters):
            parameter.grad = random(parameter.numel(), seed=100 * step + index).view(parameter.shape)
        optimizer.step()
    return [parameter.detach().clone() for parameter in parameters]


def weight(*shape, seed=7):
    return nn.Parameter(random(*shape, seed=seed))


@given(sides, sides, st.integers(0, 99))
def test_singular_values_come_near_one_and_their_directions_stay(rows, columns, seed):
    matrix = random(rows, columns, seed=seed)
    u, values, v = torch.linalg.svd(matrix, full_matrices=False)
    inside = u.T @ orthogonal(matrix) @ v.T
    strong = values > 0.05 * values[0]      # a direction that is next to nothing is lifted as far as five turns can
    assert inside.diagonal()[strong].min() > 0.6
    assert inside.diagonal().max() < 1.3
    assert (inside - inside.diagonal().diag()).abs().max() < 1e-3


def test_many_matrices_at_once_are_each_of_them():
    stack = random(5, 4, 9)
    torch.testing.assert_close(orthogonal(stack), torch.stack([orthogonal(one) for one in stack]))


def test_no_gradient_is_no_number_less():
    assert torch.equal(orthogonal(torch.zeros(3, 4)), torch.zeros(3, 4))


@pytest.mark.parametrize("nesterov", [True, False])
@pytest.mark.parametrize("shape", [(6, 20), (20, 6), (8, 8)])
def test_a_matrix_is_moved_as_torchs_muon_moves_it(shape, nesterov):
    settings = {"lr": 0.05, "momentum": 0.9, "nesterov": nesterov, "weight_decay": 0.1}
    ours, torchs = weight(*shape), weight(*shape)
    (found,) = moved(Muon([ours], **settings), [ours])
    (expected,) = moved(torch.optim.Muon([torchs], **settings), [torchs])
    assert (found - expected).abs().max() < 0.02 * (expected - weight(*shape)).abs().max()     # torch iterates in bf16


def test_a_convolution_is_the_matrix_of_its_outputs():
    convolution = nn.Parameter(random(6, 2, 3, 3).to(memory_format=torch.channels_last))
    matrix = nn.Parameter(convolution.detach().flatten(1).clone())
    (found,), (expected,) = (moved(Muon([one], lr=0.1), [one]) for one in (convolution, matrix))
    torch.testing.assert_close(found.flatten(1), expected)


def test_a_vector_is_moved_by_adam_and_does_not_decay():
    ours, torchs = weight(10), weight(10)
    found = moved(Muon([ours], lr=0.1, betas=(0.8, 0.9), weight_decay=0.5), [ours])
    expected = moved(torch.optim.Adam([torchs], lr=0.1 * VECTOR_RATE, betas=(0.8, 0.9)), [torchs])
    torch.testing.assert_close(found, expected)


SHAPES = [(4, 2, 3, 3), (5, 8), (4, 2, 3, 3), (5,), (), (7,), (1, 9)]


def networks(count, without=None):
    """(parameters of each network, with gradients but for one of them, their optimizers)."""
    weights = [[weight(*shape, seed=10 * one + part) for part, shape in enumerate(SHAPES)] for one in range(count)]
    for one, parts in enumerate(weights):
        for part, parameter in enumerate(parts):
            parameter.grad = None if part == without else random(*parameter.shape, seed=10 * one + part + 500)
    return weights, [Muon(parts, lr=0.1, weight_decay=0.1) for parts in weights]


@pytest.mark.parametrize("without", [None, 1, 3])
def test_networks_together_are_each_of_them_alone(without):
    (together, optimizers), (alone, singles) = networks(3, without), networks(3, without)
    for _ in range(3):
        step_together(optimizers)
        for one in singles:
            one.step()
    for ours, theirs in zip(together, alone, strict=True):
        torch.testing.assert_close(ours, theirs)
    for one, other in zip(optimizers, singles, strict=True):
        assert one.state_dict()["state"].keys() == other.state_dict()["state"].keys()
        for slot, expected in zip(one.state.values(), other.state.values(), strict=True):
            torch.testing.assert_close(slot, expected)


def test_many_networks_take_no_kernel_more_than_one():
    class Computed(TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            operations[-1] += func.__name__ not in ("view.default", "expand.default")
            return func(*args, **(kwargs or {}))

    operations = []
    for count in (1, 8):
        _, optimizers = networks(count)
        step_together(optimizers)       # the first step also makes what they remember
        operations.append(0)
        with Computed():
            step_together(optimizers)
    assert operations[0] == operations[1] > 50


def test_what_has_no_gradient_stays_and_a_closure_is_called():
    still, called = weight(3, 3), []
    Muon([still], lr=0.1).step(lambda: called.append(torch.is_grad_enabled()))
    assert torch.equal(still, weight(3, 3)) and called == [True]
