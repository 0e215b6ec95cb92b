"""The optimizers in C beside those of torch: many steps, the average of the weights, and saved states."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.swa_utils import AveragedModel

from featherweight.training.compiled.optimize import FusedOptimizer
from featherweight.training.compiled.structs import NotFused
from featherweight.training.muon import Muon
from featherweight.training.optimization import build_average, build_optimizer, build_schedule, move

SETTINGS: list[dict[str, Any]] = [
    {"name": "sgd"},
    {"name": "sgd", "weight_decay": 0.1},
    {"name": "sgd", "momentum": 0.9, "weight_decay": 0.01},
    {"name": "sgd", "momentum": 0.9, "nesterov": True, "weight_decay": 0.01},
    {"name": "adam"},
    {"name": "adam", "betas": (0.8, 0.99), "weight_decay": 0.1},
    {"name": "adam", "betas": (0.0, 0.5)},
    {"name": "adamw", "weight_decay": 0.1},
    {"name": "muon", "momentum": 0.9, "nesterov": True, "weight_decay": 0.1, "betas": (0.9, 0.99)},
    {"name": "muon", "momentum": 0.8, "betas": (0.8, 0.9)},
]
SHAPES = [(20, 6), (5, 33), (16, 16), (1, 9), (9, 1), (1, 1), (4, 2, 3, 3), (40, 1, 3, 3), (48, 40, 1, 1), (7,), ()]
settings = pytest.mark.parametrize("options", SETTINGS, ids=str)


class Shapes(nn.Module):
    """Parameters of all shapes: tall, wide, of one row and one column, vectors, a scalar, channels last, and unused."""

    def __init__(self) -> None:
        super().__init__()
        self.weights = nn.ParameterList([torch.randn(shape) for shape in SHAPES])
        self.last = nn.Parameter(torch.randn(10, 6, 3, 3).to(memory_format=torch.channels_last))
        self.unused = nn.Parameter(torch.randn(3))
        self.normalise = nn.BatchNorm2d(3)


class Training:
    """A network with its optimizer and average. Two of the same class begin alike and get the same gradients."""

    def __init__(self, options: dict[str, Any], average: float | None = None) -> None:
        torch.manual_seed(5)
        self.model = Shapes()
        self.optimizer = build_optimizer(self.model.parameters(), lr=0.02, **options)
        self.average = build_average(self.model, average) if average is not None else None

    def steps(self, first: int, end: int, fused: FusedOptimizer | None = None) -> None:
        for step in range(first, end):
            self.pretend_to_train(step)
            lr = 0.02 / (1 + step % 3)
            if fused is not None:
                fused.step(lr)
                continue
            move([self.optimizer], lr)
            if self.average is not None:
                self.average.update_parameters(self.model)

    def pretend_to_train(self, step: int) -> None:
        """Set gradients, and change the batch statistics."""
        draws = torch.Generator().manual_seed(step)
        for name, parameter in self.model.named_parameters():
            if name != "unused":
                gradient = torch.empty_like(parameter)
                parameter.grad = gradient.copy_(torch.randn(parameter.shape, generator=draws))
        with torch.no_grad():
            self.model.normalise(torch.randn(4, 3, 2, 2, generator=draws))

    def fused(self) -> FusedOptimizer:
        return FusedOptimizer(self.optimizer, self.model, self.average)


def expect_equal(found: Training, expected: Training, start: Training, tolerance: float = 1e-4) -> None:
    """Weights differ by less than a part of their change; averages and the optimizer's state by rounding."""
    for ours, theirs, before in zip(*(one.model.parameters() for one in (found, expected, start)), strict=True):
        assert (ours - theirs).norm() <= tolerance * (theirs - before).norm() + 1e-7
    states = [one.optimizer.state_dict()["state"] for one in (found, expected)]
    torch.testing.assert_close(*states, rtol=1e-4, atol=1e-5)
    if found.average is not None and expected.average is not None:
        averages = found.average.state_dict(), expected.average.state_dict()
        torch.testing.assert_close(*averages, rtol=1e-4, atol=1e-5)     # counters are integers: they must be equal


@settings
@pytest.mark.parametrize("average", [None, 0.9, 0.3])
def test_twenty_steps_are_those_of_torch(options: dict[str, Any], average: float | None) -> None:
    found, expected, start = (Training(options, average) for _ in range(3))
    found.steps(0, 20, found.fused())
    expected.steps(0, 20)
    expect_equal(found, expected, start)
    assert found.model.unused.equal(start.model.unused)


@given(st.integers(1, 70), st.integers(1, 70), st.booleans(), st.integers(0, 99))
def test_muon_moves_any_matrix_as_torch(rows: int, columns: int, nesterov: bool, seed: int) -> None:
    torch.manual_seed(seed)
    start, gradient = torch.randn(rows, columns), torch.randn(rows, columns)
    moved = []
    for fused in (True, False):
        model = nn.ParameterList([start.clone()])
        optimizer = Muon(model.parameters(), 0.1, nesterov=nesterov, weight_decay=0.1)
        model[0].grad = gradient.clone()
        FusedOptimizer(optimizer, model).step(0.1) if fused else optimizer.step()
        moved.append(model[0].detach())
    assert (moved[0] - moved[1]).norm() < 1e-4 * (moved[1] - start).norm()


def test_a_gradient_of_zeros_moves_no_matrix() -> None:
    model = nn.ParameterList([torch.ones(3, 4)])
    model[0].grad = torch.zeros(3, 4)
    FusedOptimizer(Muon(model.parameters(), 0.1), model).step(0.1)
    assert model[0].equal(torch.ones(3, 4))


