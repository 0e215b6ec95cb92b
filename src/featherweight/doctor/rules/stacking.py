"""Layers that follow each other without effect, or disturb each other."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from featherweight.doctor.draft import Draft
from featherweight.doctor.flow.layers import KINDS, key_of, side
from featherweight.doctor.flow.trace import Event, Trace
from featherweight.doctor.flow.values import (
    ACTIVATION,
    DROPOUT,
    LOGITS,
    NORM,
    POOL,
    Module,
    Op,
    Spot,
    Tensor,
    constant,
)
from featherweight.doctor.syntax import argument

HIGHEST_RATE = 0.8      # of dropout; 0.5 is usual for hidden units (Srivastava et al. 2014)


def without_activation(trace: Trace) -> Iterator[Draft]:
    """Find two linear layers or two convolutions in a row with no activation between them."""
    built = {id(event.subject.spot.node): event.subject for event in trace.of("build")
             if isinstance(event.subject, Module) and event.subject.spot is not None}
    seen = set[int]()
    for event in trace.of("layer"):
        layer, before = event.subject, event.value
        first = in_a_row(before) if isinstance(before, Tensor) else None
        if not isinstance(layer, Module) or layer.spot is None or first is None or first.made is None:
            continue
        former = built.get(id(first.made.node))
        if former is None or id(layer.spot.node) in seen or layer is former:
            continue
        why = reason(former, layer)
        if why:
            seen.add(id(layer.spot.node))
            linear = key_of(layer.name) == "linear"
            name = layer.name.rpartition(".")[2]
            yield Draft("FW120", layer.spot, f"This {name} follows another one with no activation between them.", why,
                        "Apply an activation after the first.", "", "" if linear else "note")


def in_a_row(before: Tensor) -> Op | None:
    """Return the layer with weights before a value, if no activation or pooling follows it for sure."""
    if before.meaning != LOGITS or before.maybe or not before.trail:
        return None
    first, *rest = before.trail
    return None if first.unsure or any(op.kind in (ACTIVATION, POOL) or op.unsure for op in rest) else first


def reason(first: Module, second: Module) -> str:
    """Return why two layers in a row do the work of one; "" if the pair has a use of its own.

    A narrow linear layer before a wider one is a factorisation. So are convolutions of 1x1, or of several groups.
    """
    if key_of(first.name) == key_of(second.name) == "linear":
        width, outputs = (constant(one.arguments.get("out_features")) for one in (first, second))
        if isinstance(width, int) and isinstance(outputs, int) and width >= outputs:
            return f"Together they are one linear map: one layer does the same without the {width} values between them."
    if key_of(first.name) == key_of(second.name) == "conv2d" and full(first) and full(second):
        return "Together they are one convolution with a larger kernel."
    return ""


def full(layer: Module) -> bool:
    """True for a convolution in one group with a square kernel above 1x1."""
    kernel = side(layer.arguments.get("kernel_size"), None)
    return kernel is not None and kernel > 1 and constant(layer.arguments.get("groups"), 1) == 1


def dropout_before_norm(trace: Trace) -> Iterator[Draft]:
    """Find batch normalisation directly after dropout."""
    seen = set[int]()
    for event in trace.of("layer"):
        layer, before = event.subject, event.value
        if not isinstance(layer, Module) or not isinstance(before, Tensor) or before.maybe or not before.trail:
            continue
        last, spot = before.trail[-1], layer.spot or event.spot
        batch = KINDS.get(key_of(layer.name)) == NORM and "batch" in key_of(layer.name)
        if batch and last.kind == DROPOUT and not last.unsure and id(spot.node) not in seen:
            seen.add(id(spot.node))
            yield Draft("FW124", spot, f"{layer.name.rpartition('.')[2]} follows {last.name} directly.",
                        "Dropout raises the variance in training only, so the stored variance is too large in "
                        "evaluation (Li et al. 2018).", f"Put {last.name} after the normalisation and the activation.")


def dropout_rates(trace: Trace) -> Iterator[Draft]:
    """Find dropout that drops nearly all units."""
    for event in trace.of("build", "apply"):
        rate = rate_of(event)
        if rate is not None and rate >= HIGHEST_RATE:
            yield Draft("FW605", event.spot, f"The dropout rate {rate:g} is far above the usual.",
                        f"Only {100 * (1 - rate):.0f} % of the units are left in training." if rate < 1 else
                        "No unit is left in training.", "Start with 0.1 to 0.5.")


def rate_of(event: Event) -> float | None:
    """Return the rate of a dropout that is built or applied as a function, if the source states it."""
    if isinstance(event.subject, Module):
        name, rate = event.subject.name, constant(event.subject.arguments.get("p"))
    else:
        name, rate = event.text, stated_rate(event.spot)
    known_rate = isinstance(rate, int | float) and not isinstance(rate, bool)
    return float(rate) if known_rate and KINDS.get(key_of(name)) == DROPOUT else None


def stated_rate(spot: Spot) -> object:
    """Return the number in F.dropout(x, 0.5) or F.dropout(x, p=0.5), or None."""
    given = argument(spot.node, 1, "p")
    return given.value if isinstance(given, ast.Constant) else None


RULES = (without_activation, dropout_before_norm, dropout_rates)
