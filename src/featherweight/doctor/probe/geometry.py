"""Rules on sizes: receptive fields, early pooling, and a large first linear layer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from featherweight.anatomy.geometry import Axis
from featherweight.doctor.finding import Finding
from featherweight.doctor.probe.layers import listed
from featherweight.doctor.probe.subject import Subject
from featherweight.doctor.probe.trail import path_of, words_for
from featherweight.doctor.sizes import EDGES, LARGEST, MOST, OBJECT, SAVED, STEEP
from featherweight.graph import Call, Value, calls


def too_small(subject: Subject) -> Iterator[Finding]:
    """Find a global pooling over units whose receptive field is smaller than the object."""
    needed, made = round(OBJECT * subject.side), subject.record.calls
    last = max((place for place, call in enumerate(made) if convolves_a_map(call)), default=-1)
    for call in made[last + 1:]:        # an average before a convolution belongs to a gate
        axis = axis_of(subject, call.sources[0]) if call.sources and pools_globally(call) else None
        if axis is not None and 1 < axis.size < needed and subject.side <= LARGEST:
            yield subject.finding(
                "FW706", path_of(call), f"The receptive field is {axis.size} pixels where {words_for(call)} averages.",
                f"An object fills about {needed} of {subject.side} pixels, so no unit sees a whole one.",
                "Add a convolution or a pooling before the global pooling.")


def too_large(subject: Subject) -> Iterator[Finding]:
    """Find convolutions whose inputs see the whole image already."""
    found = []
    for call in subject.record.calls:
        axis = axis_of(subject, call.sources[0]) if call.operation == "conv2d" and call.sources else None
        if axis is not None and max(kernel_of(call)) > 1 and axis.size >= subject.side:
            found.append((call, axis))
    if found and 0 < subject.side <= LARGEST:
        call, axis = found[0]
        last = axis_of(subject, found[-1][0].outputs[0]) or axis
        count = sum(sum(value.parameters.values()) for one, _ in found for value in one.inputs)
        yield subject.finding(
            "FW707", path_of(call), f"The receptive field is {axis.size} pixels before {words_for(call)}, and "
            f"{last.size} at the end.",
            f"The image has {subject.side}: {count:,} of {subject.total:,} parameters are in layers after that.",
            f"Try the network without {listed(list(dict.fromkeys(path_of(one) for one, _ in found)))}.")


def early_reduction(subject: Subject) -> Iterator[Finding]:
    """Find a pooling or stride before the units see an edge, in a network for small images."""
    for call in subject.record.calls:
        axis = axis_of(subject, call.sources[0]) if call.sources and reduces(call) else None
        if axis is None:
            continue
        first = axis.size == 1
        seen = max(axis.size, kernel_of(call)[0]) if call.operation == "conv2d" else axis.size
        if seen < EDGES and axis.jump == 1 and 0 < subject.side <= LARGEST:
            yield subject.finding(
                "FW708", path_of(call), f"{words_for(call)} reduces the image where units see {seen} "
                f"{'pixel' if seen == 1 else 'pixels'}.",
                f"An image of {subject.side} pixels loses strokes and edges before a layer has seen them.",
                "Put two convolutions of 3x3 before the first pooling or stride.",
                severity="warning" if first and call.operation != "conv2d" else "note")
        return


def steep_start(subject: Subject) -> Iterator[Finding]:
    """Find an image reduced to a quarter of its side before a second convolution, unless FW708 was found already."""
    made = [call for call in subject.record.calls if call.sources]
    spatial = [place for place, call in enumerate(made) if max(kernel_of(call)) > 1]
    if len(spatial) < 2 or not 0 < subject.side <= LARGEST or splits(made[spatial[0]]):
        return
    for call in made[:spatial[1]]:
        axis = axis_of(subject, call.outputs[0]) if reduces(call) else None
        if axis is not None and (axis.jump or 0) >= STEEP and next(early_reduction(subject), None) is None:
            yield subject.finding(
                "FW708", path_of(call), f"{words_for(call)} leaves {len(axis.seen)} of {subject.side} pixels a side "
                "after one convolution.",
                "Such a start is made for images of 224 pixels; strokes of a small image are lost.",
                "Start with a convolution of 3x3 and stride 1, without a pooling.")
            return


def splits(call: Call) -> bool:
    """Return True for a convolution that cuts the image into patches, as in a vision transformer."""
    return min(calls.per_axis(call.given.get("stride", 1), 2)) >= max(kernel_of(call))


def large_linear(subject: Subject) -> Iterator[Finding]:
    """Find a first linear layer on flattened features that holds most parameters."""
    for call in subject.record.calls:
        if call.operation != "linear" or not call.sources:
            continue
        features = flattened_from(subject, call.sources[0])
        count = sum(sum(value.parameters.values()) for value in call.inputs)
        if features is not None and count > MOST * subject.total:
            channels, outputs = features.shape[1], call.outputs[0].shape[-1]
            saved = (call.sources[0].shape[-1] - channels) * outputs
            if saved >= SAVED:
                yield subject.finding(
                    "FW709", path_of(call), f"{words_for(call)} holds {100 * count / subject.total:.0f} % of all "
                    "parameters.",
                    f"{count:,} of {subject.total:,}: one weight for each of {call.sources[0].shape[-1]:,} inputs.",
                    f"Average over {features.shape[2]}x{features.shape[3]} first: that saves {saved:,} parameters.",
                    corrected="x = x.mean(dim=(2, 3))")
        return


def axis_of(subject: Subject, value: Value) -> Axis | None:
    """Return the vertical axis of a value's receptive field, or None if units along it see no pixels of their own."""
    found = subject.fields.get(value)
    if found is None or found.source != 0 or len(found.axes) < 2 or subject.side == 0:
        return None
    axis = found.axes[-2]
    return axis if axis.dim is not None and axis.jump is not None else None