@settings
@pytest.mark.parametrize("fused_first", [True, False])
def test_a_saved_state_is_continued_by_the_other(options: dict[str, Any], fused_first: bool) -> None:
    first, second, expected, start = (Training(options, 0.9) for _ in range(4))
    expected.steps(0, 10)
    first.steps(0, 5, first.fused() if fused_first else None)
    other = None if fused_first else second.fused()
    second.model.load_state_dict(first.model.state_dict())
    second.optimizer.load_state_dict(copy.deepcopy(first.optimizer.state_dict()))
    second.average.load_state_dict(first.average.state_dict())
    second.steps(5, 10, other)
    expect_equal(second, expected, start)
    found, right = (one.optimizer.state_dict() for one in (second, expected))
    assert [slot.keys() for slot in found["state"].values()] == [slot.keys() for slot in right["state"].values()]
    assert found["param_groups"] == right["param_groups"]


def test_a_state_in_another_layout_is_taken_over() -> None:
    options = {"name": "adam"}
    found, expected, start = (Training(options) for _ in range(3))
    for training in (found, expected):
        training.steps(0, 2)
    state = found.optimizer.state[found.model.last]
    state["exp_avg"] = state["exp_avg"].contiguous()
    found.steps(2, 4, found.fused())
    expected.steps(2, 4)
    expect_equal(found, expected, start)


def test_groups_keep_settings_of_their_own_and_changes_of_them_count() -> None:
    trainings = []
    for fused in (True, False):
        model = nn.ParameterList([torch.ones(4), torch.ones(5)])
        groups = [{"params": [model[0]], "momentum": 0.5}, {"params": [model[1]], "weight_decay": 0.3}]
        optimizer = torch.optim.SGD(groups, lr=0.1, momentum=0.9)
        for parameter in model:
            parameter.grad = torch.full_like(parameter, 2.0)
        step = FusedOptimizer(optimizer, model).step if fused else lambda lr, one=optimizer: move([one], lr)
        step(0.1)
        optimizer.param_groups[0]["weight_decay"] = 0.2
        step(0.2)
        trainings.append(model)
    torch.testing.assert_close(*(list(one) for one in trainings))


def test_parameters_that_get_a_gradient_later_are_moved_from_then_on() -> None:
    options = {"name": "muon", "momentum": 0.9}
    found, expected, start = (Training(options) for _ in range(3))
    fused = found.fused()
    for training in (found, expected):
        training.pretend_to_train(0)
        training.model.last.grad = None
    fused.step(0.02)
    move([expected.optimizer], 0.02)
    assert found.model.last.equal(start.model.last)
    found.steps(1, 4, fused)
    expected.steps(1, 4)
    expect_equal(found, expected, start)


@pytest.mark.filterwarnings("error")
def test_schedules_see_the_step() -> None:
    training = Training({"name": "sgd"})
    schedule = build_schedule(training.optimizer, "cosine", total_steps=5)
    training.steps(0, 1, training.fused())
    schedule.after_step()       # warns if no step was done before it


def momentum(dampening: float = 0.0, maximize: bool = False) -> Optimizer:
    return torch.optim.SGD(nn.Linear(2, 2).parameters(), lr=0.1, momentum=0.9, dampening=dampening, maximize=maximize)


def of(*tensors: Tensor) -> Optimizer:
    return torch.optim.SGD([nn.Parameter(each) for each in tensors], lr=0.1)


REFUSED = [
    (torch.optim.RMSprop(nn.Linear(2, 2).parameters()), "optimizer RMSprop: supported are SGD"),
    (torch.optim.Adam(nn.Linear(2, 2).parameters(), amsgrad=True), "optimizer Adam with amsgrad=True"),
    (momentum(dampening=0.1), "dampening=0.1"),
    (momentum(maximize=True), "maximize=True"),
    (of(torch.ones(2, dtype=torch.float64)), r"parameter of torch.float64 \(2,\)"),
    (of(torch.ones(2, 3).T), r"parameter of torch.float32 \(3, 2\)"),
    (of(torch.ones(0)), r"parameter of torch.float32 \(0,\)"),
]


@pytest.mark.parametrize(("optimizer", "reason"), REFUSED)
def test_others_are_refused(optimizer: Optimizer, reason: str) -> None:
    with pytest.raises(NotFused, match=reason):
        FusedOptimizer(optimizer, nn.Module())


def test_other_averages_are_refused() -> None:
    model = nn.Linear(2, 2)
    optimizer = torch.optim.SGD(model.parameters())
    for average in (AveragedModel(model), AveragedModel(model, multi_avg_fn=build_average(model, 0.9).multi_avg_fn)):
        with pytest.raises(NotFused, match="not an exponential average with buffers"):
            FusedOptimizer(optimizer, model, average)
    model.register_buffer("wide", torch.zeros(2, dtype=torch.float64))
    with pytest.raises(NotFused, match=r"average of torch.float64 \(2,\)"):
        FusedOptimizer(optimizer, model, build_average(model, 0.9))


def test_a_gradient_in_another_layout_is_refused_before_any_change() -> None:
    training = Training({"name": "sgd"})
    fused = training.fused()
    training.pretend_to_train(0)
    training.model.last.grad = training.model.last.grad.contiguous()
    with pytest.raises(NotFused, match="gradient of a parameter"):
        fused.step(0.1)
    assert training.model.weights[0].equal(Training({"name": "sgd"}).model.weights[0])
