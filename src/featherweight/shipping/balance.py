"""Weights that 8 bits can hold: input channels that say little must not take the grid from those that say much.

A scale for each output channel covers the largest of its weights. Folding a batch normalisation multiplies the next
layer's weights for a unit that hardly varies by up to 316, and leaves 8 bits nothing for the others. A network without
such weights is left as it is.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from featherweight.shipping.calibrate import Ranges
from featherweight.shipping.fold import channels_of, into
from featherweight.shipping.graph import Array, Conv, Graph, Pad, Pool, Relu, Step

MOST_WASTED = 8     # times a row's weights may be larger than those that matter: 3 of 8 bits
STEPS = 255         # of a grid


def balance(graph: Graph, ranges: Ranges) -> tuple[Graph, Ranges]:
    """Return a folded graph that computes the same in real numbers, and the ranges of its values.

    ranges: lowest and highest of each value at each place on training images. Only there are idle channels constant.
    """
    for step in graph.steps:
        if isinstance(step.layer, Conv) and wasted(step.layer, *seen_by(step, step.layer, ranges)) > MOST_WASTED:
            lean = replace(step, layer=without_idle(step.layer, *seen_by(step, step.layer, ranges)))
            graph, ranges = evened(put(graph, lean), lean, ranges)
    return graph, ranges


def seen_by(step: Step, conv: Conv, ranges: Ranges) -> tuple[Array, Array]:
    """Return the lowest and highest of each input channel of a convolution, (I,) both."""
    lowest, highest = ranges[step.inputs[0]]
    channels = conv.weight.shape[1] * conv.groups
    return lowest.reshape(channels, -1).min(axis=1), highest.reshape(channels, -1).max(axis=1)


def wasted(conv: Conv, lowest: Array, highest: Array) -> float:
    """Return how many times larger a row's grid is than its largest part of a sum, for the worst row; at least 1."""
    reach = np.where(is_idle(conv, lowest, highest), 0.0, np.maximum(np.abs(lowest), np.abs(highest)))
    sizes = sizes_of(conv)
    parts, grids = (sizes * reach).max(axis=1), sizes.max(axis=1) * reach.max()
    return float((grids[parts > 0] / parts[parts > 0]).max(initial=1.0))


def is_idle(conv: Conv, lowest: Array, highest: Array) -> NDArray[np.bool_]:
    """Say for each input channel whether it varies by less than a step of its own grid: a unit that never fires.

    A frame of zeros makes other constants vary.
    """
    still = highest - lowest < np.maximum(np.abs(lowest), np.abs(highest)) / STEPS
    nothing = (lowest == 0) & (highest == 0)
    found: NDArray[np.bool_] = nothing if any(conv.pads) else still | nothing
    return found


def without_idle(conv: Conv, lowest: Array, highest: Array) -> Conv:
    """Return the convolution with idle channels in its bias and no weights for them."""
    idle = is_idle(conv, lowest, highest)
    return into(conv, np.where(idle, 0.0, 1.0), np.where(idle, (lowest + highest) / 2, 0.0))


def evened(graph: Graph, second: Step, ranges: Ranges) -> tuple[Graph, Ranges]:
    """Divide each channel where it is made, and multiply it where it is read, until values and weights spread alike.

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


def values_between(graph: Graph, second: Step) -> list[str]:
    """Return the values from the input of a convolution back to the one that makes its channels; empty for none.

    Between them are layers alone that give s * y for s * x, with s > 0, and no other step reads what they give.
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
    """Return the largest weight of each output channel for each input channel, (O, I)."""
    outputs, inputs, _, _ = conv.weight.shape
    sizes = np.zeros((outputs, inputs * conv.groups))
    np.put_along_axis(sizes, channels_of(conv), np.abs(conv.weight).max(axis=(2, 3)), axis=1)
    return sizes


def put(graph: Graph, made: Step) -> Graph:
    """Return the graph with another layer for the same value."""
    return replace(graph, steps=tuple(made if step.output == made.output else step for step in graph.steps))
