"""Rules on parameters and tensors of a network: equal weights, and tensors that are not registered."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from featherweight.doctor.finding import Finding
from featherweight.doctor.probe.layers import listed
from featherweight.doctor.probe.outputs import trails
from featherweight.doctor.probe.subject import Subject
from featherweight.doctor.probe.trail import path_of
from featherweight.graph import Call, Value, calls

CLOSE = 1e-5                                # of the largest gradient
OWN = frozenset(vars(nn.Module()))          # attributes of every module
MOVING = {"to", "cuda", "cpu", "type_as", "as_tensor", "tensor"}
MOVERS = ("_apply", "to", "cuda")           # methods with which a module may move its plain tensors


def equal_weights(subject: Subject) -> Iterator[Finding]:
    """Find layers before the last one whose weights are all the same number, not 0."""
    last = {id(trail.weighted) for trail in trails(subject)}
    found = {path_of(call): never_differ(call) for call in subject.record.calls
             if id(call) not in last and has_equal_weights(call)}
    if found:
        never = any(found.values())
        yield subject.finding(
            "FW715", next(iter(found)), f"All weights of {listed(list(found))} are equal.",
            "All units of a layer compute the same and get the same gradient, so they never differ." if never else
            "All units of a layer start alike; only biases, dropout or the next layer let them differ later.",
            "Start from random weights, such as nn.init.kaiming_normal_(weight).", severity="" if never else "warning")


def weight_of(call: Call) -> Tensor | None:
    """Return the trained weight of a convolution or linear layer, or None for other calls."""
    value = call.given.get("weight") if call.operation in calls.CONVOLUTIONS | {"linear"} else None
    weight = value.constant if isinstance(value, Value) else None
    return weight if weight is not None and weight.requires_grad and weight.is_leaf and weight.dim() > 1 else None


def has_equal_weights(call: Call) -> bool:
    """Return True if all weights of a layer with two outputs or more per group are the same number, not 0."""
    weight = weight_of(call)
    if weight is None or len(weight) < 2 * call.given.get("groups", 1):
        return False
    first = weight.detach().flatten()[0]
    return bool(first != 0) and bool((weight.detach() == first).all())


def never_differ(call: Call) -> bool:
    """Return True if the weights of all outputs of a group got the same gradient."""
    weight = weight_of(call)
    if weight is None or weight.grad is None:
        return False
    rows = weight.grad.reshape(call.given.get("groups", 1), -1, weight[0].numel())
    return bool((rows - rows[:, :1]).abs().max() <= CLOSE * rows.abs().max())


def unregistered(subject: Subject) -> Iterator[Finding]:
    """Find parameters that forward uses and that a list, a tuple or a dict hides from parameters()."""
    known = {id(parameter) for parameter in subject.module.parameters()}
    used = {id(value.constant) for call in subject.record.calls for value in call.inputs
            if isinstance(value.constant, nn.Parameter) and value.constant.grad is not None} - known
    for name, kept in attributes(subject.module) if used else ():
        hidden = {id(one): one for one in parameters_in(kept) if id(one) in used}
        if hidden:
            count = sum(map(torch.numel, hidden.values()))
            yield subject.finding(
                "FW108", name, f"{name} ({type(kept).__name__}) holds parameters that are not registered: {count:,}.",
                "parameters(), state_dict() and to(device) do not find them, so they are never trained or saved.",
                "Use nn.ModuleList, nn.ParameterList or nn.ModuleDict.")


def parameters_in(kept: Any) -> Iterator[nn.Parameter]:
    """Yield the parameters in an attribute, to any depth, and those of the modules in it."""
    yield from calls.found_in(kept, nn.Parameter)
    for module in calls.found_in(kept, nn.Module):
        yield from module.parameters()


def attributes(module: nn.Module) -> Iterator[tuple[str, Any]]:
    """Yield (name, value) of each plain attribute of a network and of its parts."""
    for path, part in module.named_modules():
        for name, value in vars(part).items():
            if name not in OWN:
                yield f"{path}.{name}" if path else name, value


def plain_tensors(subject: Subject) -> Iterator[Finding]:
    """Find tensors in plain attributes that forward combines with values of the images."""
    module = subject.module
    known = {id(one) for one in (*module.parameters(), *module.buffers())}
    if any(getattr(type(part), name) is not getattr(nn.Module, name, None) and not type(part).__module__.startswith(
            "torch.") for part in module.modules() for name in MOVERS):
        return
    for name, kept in attributes(module):
        tensors = [one for one in calls.found_in(kept, Tensor) if id(one) not in known and one.dim() > 0
                   and not isinstance(one, nn.Parameter)]
        if tensors and is_read(subject, {id(one) for one in tensors}):
            trained = any(one.requires_grad for one in tensors)
            yield subject.finding(
                "FW118", name, f"{name} is a plain tensor, and forward reads it.",
                "to(device) and state_dict() do not know it" + (", and no optimizer trains it." if trained else "."),
                f'Write self.{name.rpartition(".")[2]} = nn.Parameter(...).' if trained else
                f'Write self.register_buffer("{name.rpartition(".")[2]}", ...).')


def is_read(subject: Subject, kept: set[int]) -> bool:
    """Return True if forward combines one of these tensors with values of the images before it moves the tensor."""
    resident = set[Value]()
    for call in subject.record.calls:
        used = [one for one in call.inputs
                if one in resident or (id(one.constant) in kept and one not in subject.makers)]
        if not used or call.operation in MOVING:
            continue
        if not call.sources:
            resident.update(call.outputs)
        elif not (call.operation in ("getitem", "setitem") and used[0] is not call.inputs[0]):
            return True         # an index may stay on the CPU
    return False


RULES = (equal_weights, unregistered, plain_tensors)
