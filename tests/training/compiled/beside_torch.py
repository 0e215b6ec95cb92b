"""A compiled network beside torch: gradients of one batch against those of torch in float64.

A ReLU at 0 and a max pool of equal values have a kink, where rounding decides the gradient. So the inputs are drawn
again until every kink is far from the values of the reference. Then only a fault can change a gradient.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from featherweight.training.compiled.network import CompiledNetwork
from featherweight.training.compiled.program import compile_network

FAR = 5e-7          # distance from the first kink, as part of the standard deviation: the rounding errors of float32
DRAWS = 200         # of inputs
GRADIENT = 1e-4     # largest error of a parameter's gradient, as part of its norm
STATISTIC = 1e-5
SMALL = 1e-2        # a gradient is small if its norm is less than this part of the largest one: some are exactly 0


@dataclass
class Passes:
    """Results of one forward and backward pass."""

    heads: list[Tensor]
    gradients: dict[str, Tensor]
    statistics: dict[str, Tensor]


class Kinks(TorchFunctionMode):
    """A context that measures how near the values come to a kink.

    nearest: as part of the standard deviation, divided by the number of the layer with a kink, as errors add up.
    """

    def __init__(self) -> None:
        super().__init__()
        self.nearest, self.layers = math.inf, 0

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func.__name__ in ("relu", "relu_"):
            self.see(args[0].abs(), args[0])
        elif func.__name__ in ("max_pool2d", "adaptive_max_pool2d"):
            self.see(gaps(args[0], func(*args, **(kwargs or {})).shape), args[0])
        return func(*args, **(kwargs or {}))

    def see(self, distances: Tensor, values: Tensor) -> None:
        self.layers += 1
        distances = distances[distances > 0]        # equal numbers, as zeros after ReLU, stay equal in C
        if len(distances):
            self.nearest = min(self.nearest, float(distances.min() / values.std() / self.layers))


def gaps(values: Tensor, shape: torch.Size) -> Tensor:
    """Differences of the two largest values in each window of a pool with results of this shape."""
    rows, columns = values.shape[2] // shape[2], values.shape[3] // shape[3]
    windows = values[:, :, : rows * shape[2], : columns * shape[3]].unfold(2, rows, rows).unfold(3, columns, columns)
    if rows * columns == 1:
        return torch.ones(1)
    first, second = windows.flatten(4).topk(2).values.unbind(-1)
    return first - second


def randomised(model: nn.Module) -> nn.Module:
    """Set dropout to 0, and gains, shifts and statistics of normalisation to random numbers."""
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            for tensor, low, high in ((module.weight, 0.5, 1.5), (module.bias, -0.5, 0.5)):
                if isinstance(tensor, nn.Parameter):
                    tensor.data.uniform_(low, high)
            if module.running_mean is not None:
                module.running_mean.normal_()
                module.running_var.uniform_(0.5, 2)
    return model


def draw_inputs(model: nn.Module, shapes: Sequence[tuple[int, ...]], count: int) -> list[Tensor]:
    """Draw images for which no value of the network lies near a kink."""
    reference = copy.deepcopy(model).double().train()
    for _ in range(DRAWS):
        inputs = [torch.randn(count, *shape) for shape in shapes]
        with torch.no_grad(), Kinks() as kinks:
            reference(*(one.double() for one in inputs))
        if kinks.nearest > FAR:
            return inputs
    raise AssertionError(f"no draw of {DRAWS} had all values far from a kink")


def loss_of(heads: Sequence[Tensor], labels: Tensor) -> Tensor:
    return sum((F.cross_entropy(head, labels % head.shape[1]) * (index + 1) for index, head in enumerate(heads)),
               torch.zeros((), dtype=heads[0].dtype))


def labels_for(count: int) -> Tensor:
    return torch.arange(count) * 7 % 10


def by_torch(model: nn.Module, inputs: Sequence[Tensor], dtype: torch.dtype = torch.float64) -> Passes:
    """Run a copy of the network by torch."""
    twin = copy.deepcopy(model).to(dtype).train()
    twin.zero_grad()
    found = twin(*(one.to(dtype) for one in inputs))
    heads = list(found) if isinstance(found, tuple | list) else [found]
    loss_of(heads, labels_for(len(inputs[0]))).backward()
    return passes_of(twin, heads)


def by_c(model: nn.Module, inputs: Sequence[Tensor], threads: int = 1, *, half: bool = False) -> Passes:
    """Run a copy of the network by its compiled C."""
    twin = copy.deepcopy(model)
    network = compiled(twin, inputs, threads, half=half)
    return pass_through(network, twin, inputs)


def compiled(model: nn.Module, inputs: Sequence[Tensor], threads: int = 1, *, half: bool = False) -> CompiledNetwork:
    program = compile_network(model, [one[:2] for one in inputs], half=half)
    return CompiledNetwork(program, len(inputs[0]), threads)


def pass_through(network: CompiledNetwork, model: nn.Module, inputs: Sequence[Tensor], key: int = 1) -> Passes:
    """Run one forward and backward pass of a compiled network."""
    leaves = [head.requires_grad_() for head in network.forward(inputs, key=key)]
    loss = loss_of(leaves, labels_for(len(inputs[0])))
    network.backward(torch.autograd.grad(loss, leaves))
    return passes_of(model, leaves)


def passes_of(model: nn.Module, heads: Sequence[Tensor]) -> Passes:
    gradients = {name: one.grad.clone() for name, one in model.named_parameters() if one.grad is not None}
    return Passes([head.detach() for head in heads], gradients,
                  {name: one.clone() for name, one in model.named_buffers()})


def distance(found: Tensor, expected: Tensor) -> float:
    """Norm of the difference as part of the norm."""
    return float((found.double() - expected).norm() / expected.norm())


def gradient_errors(found: Passes, expected: Passes) -> dict[str, float]:
    """Error of each gradient as part of its norm, or as part of SMALL times the largest norm if that is more."""
    assert found.gradients.keys() == expected.gradients.keys()
    least = SMALL * max(float(one.norm()) for one in expected.gradients.values())
    return {name: float((found.gradients[name].double() - one).norm()) / max(float(one.norm()), least)
            for name, one in expected.gradients.items()}


def assert_equal(found: Passes, expected: Passes, rounded: Passes | None = None) -> None:
    """Assert that C did as torch in float64: log-probabilities, gradients and running statistics.

    rounded: by torch in float32. An ill-conditioned batch, as one of two images, may have three times its errors.
    """
    for ours, theirs in zip(found.heads, expected.heads, strict=True):
        assert distance(ours.log_softmax(1), theirs.log_softmax(1)) < GRADIENT
    limits = dict.fromkeys(expected.gradients, GRADIENT)
    if rounded is not None:
        limits |= {name: max(GRADIENT, 3 * error) for name, error in gradient_errors(rounded, expected).items()}
    assert not {name: error for name, error in gradient_errors(found, expected).items() if not error < limits[name]}
    for name, expected_one in expected.statistics.items():
        ours = found.statistics[name]
        if ours.dtype == torch.int64:
            assert ours.equal(expected_one)
        else:
            assert distance(ours, expected_one) < STATISTIC, name


def check(model: nn.Module, shapes: Sequence[tuple[int, ...]], count: int, threads: int = 1) -> None:
    """Assert that the compiled network does as torch in float64 for a batch of random images."""
    inputs = draw_inputs(randomised(model), shapes, count)
    rounded = by_torch(model, inputs, torch.float32)
    assert_equal(by_c(model, inputs, threads), by_torch(model, inputs), rounded)
