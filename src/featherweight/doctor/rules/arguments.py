"""Mistakes in the arguments of layers and functions: flags and numbers confused, dropout without its flag."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from featherweight.doctor.draft import Draft, replaced
from featherweight.doctor.flow.layers import KINDS, key_of
from featherweight.doctor.flow.signatures import POSITIONS
from featherweight.doctor.flow.trace import Event, Trace
from featherweight.doctor.flow.values import DROPOUT, Constant, Library, Module, known


def confused_flags(trace: Trace) -> Iterator[Draft]:
    """Find a number given where a flag is taken, and a flag where a number is taken."""
    for event in trace.of("apply", "build"):
        name = event.text or (event.subject.name.rpartition(".")[2] if isinstance(event.subject, Module) else "")
        node, key = event.spot.node, key_of(name)
        if not isinstance(node, ast.Call) or is_method(event):
            continue
        functional = 1 if event.kind == "apply" else 0
        flag = functional + FLAGS[key] if key in FLAGS else 99
        if len(node.args) > flag and is_number(node.args[flag]):
            given = ast.unparse(node.args[flag])
            kept = ", ".join(ast.unparse(one) for one in node.args[:flag])
            yield Draft("FW106", event.spot, f"{name} takes `inplace` as argument {flag + 1}, but gets {given}.",
                        f"The number {given} counts as inplace=True and changes nothing else.",
                        f"Leave {given} out.", replaced(event.spot, f"{ast.unparse(node.func)}({kept})"))
        numbers = node.args[functional : functional + NUMBERS.get(key, 0)]
        place = next((place for place, one in enumerate(numbers) if is_flag(one)), None)
        if place is not None:
            argument = dict(enumerate(POSITIONS.get(name, ()))).get(place + functional, "number")
            given = ast.unparse(numbers[place])
            yield Draft("FW106", event.spot,
                        f"{name} takes `{argument}` as argument {place + functional + 1}, but gets {given}.",
                        f"True counts as 1 and False as 0, so `{argument}` is set, and nothing else.",
                        "Name the argument that is meant, such as bias=True.", severity="error")
        if key not in RATES:
            continue
        effect = "a rate of 1.0 zeroes every value" if KINDS[key] == DROPOUT else "a slope of 1.0 is no activation"
        stated = flag_behind(event)
        if stated is not None:
            yield Draft("FW106", stated.spot or event.spot, f"{name} takes a number, but gets {stated.value}.",
                        f"True counts as 1.0: {effect}.", "State a rate, such as 0.3.", severity="error")
        elif len(node.args) > functional and is_flag(node.args[functional]):
            given = ast.unparse(node.args[functional])
            yield Draft("FW106", event.spot, f"{name} takes a number as argument {functional + 1}, but gets {given}.",
                        f"True counts as 1.0: {effect}.", "Name the argument, such as training=self.training.",
                        severity="error")


NUMBERS = {     # layer -> positional arguments that are numbers
    **dict.fromkeys(("conv1d", "conv2d", "conv3d", "convtranspose1d", "convtranspose2d"), 7),
    **dict.fromkeys(("rnn", "lstm", "gru"), 3), "linear": 2, "maxpool2d": 4, "avgpool2d": 3,
}
FLAGS = {"relu": 0, "relu6": 0, "selu": 0, "silu": 0, "hardswish": 0, "leakyrelu": 1, "elu": 1, "celu": 1}
RATES = ("dropout", "dropout1d", "dropout2d", "dropout3d", "leakyrelu", "alphadropout")


def is_number(node: ast.expr) -> bool:
    """True for a number that is not a truth value."""
    return isinstance(node, ast.Constant) and isinstance(node.value, int | float) and not isinstance(node.value, bool)


def flag_behind(event: Event) -> Constant | None:
    """Return the True that a layer gets through a name or a setting in the place of its rate."""
    module = event.subject
    if event.kind != "build" or not isinstance(module, Module):
        return None
    value = next((known(module.arguments[name]) for name in ("p", "negative_slope") if name in module.arguments), None)
    if not isinstance(value, Constant) or value.value is not True or value.spot is None:
        return None
    inside = any(node is value.spot.node for node in ast.walk(event.spot.node))
    return None if inside else value


def is_flag(node: ast.expr) -> bool:
    """True for True, False or self.training."""
    return (isinstance(node, ast.Constant) and isinstance(node.value, bool)) or (
        isinstance(node, ast.Attribute) and node.attr == "training")


def dropout_always_on(trace: Trace) -> Iterator[Draft]:
    """Find functional dropout without the training flag, and dropout layers built in forward."""
    for event in trace.of("apply", "build"):
        node = event.spot.node
        name = event.text or (event.subject.name.rpartition(".")[2] if isinstance(event.subject, Module) else "")
        if KINDS.get(key_of(name)) != DROPOUT or not isinstance(node, ast.Call):
            continue
        if event.kind == "build" and event.nested and not event.arms:
            yield Draft("FW107", event.spot, f"{name} is built inside forward.",
                        "A new layer is always in training mode, so it also drops values in evaluation.",
                        "Build it once in __init__ and call it here.", "")
        told = len(node.args) > 2 or any(one.arg in ("training", "train", None) for one in node.keywords)
        functional = event.kind == "apply" and not is_method(event)
        if functional and not told and not ast.unparse(node.func).startswith("torch.dropout"):
            inside = ", ".join([ast.unparse(one) for one in (*node.args, *node.keywords)] + ["training=self.training"])
            yield Draft("FW107", event.spot, f"{name} is called without training=.",
                        "Its default is training=True, so eval() does not switch it off.",
                        "Pass training=self.training.", replaced(event.spot, f"{ast.unparse(node.func)}({inside})"))


def is_method(event: Event) -> bool:
    """True for the event of x.softmax(...), where x is the input; False for a function of the library."""
    return event.kind == "apply" and not isinstance(event.value, Library)


RULES = (confused_flags, dropout_always_on)
