"""Muon: momentum whose step moves every direction of a weight matrix equally far.

torch.optim.Muon takes matrices alone; here a convolution is the matrix of its outputs, as Muon's author has it, and
what is no matrix is moved by Adam.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

COEFFICIENTS = (3.4445, -4.7750, 2.0315)    # of the polynomial that brings singular values from (0, 1] near 1 fastest
ITERATIONS = 5
VECTOR_RATE = 0.3       # of lr: Adam's for shifts, gains and biases
SMALL = 1e-8            # under a norm or a root


class Muon(Optimizer):
    """Parameters (outputs, ...) are moved by lr times a matrix of nearly orthogonal rows or columns.

    weight_decay is decoupled and spares vectors. Source: Jordan et al. (2024), "Muon: An optimizer for hidden layers in
    neural networks"; Adam: Kingma and Ba (2015).
    """

    def __init__(
        self,
        params: Iterable[Tensor],
        lr: float,
        *,
        momentum: float = 0.9,
        nesterov: bool = True,
        weight_decay: float = 0.0,
        betas: tuple[float, float] = (0.9, 0.99),
    ) -> None:
        settings = {"momentum": momentum, "nesterov": nesterov, "weight_decay": weight_decay, "betas": betas}
        super().__init__(params, {"lr": lr, **settings})

    @torch.no_grad()
    # torch's step has an overload that gives the closure's loss, which nothing here asks for
    def step(self, closure: Callable[[], Any] | None = None) -> None:   # type: ignore[override]
        """Move every parameter that has a gradient; a closure is called first."""
        if closure is not None:
            with torch.enable_grad():
                closure()
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                move = move_matrix if parameter.dim() > 1 else move_vector
                move(parameter, parameter.grad, self.state[parameter], group)


def move_matrix(weight: Tensor, gradient: Tensor, slot: dict[str, Tensor], group: dict[str, Any]) -> None:
    """(outputs, ...) one step along its momentum, orthogonalised."""
    if not slot:
        slot["momentum_buffer"] = torch.zeros_like(weight)
    buffer = slot["momentum_buffer"].mul_(group["momentum"]).add_(gradient)
    ahead = gradient.add(buffer, alpha=group["momentum"]) if group["nesterov"] else buffer
    matrix = ahead.flatten(1)                                               # (outputs, inputs x places)
    tall = max(1.0, matrix.shape[-2] / matrix.shape[-1]) ** 0.5             # as far for each input
    weight.mul_(1 - group["lr"] * group["weight_decay"])
    weight.sub_(orthogonal(matrix).reshape(ahead.shape) * (group["lr"] * tall))


def move_vector(weight: Tensor, gradient: Tensor, slot: dict[str, Tensor], group: dict[str, Any]) -> None:
    """(outputs,) one step of Adam."""
    if not slot:
        slot |= {"exp_avg": torch.zeros_like(weight), "exp_avg_sq": torch.zeros_like(weight)}
        slot["moves"] = weight.new_zeros(())        # where the weights are: nothing here waits for the device
    first, second = group["betas"]
    slot["moves"] += 1
    mean = slot["exp_avg"].lerp_(gradient, 1 - first) / (1 - first ** slot["moves"])
    square = slot["exp_avg_sq"].lerp_(gradient * gradient, 1 - second) / (1 - second ** slot["moves"])
    weight.sub_(mean / square.sqrt_().add_(SMALL) * (group["lr"] * VECTOR_RATE))


def orthogonal(matrix: Tensor) -> Tensor:
    """(..., m, n) -> the same with singular values of about 0.7 to 1.2, by Newton and Schulz's iteration."""
    near: Tensor = matrix / matrix.norm(dim=(-2, -1), keepdim=True).clamp(min=SMALL)
    tall = near.shape[-2] > near.shape[-1]
    near = (near.mT if tall else near).reshape(-1, min(matrix.shape[-2:]), max(matrix.shape[-2:]))   # (B, fewer, more)
    a, b, c = COEFFICIENTS
    for _ in range(ITERATIONS):
        square = near @ near.mT
        near = torch.baddbmm(near, torch.baddbmm(square, square, square, beta=b, alpha=c), near, beta=a)
    return (near.mT if tall else near).reshape(matrix.shape)
