"""Muon: an optimizer whose steps change a weight matrix equally far in all directions.

torch.optim.Muon takes matrices only. Here a convolution is treated as a matrix with one row per output channel, as
the author of Muon does. Vectors are updated by Adam.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.optim import Optimizer

from featherweight.training.eager import Eager

COEFFICIENTS = (3.4445, -4.7750, 2.0315)    # of the polynomial that moves singular values in (0, 1] close to 1
ITERATIONS = 5
VECTOR_RATE = 0.3       # learning rate of Adam as a part of lr; Adam updates all vectors, such as biases
SMALL = 1e-8            # prevents divisions by zero
VECTOR = torch.Size()   # key for vectors of all lengths


class Muon(Eager, Optimizer):
    """An optimizer that moves parameters (outputs, ...) by lr times a matrix with nearly orthogonal rows or columns.

    weight_decay is decoupled and is not applied to vectors.
    Sources: Jordan et al. (2024), "Muon: An optimizer for hidden layers in neural networks"; for Adam, Kingma and Ba
    (2015).
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

    # torch's overload that returns the loss of the closure is not needed here
    def step(self, closure: Callable[[], Any] | None = None) -> None:   # type: ignore[override]
        """Update every parameter that has a gradient. Call the closure first if there is one."""
        if closure is not None:
            with torch.enable_grad():
                closure()
        step_together([self])


@torch.no_grad()
def step_together(optimizers: Sequence[Muon]) -> None:
    """Do one step of each optimizer. All optimizers must have the same settings.

    Matrices of the same shape are updated as one batch, and all vectors as another. So hundreds of networks need hardly
    more kernels than one network.
    """
    for groups in zip(*(one.param_groups for one in optimizers), strict=True):
        batches: dict[torch.Size, list[Moved]] = {}
        for optimizer, group in zip(optimizers, groups, strict=True):
            for weight in group["params"]:
                if weight.grad is not None:
                    shape = weight.shape if weight.dim() > 1 else VECTOR
                    batches.setdefault(shape, []).append(Moved(weight, weight.grad, optimizer.state[weight]))
        for shape, batch in batches.items():
            move_vectors(batch, groups[0]) if shape is VECTOR else move_matrices(batch, groups[0])
    for optimizer in optimizers:
        vars(optimizer)["_opt_called"] = True       # torch's schedules check this before they change lr


class Moved(NamedTuple):
    """A parameter with its gradient and its optimizer state."""

    weight: Tensor
    gradient: Tensor
    slot: dict[str, Tensor]


def move_matrices(moved: Sequence[Moved], group: dict[str, Any]) -> None:
    """Update parameters (outputs, ...) of the same shape by their orthogonalised momentum."""
    weights, gradients, slots = (list(each) for each in zip(*moved, strict=True))
    for weight, _, slot in moved:
        if not slot:
            slot["momentum_buffer"] = torch.zeros_like(weight)
    buffers = [slot["momentum_buffer"] for slot in slots]
    torch._foreach_mul_(buffers, group["momentum"])
    torch._foreach_add_(buffers, gradients)
    ahead = torch._foreach_add(gradients, buffers, alpha=group["momentum"]) if group["nesterov"] else buffers
    matrices = torch.stack(list(ahead)).flatten(2)                          # (R, outputs, inputs x places)
    tall = max(1.0, matrices.shape[1] / matrices.shape[2]) ** 0.5           # larger steps if outputs > inputs x places
    moves = orthogonal(matrices) * (group["lr"] * tall)
    if group["weight_decay"]:
        torch._foreach_mul_(weights, 1 - group["lr"] * group["weight_decay"])
    torch._foreach_sub_(weights, list(moves.view(-1, *weights[0].shape).unbind()))


def move_vectors(moved: Sequence[Moved], group: dict[str, Any]) -> None:
    """Update parameters (outputs,) of any lengths by one step of Adam."""
    weights, gradients, slots = (list(each) for each in zip(*moved, strict=True))
    for weight, _, slot in moved:
        if not slot:
            slot |= {"exp_avg": torch.zeros_like(weight), "exp_avg_sq": torch.zeros_like(weight)}
            slot["moves"] = weight.new_zeros(())    # on the device, so that no step synchronises
    first, second = group["betas"]
    means, squares, counts = ([slot[key] for slot in slots] for key in ("exp_avg", "exp_avg_sq", "moves"))
    torch._foreach_add_(counts, 1)
    torch._foreach_lerp_(means, gradients, 1 - first)
    torch._foreach_lerp_(squares, torch._foreach_mul(gradients, gradients), 1 - second)
    mean, square = (torch.cat([one.flatten() for one in each]) for each in (means, squares))
    count = torch.cat([count.expand(weight.numel()) for count, weight in zip(counts, weights, strict=True)])
    spread = (square / (1 - second ** count)).sqrt_().add_(SMALL)
    moves = mean / (1 - first ** count) / spread * (group["lr"] * VECTOR_RATE)
    parts = moves.split([weight.numel() for weight in weights])
    torch._foreach_sub_(weights, [part.view_as(weight) for part, weight in zip(parts, weights, strict=True)])


def orthogonal(matrix: Tensor) -> Tensor:
    """Return (..., m, n) with singular values moved to about 0.7 to 1.2, by Newton-Schulz iteration."""
    near: Tensor = matrix / matrix.norm(dim=(-2, -1), keepdim=True).clamp(min=SMALL)
    tall = near.shape[-2] > near.shape[-1]
    near = (near.mT if tall else near).reshape(-1, min(matrix.shape[-2:]), max(matrix.shape[-2:]))   # (B, fewer, more)
    a, b, c = COEFFICIENTS
    for _ in range(ITERATIONS):
        square = near @ near.mT
        near = torch.baddbmm(near, torch.baddbmm(square, square, square, beta=b, alpha=c), near, beta=a)
    return (near.mT if tall else near).reshape(matrix.shape)
