"""Operations between the last weights and the loss, and softmax over the wrong dimension."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from featherweight.doctor.draft import Draft, built, replaced, text_of
from featherweight.doctor.flow.layers import ZEROING, key_of
from featherweight.doctor.flow.trace import Event, Trace
from featherweight.doctor.flow.values import (
    ACTIVATION,
    DROPOUT,
    LOG_PROBABILITIES,
    LOGITS,
    NORM,
    POOL,
    PROBABILITIES,
    WEIGHTED,
    Criterion,
    Module,
    Op,
    Tensor,
    constant,
    known,
)
from featherweight.doctor.rules.arguments import is_method
from featherweight.doctor.rules.network import CLASSIFYING, number_in


def on_logits(trace: Trace) -> Iterator[Draft]:
    """Find activations, dropout and batch normalisation between the last weights and the loss."""
    for event in trace.of("output", "loss"):
        tensor = event.value
        if not isinstance(tensor, Tensor) or tensor.maybe or not tensor.trail or tensor.trail[0].kind != WEIGHTED:
            continue
        is_loss = isinstance(event.subject, Criterion) and event.subject.name in CLASSIFYING
        if is_loss or tensor.meaning in (LOG_PROBABILITIES, PROBABILITIES):
            yield from after_weights(tensor)


def after_weights(tensor: Tensor) -> Iterator[Draft]:
    """Yield one draft for each operation that must not stand on logits."""
    last = tensor.trail[0]
    pooled = any(op.kind == POOL for op in tensor.trail[1:])
    for op in tensor.trail[1:]:
        if op.unsure:
            continue
        if op.kind == ACTIVATION:
            cuts = key_of(op.name) in ZEROING
            why = (f"Negative outputs of {layer(last)} become 0, so the softmax cannot tell these classes apart."
                   if cuts else f"The outputs of {layer(last)} are bounded or bent before the softmax.")
            yield Draft("FW101", built(op), f"{op.name} stands on the logits, after {layer(last)}.", why,
                        f"Return the output of {layer(last)} without {op.name}.", without(op),
                        "error" if cuts and not pooled else "warning")
        elif op.kind == DROPOUT:
            yield Draft("FW102", built(op), f"{op.name} stands on the logits, after {layer(last)}.",
                        "In training it sets the logit of the right class to 0 at random, which caps the accuracy.",
                        f"Move {op.name} before {layer(last)}, or remove it.", without(op))
        elif op.kind == NORM and "batch" in key_of(op.name):
            yield Draft("FW103", built(op), f"{op.name} stands on the logits, after {layer(last)}.",
                        "It fixes mean and spread of each logit over a batch, which limits the confidence.",
                        f"Remove {op.name} after {layer(last)}.", without(op))


def layer(op: Op) -> str:
    """Return the name of a layer as the source writes it, or its class."""
    node = op.spot.node
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and op.made is not None:
        owner = ast.unparse(node.func)
        return f"`{owner}`" if owner.startswith("self.") else f"the last {op.name}"
    return f"the last {op.name}"


def without(op: Op) -> str:
    """Return the line without the operation, where it wraps its input in one line."""
    node = op.spot.node
    if isinstance(node, ast.Call) and node.args and op.made is None and isinstance(node.func, ast.Attribute):
        plain = isinstance(node.func.value, ast.Name | ast.Attribute) and node.func.value != node.args[0]
        return replaced(op.spot, ast.unparse(node.args[0])) if plain else ""
    return ""


MEMBERS = 3     # axes of the stacked outputs of several networks: (networks, N, classes)


def softmax_dimension(trace: Trace) -> Iterator[Draft]:
    """Find softmax and log_softmax without dimension, or over the batch."""
    for event in trace.of("apply", "build", "layer"):
        name = event.text or (event.subject.name.rpartition(".")[2] if isinstance(event.subject, Module) else "")
        node = event.spot.node
        if key_of(name) not in ("softmax", "logsoftmax", "softmin") or not isinstance(node, ast.Call):
            continue
        if event.kind != "layer" and not is_method(event):
            yield from missing_dimension(event, node, name)
        yield from wrong_dimension(event, node)


def missing_dimension(event: Event, node: ast.Call, name: str) -> Iterator[Draft]:
    """Yield FW104 if no dimension is given."""
    positional = 0 if event.kind == "build" else 1
    if len(node.args) > positional or any(one.arg in ("dim", "axis", None) for one in node.keywords):
        return
    if event.kind == "apply" and not node.args and not node.keywords:
        return
    inside = ", ".join([ast.unparse(one) for one in (*node.args, *node.keywords)] + ["dim=1"])
    yield Draft("FW104", event.spot, f"{name} is called without a dimension.",
                "PyTorch then guesses one: axis 0, the batch, for an input of 1 or 3 axes; it warns at each call.",
                "Name the axis of the classes.", replaced(event.spot, f"{ast.unparse(node.func)}({inside})"))


def wrong_dimension(event: Event, node: ast.Call) -> Iterator[Draft]:
    """Yield FW105 if the dimension is that of the batch, or has one element."""
    tensor = event.subject if event.kind == "apply" else event.value
    if not isinstance(tensor, Tensor) or tensor.meaning != LOGITS or tensor.maybe:
        return
    if event.kind == "layer":
        assert isinstance(event.subject, Module)
        value = event.subject.arguments.get("dim")
        dimension = getattr(known(value), "value", None) if value is not None else None
        spot = event.subject.spot or event.spot
    else:
        given = [one.value for one in node.keywords if one.arg == "dim"] or node.args[0 if is_method(event) else 1:]
        dimension = number_in(given[0]) if given else None
        stated = constant(event.other) if given else None
        dimension = stated if dimension is None and type(stated) is int else dimension
        spot = event.spot
    if tensor.axes == MEMBERS and dimension in (0, 1) and tensor.trail[:1] and tensor.trail[0].name == "Linear":
        of = "the images of the batch" if dimension == 1 else "the outputs that were stacked"
        yield Draft("FW105", spot, f"The softmax runs over axis {dimension}, {of}.",
                    "The classes stand on the last axis, so no image's probabilities sum to 1.",
                    "Use dim=-1, the axis of the classes.",
                    replaced(spot, text_of(spot, 500).replace(f"dim={dimension}", "dim=-1")))
    elif tensor.axes == 2 and dimension == 0:
        yield Draft("FW105", spot, "The softmax runs over axis 0, the images of the batch.",
                    "The outputs have shape (N, classes), so each class sums to 1 over the batch, not each image.",
                    "Use dim=1, the axis of the classes.", replaced(spot, text_of(spot, 500).replace("dim=0", "dim=1")))
    elif tensor.axes == 4 and dimension in (-1, 3, 2):
        yield Draft("FW105", spot, f"The softmax runs over axis {dimension}, along the image.",
                    "The outputs have shape (N, classes, H, W), so the classes stand on axis 1.",
                    "Use dim=1, or flatten the output first.", severity="warning")


RULES = (on_logits, softmax_dimension)
