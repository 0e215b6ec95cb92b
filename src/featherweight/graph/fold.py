"""Folding: merge layers into fewer layers that compute the same, e.g. batch normalisation into a convolution.

Every rule is exact. A normalisation before a convolution with padding is not folded, because the padding is made of
zeros that are not normalised.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from featherweight.graph.plain import (
    Activation,
    Array,
    Conv,
    Layer,
    MeanSquare,
    Move,
    Pad,
    Pool,
    PRelu,
    Relu,
    Scale,
    Shape,
    Softmax,
    Step,
    StepGraph,
)

Rule = Callable[[Layer, Layer], tuple[Layer, ...] | None]   # two layers in a row -> their replacement, or None


def fold(graph: StepGraph) -> StepGraph:
    """Return the graph after applying the rules until none fits, with float32 weights."""
    steps, shapes = list(graph.steps), dict(graph.shapes)
    makers = {step.output: step for step in steps}
    reads = Counter(value for step in steps for value in set(step.inputs))
    place = 0
    while place < len(steps):
        second = steps[place]
        first = makers.get(second.inputs[0])
        if (first is None or len(second.inputs) > 1 or first.output in graph.heads
                or reads[first.output] > 1      # another step reads the value between the two
                or (made := replacement(first.layer, second.layer)) is None):
            place += 1
            continue
        new = put(first, second, made, shapes)
        makers.update((step.output, step) for step in new)
        before = next(index for index, step in enumerate(steps) if step is first)
        steps[place : place + 1] = new
        del steps[before]
        place -= 1      # of the first new step, which may fit the one before it
    return StepGraph(tuple(replace(step, layer=in_float32(step.layer)) for step in steps), shapes, graph.heads)


def replacement(first: Layer, second: Layer) -> tuple[Layer, ...] | None:
    """Return the layers of the first rule that fits two layers in a row, or None."""
    return next((made for rule in RULES if (made := rule(first, second)) is not None), None)


def put(first: Step, second: Step, made: tuple[Layer, ...], shapes: dict[str, Shape]) -> list[Step]:
    """Return the steps of the layers `made` (one or two) in place of two consecutive steps, and correct the shapes."""
    if len(made) == 1:
        if isinstance(first.layer, Conv | MeanSquare):      # `second` may read it flattened
            shapes[second.output] = shapes[first.output]
        return [Step(made[0], first.inputs, second.output)]
    if isinstance(made[0], Relu):       # was moved before the pool
        shapes[second.output], shapes[first.output] = shapes[first.output], shapes[first.inputs[0]]
    elif isinstance(made[0], Pad):      # was moved before the normalisation
        shapes[first.output] = shapes[second.output]
    return [Step(made[0], first.inputs, first.output), Step(made[1], (first.output,), second.output)]


def scale_scale(first: Layer, second: Layer) -> tuple[Layer, ...] | None:
    """Merge two normalisations into one."""
    if isinstance(first, Scale) and isinstance(second, Scale) and len(first.factor) == len(second.factor):
        return (Scale(first.factor * second.factor, first.summand * second.factor + second.summand),)
    return None


def scale_crop(first: Layer, second: Layer) -> tuple[Layer, ...] | None:
    """Move a crop before a normalisation.

    Fewer pixels are normalised, and the normalisation can then be folded into the convolution after the crop.
    """
    if isinstance(first, Scale) and isinstance(second, Pad) and max(second.pads) <= 0:
        return second, first
    return None


def conv_scale(first: Layer, second: Layer) -> tuple[Layer, ...] | None:
    """Fold a normalisation into the convolution before it, or into `after` if that convolution has a ReLU."""
    if not (isinstance(first, Conv) and isinstance(second, Scale)) or first.after:
        return None
    if len(first.bias) != len(second.factor):       # the value is flattened in between
        return None
    if first.relu:
        return (replace(first, after=(second.factor, second.summand)),)
    weight = first.weight * second.factor[:, None, None, None]
    return (replace(first, weight=weight, bias=first.bias * second.factor + second.summand),)


def scale_conv(first: Layer, second: Layer) -> tuple[Layer, ...] | None:
    """Fold a normalisation into the convolution after it, unless that convolution has padding."""
    after = first.after if isinstance(first, Conv) else None
    factors = (first.factor, first.summand) if isinstance(first, Scale) else after
    if factors is None or not isinstance(second, Conv) or any(second.pads):
        return None
    if second.weight.shape[1] * second.groups % len(factors[0]):      # a factor for each place, not for each channel
        return None
    taken = into(second, *factors)
    return (replace(first, after=None), taken) if isinstance(first, Conv) else (taken,)


def into(conv: Conv, factor: Array, summand: Array) -> Conv:
    """Return a convolution that computes from x the same as `conv` from factor * x + summand.

    factor, summand: one value for each input channel, or for each channel before flattening.
    """
    places = conv.weight.shape[1] * conv.groups // len(factor)  # more than 1 if the value is flattened in between
    factor, summand = np.repeat(factor, places), np.repeat(summand, places)
    channels = channels_of(conv)
    bias = conv.bias + (conv.weight.astype(np.float64).sum(axis=(2, 3)) * summand[channels]).sum(axis=1)
    return replace(conv, weight=conv.weight * factor[channels][:, :, None, None], bias=bias)


def channels_of(conv: Conv) -> NDArray[np.int64]:
    """Return the input channels that each output channel reads, (O, I / groups)."""
    outputs, inputs, _, _ = conv.weight.shape
    groups = np.repeat(np.arange(conv.groups), outputs // conv.groups)
    channels: NDArray[np.int64] = groups[:, None] * inputs + np.arange(inputs)
    return channels


def conv_relu(first: Layer, second: Layer) -> tuple[Layer, ...] | None:
    """Merge a ReLU into the convolution before it."""
    if isinstance(first, Conv) and isinstance(second, Relu) and not first.after:
        return (replace(first, relu=True),)
    return None


def pool_relu(first: Layer, second: Layer) -> tuple[Layer, ...] | None:
    """Move a ReLU before a max pool: the ReLU of a maximum equals the maximum of the ReLUs."""
    if isinstance(first, Pool) and first.kind == "max" and isinstance(second, Relu):
        return second, first
    return None


def move_move(first: Layer, second: Layer) -> tuple[Layer, ...] | None:
    """Merge two moves into one."""
    if isinstance(first, Move) and isinstance(second, Move):
        return (Move(first.places[second.places]),)
    return None


def square_mean(first: Layer, second: Layer) -> tuple[Layer, ...] | None:
    """Merge a square and the mean of the whole map into a mean square."""
    squares = isinstance(first, Activation) and first.name == "square"
    if squares and isinstance(second, Pool) and second.kind == "mean" and second.whole:
        return (MeanSquare(),)
    return None


def mean_square_rest(first: Layer, second: Layer) -> tuple[Layer, ...] | None:
    """Merge a mean square with the constant that is added to it, or with the square root after it."""
    if not isinstance(first, MeanSquare) or first.root:
        return None
    if isinstance(second, Activation) and second.name == "sqrt":
        return (replace(first, root=True),)
    if isinstance(second, Scale) and (second.factor == 1).all() and (second.summand == second.summand[0]).all():
        return (replace(first, added=first.added + float(second.summand[0])),)
    return None


def softmax_softmax(first: Layer, second: Layer) -> tuple[Layer, ...] | None:
    """Remove a log-softmax before another softmax, which gives the same result for logits and log-probabilities."""
    if isinstance(first, Softmax) and first.log and isinstance(second, Softmax):
        return (second,)
    return None


def in_float32(layer: Layer) -> Layer:
    """Return a layer with its float64 values rounded to float32."""
    if isinstance(layer, Scale):
        return Scale(layer.factor.astype(np.float32), layer.summand.astype(np.float32))
    if isinstance(layer, Conv):
        after = layer.after and (layer.after[0].astype(np.float32), layer.after[1].astype(np.float32))
        return replace(layer, weight=layer.weight.astype(np.float32), bias=layer.bias.astype(np.float32), after=after)
    if isinstance(layer, PRelu):
        return PRelu(layer.slopes.astype(np.float32))
    return layer


RULES: tuple[Rule, ...] = (
    mean_square_rest, scale_scale, scale_crop, conv_relu, conv_scale, scale_conv, pool_relu, move_move, square_mean,
    softmax_softmax,
)
