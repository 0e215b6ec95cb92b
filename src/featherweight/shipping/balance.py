"""Rescaling of weights before quantisation, so that large weights of channels that hardly vary do not cost precision.

The int8 scale of an output channel covers its largest weight. Folding a batch normalisation multiplies the next layer's
weights by up to 316 for a unit that hardly varies. Then 8 bits represent the other weights of the row too coarsely. A
network without such weights is not changed.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from featherweight.graph.fold import channels_of, into
from featherweight.graph.plain import Array, Conv, Pad, Pool, Ranges, Relu, Step, StepGraph

MOST_WASTED = 8     # allowed by `wasted`: a ratio of 8 costs 3 of the 8 bits
STEPS = 255         # steps of a grid


def balance(graph: StepGraph, ranges: Ranges) -> tuple[StepGraph, Ranges]:
    """Return a folded graph that computes the same before rounding, and the ranges of its values.

    ranges: lowest and highest of each value at each place on training images. Channels that are constant on those
    images are treated as constants.
    """
    for step in graph.steps:
        if isinstance(step.layer, Conv) and wasted(step.layer, *seen_by(step, step.layer, ranges)) > MOST_WASTED:
            lean = replace(step, layer=without_idle(step.layer, *seen_by(step, step.layer, ranges)))
            graph, ranges = evened(put(graph, lean), lean, ranges)
    return graph, ranges


def seen_by(step: Step, conv: Conv, ranges: Ranges) -> tuple[Array, Array]:
    """Return the lowest and highest value of each input channel of a convolution, (I,) both."""
    lowest, highest = ranges[step.inputs[0]]
    channels = conv.weight.shape[1] * conv.groups
    return lowest.reshape(channels, -1).min(axis=1), highest.reshape(channels, -1).max(axis=1)


def wasted(conv: Conv, lowest: Array, highest: Array) -> float:
    """Return the worst row's ratio of the range of its grid to its largest contribution; at least 1.

    A row holds the weights of one output channel. The range of its grid is its largest weight times the largest input
    of all channels. Its largest contribution is the maximum of weight times input over the channels that are not idle.
    """
    reach = np.where(is_idle(conv, lowest, highest), 0.0, np.maximum(np.abs(lowest), np.abs(highest)))
    sizes = sizes_of(conv)
    parts, grids = (sizes * reach).max(axis=1), sizes.max(axis=1) * reach.max()
    return float((grids[parts > 0] / parts[parts > 0]).max(initial=1.0))


def is_idle(conv: Conv, lowest: Array, highest: Array) -> NDArray[np.bool_]:
    """Return True for each idle input channel, (I,): the channel varies by less than a step of its own grid.

    Example: a unit whose ReLU never fires. If the convolution has padding, only a channel that is always 0 is idle.
    """
    still = highest - lowest < np.maximum(np.abs(lowest), np.abs(highest)) / STEPS
    nothing = (lowest == 0) & (highest == 0)
    found: NDArray[np.bool_] = nothing if any(conv.pads) else still | nothing
    return found


def without_idle(conv: Conv, lowest: Array, highest: Array) -> Conv:
    """Return the convolution with the weights of idle channels set to 0 and their constant contribution in the bias."""
    idle = is_idle(conv, lowest, highest)
    return into(conv, np.where(idle, 0.0, 1.0), np.where(idle, (lowest + highest) / 2, 0.0))


def evened(graph: StepGraph, second: Step, ranges: Ranges) -> tuple[StepGraph, Ranges]:
    """Scale the channels between two convolutions so that values and weights are spread evenly over channels.

    The convolution before `second` divides each channel by a factor, and `second` multiplies it by the same factor.
    Returns the new graph and ranges, or the given ones if no single convolution computes the input of `second`.
    Source: Nagel et al. (2019), Data-Free Quantization Through Weight Equalization and Bias Correction.
    """
    assert isinstance(second.layer, Conv)
    between = values_between(graph, second)
    first = graph.maker(between[-1]) if between else None
    if first is None or not isinstance(first.layer, Conv):
        return graph, ranges
    count = len(first.layer.bias)
    values = np.maximum(*(np.abs(side).reshape(count, -1).max(axis=1) for side in ranges[first.output]))
    sizes = sizes_of(second.layer)
    weights = (sizes / np.maximum(sizes.max(axis=1, keepdims=True), 1e-30)).max(axis=0).reshape(count, -1).max(axis=1)
    factor = np.ones(count)
    alive = (values > 0) & (weights > 0)
    factor[alive] = np.sqrt(values[alive] / values.max() / weights[alive])
    made = replace(first.layer, weight=first.layer.weight / factor[:, None, None, None], bias=first.layer.bias / factor)
    graph = put(graph, Step(made, first.inputs, first.output))
    graph = put(graph, replace(second, layer=into(second.layer, factor, np.zeros(count))))
    spread = {name: tuple(side / factor[:, None, None] for side in ranges[name]) for name in between}
    return graph, {**ranges, **spread}  # type: ignore[dict-item]


def values_between(graph: StepGraph, second: Step) -> list[str]:
    """Return the values from the input of `second` back to the output of the convolution before it.

    Returns [] if another step reads one of these values. Each layer in between must map s * x to s * y for any s > 0;
    otherwise also [].
    """
    names = [second.inputs[0]]
    while (maker := graph.maker(names[-1])) is not None and len(graph.readers(names[-1])) == 1:
        if isinstance(maker.layer, Conv):
            return [] if maker.layer.after else names
        if not isinstance(maker.layer, Pool | Relu) and not (isinstance(maker.layer, Pad) and maker.layer.value == 0):
            return []
        names.append(maker.inputs[0])
    return []


def sizes_of(conv: Conv) -> Array:
    """Return the largest absolute weight of each output channel for each input channel, (O, I)."""
    outputs, inputs, _, _ = conv.weight.shape
    sizes = np.zeros((outputs, inputs * conv.groups))
    np.put_along_axis(sizes, channels_of(conv), np.abs(conv.weight).max(axis=(2, 3)), axis=1)
    return sizes


def put(graph: StepGraph, made: Step) -> StepGraph:
    """Return the graph with `made` in place of the step that computes the same value."""
    return replace(graph, steps=tuple(made if step.output == made.output else step for step in graph.steps))