def kernel_of(call: Call) -> tuple[int, ...]:
    """Return the kernel of a convolution, (1, 1) for any other call."""
    weight = call.given.get("weight") if call.operation == "conv2d" else None
    return tuple(weight.shape[2:]) if isinstance(weight, Value) else (1, 1)


def convolves_a_map(call: Call) -> bool:
    """Return True for a convolution of a feature map of more than one pixel."""
    return call.operation == "conv2d" and bool(call.sources) and call.sources[0].shape[-1] > 1


def pools_globally(call: Call) -> bool:
    """Return True if a pooling or mean reduces a feature map of more than one pixel to one value per channel."""
    before, after = call.sources[0].shape, call.outputs[0].shape
    pooling = call.operation in calls.POOLS | calls.ADAPTIVE_POOLS | {"mean", "amax"}
    whole = len(before) == 4 and before[2] * before[3] > 1 and before[:2] == after[:2]
    return pooling and whole and all(n == 1 for n in after[2:])


def reduces(call: Call) -> bool:
    """Return True for a pooling or convolution with a stride above 1 that keeps a feature map."""
    if call.operation not in calls.POOLS | calls.CONVOLUTIONS or pools_globally(call):
        return False
    given: Any = call.given
    stride = given.get("stride", 1)
    if call.operation in calls.POOLS:
        stride = calls.stride_of(given.get("stride"), given.get("kernel_size"))
    return max(calls.per_axis(stride, 2)) > 1


def flattened_from(subject: Subject, value: Value) -> Value | None:
    """Return the feature map (N, C, H, W) of more than one pixel that was flattened into `value`, or None."""
    while (call := subject.makers.get(value)) is not None:
        if value.dim() == 4:
            return value if value.shape[2] * value.shape[3] > 1 else None
        if call.operation not in calls.MOVES | calls.DROPOUTS | {"relu", "batch_norm", "contiguous"}:
            return None
        value = call.sources[0]
    return None


RULES = (too_small, too_large, early_reduction, steep_start, large_linear)
