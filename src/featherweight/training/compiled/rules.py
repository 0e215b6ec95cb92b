"""The update rule of each parameter, and its state in the torch optimizer. Read by FusedOptimizer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.optim import SGD, Adam, AdamW, Optimizer

from featherweight.training import eager
from featherweight.training.compiled.structs import Group, NotFused, Parameter, array, is_dense, same_layout
from featherweight.training.muon import SMALL, VECTOR_RATE, Muon

SGD_RULE, ADAM_RULE, MUON_RULE = range(3)                               # enum rule of optimize.c
FORBIDDEN = ("maximize", "amsgrad", "differentiable", "dampening")      # settings that must be off
SUPPORTED = (SGD, Adam, AdamW, eager.SGD, eager.Adam, eager.AdamW, Muon)
SCALARS = ("step", "moves")                                             # state that counts the steps of Adam


class Batch(NamedTuple):
    """Parameters with gradients that follow the same rule with the same settings."""

    rule: int
    settings: dict[str, Any]            # the group in the torch optimizer; its values may change between steps
    parameters: list[Tensor]
    slots: tuple[str, ...]              # names of the state of each parameter
    rate: float = 1.0                   # factor of the learning rate
    decays: bool = True                 # False: no weight decay

    def struct(self, state: dict[Tensor, dict[str, Tensor]]) -> Group:
        """Return the struct of the batch with the addresses of all tensors. Rates are set later."""
        parameters = array(Parameter, (_struct(each, state.get(each, {}), self.slots) for each in self.parameters))
        return Group(rule=self.rule, parameters=parameters, count=len(parameters))

    def set_rates(self, struct: Group, lr: float) -> None:
        """Copy the settings into the struct, with this learning rate."""
        settings = self.settings
        struct.lr = lr * self.rate
        struct.weight_decay = settings["weight_decay"] if self.decays else 0.0
        struct.momentum, struct.nesterov = settings.get("momentum", 0.0), settings.get("nesterov", False)
        struct.beta1, struct.beta2 = settings.get("betas", (0.0, 0.0))
        struct.eps, struct.decoupled = settings.get("eps", SMALL), settings.get("decoupled_weight_decay", False)


def batches(optimizer: Optimizer) -> Iterator[Batch]:
    """Yield all parameters that have a gradient, by their rule. Creates missing state as torch does.

    Raises NotFused if C cannot do the same as torch.
    """
    for group in optimizer.param_groups:
        _expect_supported(optimizer, group)
        moved = [each for each in group["params"] if each.grad is not None]
        for batch in _of_group(optimizer, group, moved):
            for parameter in batch.parameters:
                if batch.slots:
                    _prepare(optimizer.state[parameter], parameter, batch.slots)
            yield batch


def _of_group(optimizer: Optimizer, group: dict[str, Any], moved: list[Tensor]) -> list[Batch]:
    if isinstance(optimizer, SGD):
        return [Batch(SGD_RULE, group, moved, ("momentum_buffer",) if group["momentum"] else ())]
    if isinstance(optimizer, Adam):
        return [Batch(ADAM_RULE, group, moved, ("step", "exp_avg", "exp_avg_sq"))]
    matrices, vectors = [each for each in moved if each.dim() > 1], [each for each in moved if each.dim() < 2]
    return [
        Batch(MUON_RULE, group, matrices, ("momentum_buffer",)),
        Batch(ADAM_RULE, group, vectors, ("exp_avg", "exp_avg_sq", "moves"), VECTOR_RATE, decays=False),
    ]


def _expect_supported(optimizer: Optimizer, group: dict[str, Any]) -> None:
    """Raise NotFused if the optimizer, a setting of the group, or one of its parameters is not supported."""
    name = type(optimizer).__name__
    if type(optimizer) not in SUPPORTED:
        raise NotFused(f"optimizer {name}: supported are SGD, Adam, AdamW and Muon")
    for setting in FORBIDDEN:
        if group.get(setting):
            raise NotFused(f"optimizer {name} with {setting}={group[setting]}: it must be off")
    for parameter in group["params"]:
        shape = tuple(parameter.shape)
        if parameter.dtype != torch.float32 or not is_dense(parameter) or not parameter.numel():
            raise NotFused(f"parameter of {parameter.dtype} {shape}: needed is dense float32 on the CPU")
        if parameter.grad is not None and not same_layout(parameter.grad, parameter):
            raise NotFused(f"gradient of a parameter {shape}: its type or layout in memory is not the parameter's")


def _prepare(state: dict[str, Tensor], parameter: Tensor, slots: tuple[str, ...]) -> None:
    """Create the missing state of a parameter. Loaded state is converted to the layout of the parameter."""
    for name in slots:
        value = state.get(name)
        if name in SCALARS:
            state[name] = torch.zeros(()) if value is None else value.to("cpu", torch.float32)
        elif value is None:
            state[name] = torch.zeros_like(parameter)
        elif not same_layout(value, parameter):
            state[name] = torch.empty_like(parameter).copy_(value)


def _struct(parameter: Tensor, state: dict[str, Tensor], slots: tuple[str, ...]) -> Parameter:
    assert parameter.grad is not None
    arrays = [state[name].data_ptr() for name in slots if name not in SCALARS]
    first, second = (*arrays, None, None)[:2]
    steps = next((state[name].data_ptr() for name in slots if name in SCALARS), None)
    rows = len(parameter) if parameter.dim() > 1 else 1
    return Parameter(parameter.data_ptr(), parameter.grad.data_ptr(), first, second, steps, parameter.numel(), rows)
