"""Loss functions: their names, their reductions, and the tensor that a call returns."""

from __future__ import annotations

from collections.abc import Sequence

from featherweight.doctor.flow.roles import sources_of
from featherweight.doctor.flow.signatures import Call
from featherweight.doctor.flow.values import (
    INPUT,
    LABEL,
    LOSS,
    PREDICTION,
    Criterion,
    Spot,
    Tensor,
    Value,
    constant,
    known,
)

FUNCTIONS = {
    "cross_entropy": "CrossEntropyLoss", "nll_loss": "NLLLoss", "binary_cross_entropy": "BCELoss",
    "binary_cross_entropy_with_logits": "BCEWithLogitsLoss", "mse_loss": "MSELoss", "l1_loss": "L1Loss",
    "smooth_l1_loss": "SmoothL1Loss", "huber_loss": "HuberLoss", "kl_div": "KLDivLoss",
    "multi_margin_loss": "MultiMarginLoss", "poisson_nll_loss": "PoissonNLLLoss", "soft_margin_loss": "SoftMarginLoss",
}


def is_criterion(name: str) -> bool:
    """True for a class of torch.nn that is a loss."""
    return name.startswith("torch.nn.") and name.endswith("Loss") and not name.startswith("torch.nn.functional")


def is_loss_function(name: str) -> bool:
    """True for a loss of torch.nn.functional."""
    return name.startswith("torch.nn.functional.") and name.rpartition(".")[2] in FUNCTIONS


def reduction_of(call: Call) -> str:
    """Return "mean", "sum", "none" or "" from the arguments of a loss."""
    arguments = call.bound()
    if constant(arguments.get("size_average")) is False:
        return "sum"
    if call.open and "reduction" not in arguments:
        return ""
    found = constant(arguments.get("reduction"), "mean" if "reduction" not in arguments else "")
    return found if isinstance(found, str) else ""


def criterion_of(call: Call) -> Criterion:
    """Return the loss that a call such as nn.CrossEntropyLoss() builds."""
    made = Criterion(spot=call.spot, name=call.last, reduction=reduction_of(call))
    call.trace.add("criterion", call.spot, made, call.bound().get("weight"))
    return made


def applied_loss(criterion: Criterion, call: Call) -> Tensor:
    """Record the event "loss" and return the loss of one batch. The arguments are (output, target)."""
    arguments = [known(value) for value in call.arguments]
    arguments += [known(call.keywords[name]) for name in ("input", "target") if name in call.keywords]
    output = arguments[0] if arguments else None
    target = arguments[1] if len(arguments) > 1 else None
    call.trace.add("loss", call.spot, criterion, output, target)
    reduction = call.keywords.get("reduction")
    found = constant(reduction, "") if reduction is not None else criterion.reduction
    return loss_tensor(arguments, call.spot, str(found), criterion.name, call.trace.grad[-1])


def loss_tensor(arguments: Sequence[Value], spot: Spot, reduction: str, criterion: str, grad: bool) -> Tensor:
    """Return a loss that depends on the arguments."""
    tensors = [value for value in arguments if isinstance(value, Tensor)]
    outputs = [tensor for tensor in tensors if tensor.meaning not in (LABEL, INPUT, PREDICTION)]
    detached = next((tensor.detached for tensor in outputs if tensor.detached), None)
    return Tensor(
        spot=spot, meaning=LOSS, reduction=reduction, criterion=criterion, scaled=False,
        attached=grad and (not tensors or any(tensor.attached or not tensor.meaning for tensor in tensors)),
        models=united(*(tensor.models for tensor in tensors if tensor.attached)),
        maybe=any(tensor.maybe for tensor in tensors),
        origin=united(*(sources_of(value) for value in arguments)),
        detached=detached if outputs and all(tensor.detached for tensor in outputs) else None,
    )


def united(*groups: tuple[Value, ...]) -> tuple[Value, ...]:
    """Return all values of the groups, each once, at most 12."""
    return tuple({id(value): value for group in groups for value in group}.values())[:12]

