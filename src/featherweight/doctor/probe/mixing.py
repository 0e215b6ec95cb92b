"""Rules on axes: reshapes that mix channels with positions, and attention with a softmax over the wrong axis."""

from __future__ import annotations

import math
from collections.abc import Iterator

from featherweight.doctor.finding import Finding
from featherweight.doctor.probe.subject import Subject
from featherweight.doctor.probe.trail import path_of, walk, words_for
from featherweight.graph import Call, Value, calls

SECOND = calls.CONVOLUTIONS | calls.TRANSPOSED | calls.POOLS | calls.ADAPTIVE_POOLS | {"batch_norm", "interpolate"}
LAST = {"linear", "layer_norm", "multi_head_attention_forward"}
ALIKE = calls.POINTWISE | calls.ARITHMETIC      # results have the axes of the first source
PRODUCTS = {"matmul", "bmm", "baddbmm", "einsum"}
UNCHANGED = calls.DROPOUTS | {"contiguous", "clone", "to", "float", "half", "type_as"}


def reshapes(subject: Subject) -> Iterator[Finding]:
    """Find reshapes that give positions the place of channels without moving the numbers."""
    for call in subject.record.calls:
        if call.operation not in calls.RESHAPES or not call.sources:
            continue
        _, source = walk(subject, call.sources[0], calls.RESHAPES | {"contiguous"})
        before, after = source.shape, call.outputs[0].shape
        swapped = swaps(before, after, channel_axis(subject, source))
        if swapped and before[0] == after[0] == subject.record.batch:
            start, end = (f"(N, {', '.join(map(str, shape[1:]))})" for shape in (before, after))
            yield subject.finding(
                "FW714", path_of(call), f"{call.operation} makes {end} of {start} without moving the channels.",
                f"A reshape keeps the order in memory, so each of its {after[1]} rows mixes channels and positions.",
                f"Write {swapped}.", corrected=f"x = {swapped}")


def swaps(before: tuple[int, ...], after: tuple[int, ...], channels: int | None) -> str:
    """Return the right expression if a reshape should have moved the channels to the other end, else ""."""
    if channels is None or len(after) != (3 if channels == 1 else 4):
        return ""
    space = before[2:] if channels == 1 else after[2:]
    count, positions = before[channels], math.prod(space)
    if 1 in (count, positions) or count == positions:
        return ""
    if channels == 1:
        return "x.flatten(2).transpose(1, 2)" if after[1:] == (positions, count) else ""
    right = f"x.transpose(1, 2).reshape(len(x), {', '.join(map(str, after[1:]))})"
    return right if before[1] == positions and after[1] == count else ""


def channel_axis(subject: Subject, value: Value) -> int | None:
    """Return the axis of a value's channels: 1 for maps, 2 for rows of numbers (N, T, C), None if unknown."""
    while (call := subject.makers.get(value)) is not None:
        if call.operation in SECOND and value.dim() > 2:
            return 1
        if call.operation in LAST and value.dim() == 3:
            return 2
        if call.operation not in ALIKE or not call.sources or call.sources[0].shape != value.shape:
            return None
        value = call.sources[0]
    return 1 if value in subject.record.inputs and value.dim() == 4 else None


def attention(subject: Subject) -> Iterator[Finding]:
    """Find attention weights that sum to 1 over another axis than the one that their product sums."""
    found = [softmax for call in subject.record.calls if (softmax := weights_of(subject, call)) is not None
             and softmax.given["dim"] % softmax.outputs[0].dim() != softmax.outputs[0].dim() - 1]
    if found:
        first = found[0]
        yield subject.finding(
            "FW105", path_of(first), f"{words_for(first)} of the attention runs over axis {first.given['dim']} of "
            f"{first.outputs[0].dim()}{f', as do {len(found) - 1} more' if len(found) > 1 else ''}.",
            "The product with the values sums over the last axis, so the weights of a query do not sum to 1.",
            "Write softmax(dim=-1).")


def weights_of(subject: Subject, call: Call) -> Call | None:
    """Return the softmax of scores that is the first factor of a product, or None for another call."""
    if call.operation not in ("matmul", "bmm") or len(call.inputs) != 2:
        return None
    softmax = subject.makers.get(walk(subject, call.inputs[0], UNCHANGED)[1])
    if softmax is None or softmax.operation != "softmax" or not isinstance(softmax.given.get("dim"), int):
        return None
    return softmax if are_scores(subject, softmax.sources[0]) else None


def are_scores(subject: Subject, value: Value) -> bool:
    """Return True if a value is a scaled or masked product of two values that depend on the images."""
    while (call := subject.makers.get(value)) is not None and call.sources:
        if call.operation in PRODUCTS:
            return len(call.sources) > 1
        if call.operation not in ALIKE:
            return False
        value = call.sources[0]
    return False


RULES = (reshapes, attention)
