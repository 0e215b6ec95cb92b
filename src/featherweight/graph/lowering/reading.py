"""One recorded call while it is lowered: its arguments, the shapes of one image, and the steps that replace it."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featherweight.errors import ModelError
from featherweight.graph.plain import Layer, Move, Shape, Step
from featherweight.graph.record import Call, Record, Value, name_of
from featherweight.wording import option

SUPPORTED = ("convolutions (plain, grouped, transposed), Linear, pooling, batch, group and layer normalisation, the "
             "usual activations, sums, products, concatenation, slices, upsampling, flatten, softmax and Dropout")


class Steps:
    """The steps of a network that is being lowered, the shape of each value, and the step of each recorded value."""

    def __init__(self, record: Record, taken: set[str]) -> None:
        self.record = record
        self.taken = taken      # names of values
        self.steps: list[Step] = []
        self.shapes: dict[str, Shape] = {}
        self.names: dict[Value, str] = {}

    def add(self, layer: Layer, inputs: tuple[str, ...], shape: Shape, name: str) -> str:
        """Add a step and return the name of its output, made unique with a number."""
        output, count = name, 1
        while output in self.taken:
            count += 1
            output = f"{name}#{count}"
        self.taken.add(output)
        self.steps.append(Step(layer, inputs, output))
        self.shapes[output] = shape
        return output

    def read(self, value: Value) -> str:
        """Return the name of a value in its own shape. A vector may still have the shape from before it was flattened.

        Any other reshape becomes a copy.
        """
        name, wanted = self.names[value], plain(self.record.one_image(value))
        if wanted in (self.shapes[name], (prod(self.shapes[name]), 1, 1)):
            return name
        return self.add(Move(np.arange(prod(wanted))), (name,), wanted, f"{name}_reshaped")


class Reading:
    """One call with its arguments by name. `steps` receives the plain layers that replace it."""

    def __init__(self, steps: Steps, call: Call) -> None:
        self.steps, self.call, self.operation = steps, call, call.operation
        self.given = call.given
        for value in (*call.sources, *call.outputs):
            self.require(value.shape[:1] == (steps.record.batch,), "that mixes the images of a batch")

    @property
    def source(self) -> Value:
        """First argument that depends on the image."""
        return self.call.sources[0]

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the source for one image."""
        return self.source.shape[1:]

    @property
    def after(self) -> tuple[int, ...]:
        """Shape of the output for one image."""
        return self.call.outputs[0].shape[1:]

    def alone(self) -> None:
        """Raise ModelError unless exactly one argument depends on the image, and it is the first."""
        first = self.call.args[0] if self.call.args else self.given.get("input")
        self.require(len(self.call.sources) == 1 and first is self.source, "of several values")

    def weight(self, key: str) -> NDArray[np.float32] | None:
        """Return a constant argument as float32; None if it is missing. Raise ModelError if it is computed."""
        value = self.given.get(key)
        if value is None:
            return None
        self.require(isinstance(value, Value) and value.constant is not None, "with a computed weight")
        return numbers(value)

    def step(self, layer: Layer, name: str | None = None, shape: Shape | None = None) -> str:
        """Add a step that reads the value `name`, by default the source, and return its output's name."""
        source = self.steps.read(self.source) if name is None else name
        return self.steps.add(layer, (source,), shape or plain(self.after), self.label)

    def join(self, layer: Layer, *names: str, shape: Shape | None = None) -> str:
        """Add a step that reads several values."""
        return self.steps.add(layer, names, shape or plain(self.after), self.label)

    def finish(self, name: str, output: int = 0) -> None:
        """Make `name` the value of an output of the call."""
        self.steps.names[self.call.outputs[output]] = name

    def same(self) -> None:
        """Make the output the same value as the source."""
        self.finish(self.steps.names[self.source])

    @property
    def label(self) -> str:
        """Name of the layer or function in the network, such as "conv1" or "block.add"."""
        path = name_of(self.call.path)
        return path if self.call.layer and path else ".".join(part for part in (path, self.operation) if part)

    def require(self, holds: bool, how: str) -> None:
        """Raise ModelError unless `holds`. how: the unsupported property, e.g. "with ceil_mode"."""
        if not holds:
            self.refuse(how)

    def refuse(self, how: str = "") -> Any:
        """Raise ModelError: the call is not supported."""
        layer = self.call.layer
        what = f"layer {self.label} ({layer.kind}): {self.operation}" if layer and layer.path \
            else f"function {self.label}"
        raise ModelError(f"{' '.join(part for part in (what, how) if part)} cannot go into C or int8, which take "
                         f"{SUPPORTED}. Change the network, or give {option('to', 'onnx')}.")


def plain(shape: tuple[int, ...]) -> Shape:
    """Return the shape of one image as (channels, height, width). Missing axes are 1, and later ones are merged."""
    channels, height, *rest = (*shape, 1, 1)
    return channels, height, prod(rest)


def numbers(value: Value) -> NDArray[np.float32]:
    """Return a constant as float32."""
    assert value.constant is not None
    found: NDArray[np.float32] = value.constant.detach().cpu().float().numpy()
    return found
