"""Parts of a network that are frozen by mistake, or not frozen although they should be."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from featherweight.doctor.draft import Draft, text_of
from featherweight.doctor.flow.trace import Trace
from featherweight.doctor.flow.values import Module, Optimizer, Spot, Value, constant, known
from featherweight.doctor.rules.network import has_parameters

MISSPELT = ("require_grad", "require_grads", "requires_grads")


def frozen_by_attribute(trace: Trace) -> Iterator[Draft]:
    """Find `model.requires_grad = False`, which sets an attribute that nothing reads."""
    for event in trace.of("attribute"):
        if event.text == "requires_grad" and isinstance(event.subject, Module):
            network, value = ast.unparse(event.spot.node).rpartition(".")[0], constant(event.value)
            yield Draft("FW320", event.spot, f"`{text_of(event.spot)}` changes no parameter of `{network}`.",
                        "Python sets a new attribute of the module; its parameters are trained as before.",
                        "Call requires_grad_ of the module.", f"{network}.requires_grad_({value})"
                        if isinstance(value, bool) else "")


def misspelt(trace: Trace) -> Iterator[Draft]:
    """Find `p.require_grad = False`, which is no attribute of a parameter."""
    for source in trace.sources():
        for node in source.nodes if any(f".{name}" in source.text for name in MISSPELT) else ():
            target = node.targets[0] if isinstance(node, ast.Assign) else None
            if isinstance(target, ast.Attribute) and target.attr in MISSPELT:
                right = ast.unparse(node).replace(f".{target.attr}", ".requires_grad", 1)
                yield Draft("FW320", Spot(source, target), f"`{ast.unparse(target)}` is no property of a parameter.",
                            "Python sets a new attribute that nothing reads; the parameter is trained as before.",
                            "The name is requires_grad.", right)


def trained_without_gradient(trace: Trace) -> Iterator[Draft]:
    """Find a layer that forward runs without gradients, and that an optimizer holds in a group of its own."""
    held = [model for event in trace.of("optimizer") if isinstance(event.subject, Optimizer)
            for model in event.subject.models]
    for event in trace.of("network"):
        network = event.subject
        method = network.cls.method("forward") if isinstance(network, Module) and network.cls is not None else None
        if method is None or not isinstance(network, Module) or network.cls is None:
            continue
        for call in calls_without_gradient(method):
            name = call.func.attr if isinstance(call.func, ast.Attribute) else ""
            layer: Value = known(network.attributes.get(name))
            if any(layer is one for one in held) and (not isinstance(layer, Module) or may_learn(layer)):
                yield Draft("FW322", Spot(network.cls.scope.source, call),
                            f"`self.{name}` runs without gradients, but the optimizer is to train it.",
                            "None of its parameters gets a gradient, so it keeps its first weights.",
                            "Remove no_grad(), or leave the layer out of the optimizer.")


def may_learn(layer: Module) -> bool:
    """True for a layer with parameters, and for one whose contents are not known."""
    return has_parameters(layer) or not layer.name.startswith("torch.nn.")


def calls_without_gradient(method: ast.AST) -> Iterator[ast.Call]:
    """Yield the calls of parts of the network inside `with torch.no_grad():`."""
    for block in ast.walk(method):
        if isinstance(block, ast.With) and any("no_grad(" in ast.unparse(item) for item in block.items):
            for node in (one for statement in block.body for one in ast.walk(statement)):
                if isinstance(node, ast.Call) and ast.unparse(node.func).startswith("self."):
                    yield node


RULES = (frozen_by_attribute, misspelt, trained_without_gradient)
