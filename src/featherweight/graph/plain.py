"""A network as a list of plain layers. The C and int8 exports are made from this list.

Imports numpy and the standard library only. Every value has a shape (channels, height, width). A vector has the shape
(features, 1, 1), and a linear layer is a 1x1 convolution. A row of vectors (channels, length) has width 1.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
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
    whole: whether the window is the whole map.
    """

    kind: str       # "max" or "mean"
    kernel: tuple[int, int]
    stride: tuple[int, int]
    pads: Pads = (0, 0, 0, 0)
    counts_outside: bool = True
    rounds_up: bool = False     # ceil_mode: the last window may extend beyond the padding
    whole: bool = False


@dataclass(frozen=True)
class MeanSquare:
    """The mean square of each channel over height and width: out = mean(in ** 2) + added, with root its square root."""

    added: float = 0.0
    root: bool = False


@dataclass(frozen=True, eq=False)
class Scale:
    """A factor and a summand for each channel, (C,) both: out = factor * in + summand.

    Used for the normalisation of pixels, for batch normalisation, and for sums and products with constants. With one
    factor for each place, the value counts as a vector.
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
class Activation:
    """A function of one number, applied to each: "gelu", or "leaky_relu" with its slope in `numbers`."""

    name: str
    numbers: tuple[float, ...] = ()


@dataclass(frozen=True, eq=False)
class PRelu:
    """The ReLU with a slope for negative numbers: out = max(in, 0) + slope * min(in, 0). slopes: (C,)."""

    slopes: Array


@dataclass(frozen=True)
class Standardise:
    """Mean 0 and variance 1 within each group: out = (in - mean) / sqrt(variance + added).

    groups: number of groups of equal size, in the order of memory. Group and layer normalisation without their affine
    part, which is a Scale.
    """

    groups: int
    added: float


@dataclass(frozen=True, eq=False)
class Move:
    """Values at other places, such as a slice or a transpose: out[i] = in[places[i]], both flattened.

    Some values may be missing from the output, and others may be in it several times.
    """

    places: NDArray[np.int64]


@dataclass(frozen=True)
class Spread:
    """Zeros between rows and columns: out[stride * y, stride * x] = in[y, x]. Begins a transposed convolution."""

    stride: tuple[int, int]


@dataclass(frozen=True, eq=False)
class Resample:
    """Linear interpolation: each output row is a weighted sum of two input rows, and each column of two columns.

    rows, columns: the weights, (height, 2) and (width, 2). row_places, column_places: the inputs, in the same shapes.
    """

    row_places: NDArray[np.int64]
    rows: Array
    column_places: NDArray[np.int64]
    columns: Array


@dataclass(frozen=True)
class Combine:
    """Sum ("add") or product ("multiply") of two values. If the second is (C, 1, 1), it is used at every place."""

    kind: str


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


Layer = (
    Conv | Pool | MeanSquare | Scale | Pad | Relu | Activation | PRelu | Standardise | Move | Spread | Resample
    | Combine | OneHot | Concat | Softmax | ToBytes | ToFloat
)


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
    A function of single numbers reads the value in the shape of its output.
    """
    layer, given = step.layer, shapes[step.inputs[0]]
    if isinstance(layer, Relu | Activation | ToBytes | ToFloat):
        return shapes[step.output]
    asked = given[0]
    if isinstance(layer, Conv):
        asked = layer.weight.shape[1] * layer.groups
    elif isinstance(layer, Scale):
        asked = len(layer.factor)
    elif isinstance(layer, PRelu):
        asked = len(layer.slopes)
    return given if asked == given[0] else (prod(given), 1, 1)


def in_words(layer: Layer) -> str:
    """Return a layer in words, e.g. "conv 8 -> 16, 3x3, ReLU"."""
    found = WORDS[type(layer)]
    return found if isinstance(found, str) else str(found(layer))


def conv_in_words(conv: Conv) -> str:
    """Return a convolution in words, including a folded ReLU and normalisation."""
    outputs, inputs, height, width = conv.weight.shape
    if inputs == 1 < outputs == conv.groups:
        text = f"conv {outputs}, {height}x{width} in each channel"
    else:
        text = f"conv {inputs * conv.groups} -> {outputs}, {height}x{width}"
    return text + (", ReLU" if conv.relu else "") + (", normalise" if conv.after else "")


WORDS: dict[type, str | Callable[[Any], str]] = {
    Conv: conv_in_words, Pool: lambda layer: f"{layer.kind} pool {layer.kernel[0]}x{layer.kernel[1]}",
    Softmax: lambda layer: "log-softmax" if layer.log else "softmax",
    Pad: lambda layer: "crop" if min(layer.pads) < 0 else "pad",
    MeanSquare: lambda layer: "root mean square" if layer.root else "mean square",
    Activation: lambda layer: layer.name, Combine: lambda layer: {"add": "sum", "multiply": "product"}[layer.kind],
    Scale: "normalise", Relu: "ReLU", PRelu: "PReLU", Standardise: "standardise", Move: "move", Resample: "interpolate",
    Spread: "spread", OneHot: "one-hot", Concat: "concatenate", ToBytes: "to bytes", ToFloat: "to float",
}
