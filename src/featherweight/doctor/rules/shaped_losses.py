"""Losses that are put together from others: focal loss and distillation."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from featherweight.doctor.draft import Draft, text_of
from featherweight.doctor.flow.trace import Trace
from featherweight.doctor.flow.values import LOSS, Spot, Tensor
from featherweight.doctor.syntax import assignments, called


def focus_on_the_mean(trace: Trace) -> Iterator[Draft]:
    """Find a focal loss whose factor is computed from the mean loss of the batch: exp(-cross_entropy(x, y))."""
    for event in trace.of("exp"):
        loss, node = event.subject, event.spot.node
        negative = isinstance(node, ast.Call) and bool(node.args) and isinstance(node.args[0], ast.UnaryOp)
        if negative and isinstance(loss, Tensor) and loss.meaning == LOSS and loss.reduction == "mean":
            yield Draft("FW211", event.spot, "The factor of the focal loss is that of the whole batch.",
                        f"`{text_of(event.spot)}` takes the mean loss, so hard and easy images get one common factor.",
                        'Compute the loss with reduction="none", and average at the end.')


def temperature_of_one_side(trace: Trace) -> Iterator[Draft]:
    """Find a distillation that divides the logits of one network by the temperature, and not those of the other."""
    functions = {id(event.calls[-1]): (event.calls[-1], event.spot) for event in trace.of("loss") if event.calls}
    for function, spot in functions.values():
        made = {name: values[-1] for name, values in assignments(ast.walk(function)).items()}
        for node in ast.walk(function):
            if not isinstance(node, ast.Call) or called(node) != "kl_div":
                continue
            sides = [softened(made.get(one.id, one) if isinstance(one, ast.Name) else one) for one in node.args[:2]]
            if sorted(map(str, sides)) == ["False", "True"]:
                plain = "first" if sides[0] is False else "second"
                yield Draft("FW212", Spot(spot.source, node), f"The {plain} argument has no temperature.",
                            "The logits of one network are divided by the temperature, those of the other are not, so "
                            "equal networks get a loss above 0.", "Divide both by the temperature.")


def softened(node: ast.expr) -> bool | None:
    """Return whether a softmax takes divided logits; None for an expression without a softmax."""
    for one in ast.walk(node):
        if isinstance(one, ast.Call) and called(one) in ("softmax", "log_softmax"):
            given = one.args[0] if one.args and not isinstance(one.args[0], ast.Constant) else one.func
            return any(isinstance(part, ast.BinOp) and isinstance(part.op, ast.Div | ast.Mult)
                       for part in ast.walk(given))
    return None


RULES = (focus_on_the_mean, temperature_of_one_side)
