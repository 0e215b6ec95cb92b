"""A network as a list of plain layers. The C and int8 exports are made from this list.

Imports numpy and the standard library only. Every value has a shape (channels, height, width). A vector has the shape
(features, 1, 1), and a linear layer is a 1x1 convolution.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating[Any]]     # float64 while layers are folded, float32 in an export
Ranges = Mapping[str, tuple[Array, Array]]  # value -> lowest and highest at each place, both in the value's shape
Shape = tuple[int, int, int]
Pads = tuple[int, int, int, int]        # rows above, columns left, rows below, columns right


@dataclass(frozen=True, eq=False)
class Conv:
    """A convolution with zero padding: out = after(relu(weight * in + bias)).

    weight: (O, I / groups, kh, kw). bias: (O,).
    after: the factor and summand of each output channel, (O,) both, applied after the ReLU; or None.
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
    """Maximum or mean of windows.

    counts_outside: whether a mean counts the padding as zeros; if not, it is over the places inside the image.
    """

    kind: str       # "max" or "mean"
    kernel: tuple[int, int]
    stride: tuple[int, int]
    pads: Pads = (0, 0, 0, 0)
    counts_outside: bool = True
    rounds_up: bool = False     # ONNX's ceil_mode: the last window may extend beyond the padding


@dataclass(frozen=True)
class RootMeanSquare:
    """The root mean square of each channel over height and width: out = sqrt(mean(in ** 2) + added)."""

    added: float = 0.0


@dataclass(frozen=True, eq=False)
class Scale:
    """A factor and a summand for each channel, (C,) both: out = factor * in + summand.

    Used for the normalisation of pixels and for batch normalisation.
    """

    factor: Array
    summand: Array


@dataclass(frozen=True)
class Pad:
    """Padding with a constant value. Negative pads crop the image."""

    pads: Pads
    value: float = 0.0


@dataclass(frozen=True)
class Relu:
    """The ReLU: out = max(in, 0)."""


@dataclass(frozen=True)
class OneHot:
    """One-hot encoding of an integer: 0..classes - 1 -> (classes, 1, 1)."""

    classes: int


@dataclass(frozen=True)
class Concat:
    """Concatenation of all inputs along the channels."""


@dataclass(frozen=True)
class Softmax:
    """The softmax over channels, or with log=True the log-softmax."""

    log: bool


@dataclass(frozen=True)
class ToBytes:
    """Quantisation: float -> the nearest of 256 bytes."""


@dataclass(frozen=True)
class ToFloat:
    """Dequantisation: byte -> float."""


Layer = Conv | Pool | RootMeanSquare | Scale | Pad | Relu | OneHot | Concat | Softmax | ToBytes | ToFloat


@dataclass(frozen=True)
class Step:
    """One layer in a graph, with the names of its input values and of its output value."""

    layer: Layer
    inputs: tuple[str, ...]
    output: str


@dataclass(frozen=True)
class StepGraph:
    """A network: steps in the order of computation, the shape of each value, and the names of the outputs (heads).

    The inputs are named "images" and, if the network adds a number, "numbers".
    """

    steps: tuple[Step, ...]
    shapes: Mapping[str, Shape]
    heads: tuple[str, ...]

    @property
    def takes_number(self) -> bool:
        return any(isinstance(step.layer, OneHot) for step in self.steps)

    def readers(self, value: str) -> list[Step]:
        """Return the steps that read a value."""
        return [step for step in self.steps if value in step.inputs]

    def maker(self, value: str) -> Step | None:
        """Return the step that computes a value; None for an input of the network."""
        return next((step for step in self.steps if step.output == value), None)


def shape_in(step: Step, shapes: Mapping[str, Shape]) -> Shape:
    """Return the shape in which a step reads its first input.

    A layer may expect more channels than the value has. The layer then reads the value flattened: (C * H * W, 1, 1).
    """
    layer, given = step.layer, shapes[step.inputs[0]]
    asked = given[0]
    if isinstance(layer, Conv):
        asked = layer.weight.shape[1] * layer.groups
    elif isinstance(layer, Scale):
        asked = len(layer.factor)
    return given if asked == given[0] else (prod(given), 1, 1)


def in_words(layer: Layer) -> str:
    """Return a layer in words, e.g. "conv 8 -> 16, 3x3, ReLU"."""
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
    """Return a convolution in words, including a folded ReLU and normalisation."""
    outputs, inputs, height, width = conv.weight.shape
    if inputs == 1 < outputs == conv.groups:
        text = f"conv {outputs}, {height}x{width} in each channel"
    else:
        text = f"conv {inputs * conv.groups} -> {outputs}, {height}x{width}"
    return text + (", ReLU" if conv.relu else "") + (", normalise" if conv.after else "")
