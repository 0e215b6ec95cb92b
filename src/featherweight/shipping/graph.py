"""A network as a list of plain layers: what C and int8 are made from. numpy and the standard library only.

Every value has a shape (channels, height, width); a vector is (features, 1, 1), and a linear layer a 1x1 convolution.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating[Any]]     # float64 while folding, float32 when shipped
Shape = tuple[int, int, int]
Pads = tuple[int, int, int, int]        # rows above, columns left, rows below, columns right


@dataclass(frozen=True, eq=False)
class Conv:
    """out = after(relu(weight * in + bias)); what is outside the image counts as 0.

    weight (O, I / groups, kh, kw), bias (O,); after: a factor and a summand for each channel, (O,) both, or None.
    """

    weight: Array
    bias: Array
    stride: tuple[int, int] = (1, 1)
    pads: Pads = (0, 0, 0, 0)
    dilation: tuple[int, int] = (1, 1)
    groups: int = 1
    relu: bool = False
    after: tuple[Array, Array] | None = None


@dataclass(frozen=True)
class Pool:
    """Maximum or mean of windows. counts_outside: whether what is outside the image counts as 0 in a mean."""

    kind: str       # "max" or "mean"
    kernel: tuple[int, int]
    stride: tuple[int, int]
    pads: Pads = (0, 0, 0, 0)
    counts_outside: bool = True
    rounds_up: bool = False     # whether a window may begin inside the image and end outside


@dataclass(frozen=True)
class RootMeanSquare:
    """out = sqrt(mean of in ** 2 over all places + added): one value for each channel."""

    added: float = 0.0


@dataclass(frozen=True, eq=False)
class Scale:
    """out = factor * in + summand for each channel, (C,) both: normalisation, and batch normalisation."""

    factor: Array
    summand: Array


@dataclass(frozen=True)
class Pad:
    """A frame around the image, or, where negative, cut off from it."""

    pads: Pads
    value: float = 0.0


@dataclass(frozen=True)
class Relu:
    """max(in, 0)."""


@dataclass(frozen=True)
class OneHot:
    """A number 0..classes - 1 -> (classes, 1, 1)."""

    classes: int


@dataclass(frozen=True)
class Concat:
    """Its inputs' channels one after another."""


@dataclass(frozen=True)
class Softmax:
    """Over channels; log says whether its logarithm."""

    log: bool


@dataclass(frozen=True)
class ToBytes:
    """From float to one of 256 steps."""


@dataclass(frozen=True)
class ToFloat:
    """Back again."""


Layer = Conv | Pool | RootMeanSquare | Scale | Pad | Relu | OneHot | Concat | Softmax | ToBytes | ToFloat


@dataclass(frozen=True)
class Step:
    """One layer at work: the names of what goes in, and of what comes out."""

    layer: Layer
    inputs: tuple[str, ...]
    output: str


@dataclass(frozen=True)
class Graph:
    """Steps in the order in which they are computed; inputs "images" and, where a number is added, "numbers"."""

    steps: tuple[Step, ...]
    shapes: Mapping[str, Shape]
    heads: tuple[str, ...]

    @property
    def takes_number(self) -> bool:
        return any(isinstance(step.layer, OneHot) for step in self.steps)

    def readers(self, value: str) -> list[Step]:
        """The steps that a value goes into."""
        return [step for step in self.steps if value in step.inputs]

    def maker(self, value: str) -> Step | None:
        """The step that a value comes from; None for an input."""
        return next((step for step in self.steps if step.output == value), None)


def shape_in(step: Step, shapes: Mapping[str, Shape]) -> Shape:
    """The shape that a step takes its first input for: a layer that asks for more channels sees one long vector."""
    layer, given = step.layer, shapes[step.inputs[0]]
    asked = given[0]
    if isinstance(layer, Conv):
        asked = layer.weight.shape[1] * layer.groups
    elif isinstance(layer, Scale):
        asked = len(layer.factor)
    return given if asked == given[0] else (prod(given), 1, 1)


def in_words(layer: Layer) -> str:
    """ "conv 8 -> 16, 3x3, ReLU"."""
    if isinstance(layer, Conv):
        return conv_in_words(layer)
    if isinstance(layer, Pool):
        return f"{layer.kind} pool {layer.kernel[0]}x{layer.kernel[1]}"
    if isinstance(layer, Softmax):
        return "log-softmax" if layer.log else "softmax"
    if isinstance(layer, Pad):
        return "crop" if min(layer.pads) < 0 else "pad"
    return {Scale: "normalise", Relu: "ReLU", OneHot: "one-hot", Concat: "concatenate", ToBytes: "to bytes",
            ToFloat: "to float", RootMeanSquare: "root mean square"}[type(layer)]


def conv_in_words(conv: Conv) -> str:
    """A convolution, with what was folded into it."""
    outputs, inputs, height, width = conv.weight.shape
    if inputs == 1 < outputs == conv.groups:
        text = f"conv {outputs}, {height}x{width} in each channel"
    else:
        text = f"conv {inputs * conv.groups} -> {outputs}, {height}x{width}"
    return text + (", ReLU" if conv.relu else "") + (", normalise" if conv.after else "")
