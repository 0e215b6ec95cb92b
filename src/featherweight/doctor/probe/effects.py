"""Rules on layers that do not do what their names say: on single pixels, in sums, and on vectors."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator

from featherweight.doctor.finding import Finding
from featherweight.doctor.probe.layers import listed
from featherweight.doctor.probe.subject import Subject
from featherweight.doctor.probe.trail import path_of, walk, words_for
from featherweight.graph import Call, Value, calls

SUMS = {"add", "iadd", "radd"}
GATES = {"sigmoid", "hardsigmoid"}
POOLS = calls.POOLS | calls.ADAPTIVE_POOLS | {"mean", "amax"}
MAP_DROPOUTS = calls.DROPOUTS - {"dropout", "alpha_dropout"}
WHOLE = {"dropout1d", "dropout3d"}      # they take a vector per image for one image without a batch axis


def single_pixels(subject: Subject) -> Iterator[Finding]:
    """Find a pooling of a map of one pixel, unless the map has another reader, as before a gate."""
    users = Counter(value for call in subject.record.calls for value in call.sources)
    for call in subject.record.calls:
        if call.operation in calls.POOLS | calls.ADAPTIVE_POOLS and call.sources and one_pixel(call.sources[0]) \
                and users[call.sources[0]] == 1 and pools_nothing(subject, call):
            yield subject.finding("FW717", path_of(call), f"{words_for(call)} gets a map of one pixel.",
                                  "One pixel has no neighbours, so there is nothing to pool.",
                                  f"Remove {words_for(call)}, or put it where the map is larger.")
            return


def padded_pixels(subject: Subject) -> Iterator[Finding]:
    """Find convolutions of a map of one pixel, in which most weights see padding only."""
    found = {path_of(call): count for call in subject.record.calls if (count := on_padding(call))}
    if found:
        count = sum(found.values())
        yield subject.finding("FW717", next(iter(found)), f"A map of one pixel enters {listed(list(found))}.",
                              f"{count:,} of {subject.total:,} parameters only ever see padding.",
                              "Use a kernel of 1x1 there, or reduce the map less before.")


def one_pixel(value: Value) -> bool:
    """Return True for a feature map (N, C, 1, 1)."""
    return value.dim() == 4 and value.shape[2:] == (1, 1)


def pools_nothing(subject: Subject, call: Call) -> bool:
    """Return True for a kernel above 1 on one pixel, and for a second global pooling.

    A first global pooling may get one pixel for small images, and more for larger ones.
    """
    if call.operation not in calls.ADAPTIVE_POOLS:
        return max(calls.per_axis(call.given.get("kernel_size", 1), 2)) > 1
    before = subject.makers.get(walk(subject, call.sources[0], calls.POINTWISE)[1])
    return before is not None and before.operation in calls.ADAPTIVE_POOLS and one_pixel(call.outputs[0])


def on_padding(call: Call) -> int:
    """Return the number of weights of a convolution of one pixel that see padding only, 0 for other calls."""
    weight = call.given.get("weight") if call.operation == "conv2d" and call.sources else None
    if not isinstance(weight, Value) or not weight.parameters or not one_pixel(call.sources[0]):
        return 0
    kernel, after, given = weight.shape[2:], call.outputs[0].shape[2:], call.given
    stride, dilation = (calls.per_axis(given.get(name, 1), 2) for name in ("stride", "dilation"))
    padding = given.get("padding", 0)
    if isinstance(padding, str):
        padding = [d * (k - 1) // 2 if padding == "same" else 0 for d, k in zip(dilation, kernel, strict=True)]
    sides = zip(kernel, calls.per_axis(padding, 2), stride, dilation, after, strict=True)
    return math.prod(weight.shape[:2]) * (math.prod(kernel) - math.prod(seen_taps(*side) for side in sides))


def seen_taps(kernel: int, padding: int, stride: int, dilation: int, after: int) -> int:
    """Return the number of places of a kernel, along one axis, that ever lie on the only pixel."""
    pixel = {padding - place * stride for place in range(after)}
    return sum(tap * dilation in pixel for tap in range(kernel))


def broadcast_sums(subject: Subject) -> Iterator[Finding]:
    """Find sums of a map and of one value per channel that is a gate, or a map that was reduced to one pixel."""
    found = [(call, reason) for call in subject.record.calls if (reason := why_single(subject, call))]
    if found:
        call, reason = found[0]
        sides = max(value.shape[2:] for value in call.sources)
        more = f", as do {len(found) - 1} more sums" if len(found) > 1 else ""
        yield subject.finding(
            "FW718", path_of(call),
            f"{call.operation} adds one value per channel to a map of {sides[0]}x{sides[1]}{more}.",
            f"{reason}, so all pixels of a channel get the same number.",
            "Multiply the map by a gate, and add shortcuts of the map's own size.")


def why_single(subject: Subject, call: Call) -> str:
    """Return the reason why a sum's value (N, C, 1, 1) should not be added to a map, or "" for other calls."""
    if call.operation not in SUMS or len(call.sources) != 2:
        return ""
    single, full = sorted(call.sources, key=lambda value: math.prod(value.shape[2:]))
    if not one_pixel(single) or full.dim() != 4 or one_pixel(full) or single.shape[:2] != full.shape[:2]:
        return ""
    passed, source = walk(subject, single, calls.POINTWISE)
    if any(one.operation in GATES for one in passed):
        return "The value is a gate from 0 to 1"
    maker = subject.makers.get(source)
    if maker is None or maker.operation not in POOLS | {"conv2d"} or not maker.sources or one_pixel(maker.sources[0]):
        return ""       # computed from one pixel, such as a learned shift of each channel
    return f"{words_for(maker)} reduced it to one pixel"


def map_dropout(subject: Subject) -> Iterator[Finding]:
    """Find a dropout of whole maps on a vector of features."""
    for call in subject.record.calls:
        if call.operation in MAP_DROPOUTS and call.sources and call.sources[0].dim() == 2:
            whole = call.operation in WHOLE
            yield subject.finding(
                "FW719", path_of(call), f"{words_for(call)} gets vectors of shape (N, {call.sources[0].shape[1]}).",
                "It takes each image for a channel and sets all its features to 0 at once." if whole else
                "A vector has no maps, so single features are dropped, and torch warns.", "Use Dropout for vectors.",
                severity="error" if whole else "")


RULES = (single_pixels, padded_pixels, broadcast_sums, map_dropout)
