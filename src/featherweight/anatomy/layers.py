"""Layer record: one row of the layer table, as plain numbers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from featherweight.anatomy import cost
from featherweight.anatomy.geometry import Field
from featherweight.anatomy.rows import Row
from featherweight.graph.calls import Shape

Shapes = Sequence[int] | Sequence[Sequence[int]]    # of one input, or of each input; without batch axis
IMAGE: Shapes = ((1, 28, 28),)
PerAxis = float | list[float] | None


@dataclass(frozen=True)
class Layer:
    """One call of a layer, or of a function outside any layer (index None).

    output_shapes: one for each returned tensor, without the batch axis.
    macs: multiply-accumulates per image.
    parameters: number of parameters that no earlier row used.
    """

    index: int | None
    name: str
    kind: str
    output_shapes: tuple[Shape, ...]
    parameters: int
    macs: int
    field: Field | None
    shared: bool

    @property
    def label(self) -> str:
        """Label in the table: Conv2d-1 for a layer, relu for a function."""
        return self.kind if self.index is None else f"{self.kind}-{self.index}"

    @property
    def activation_bytes(self) -> int:
        """Bytes of the output for one image, in float32."""
        return cost.activation_bytes(self.output_shapes)

    @property
    def receptive_field(self) -> PerAxis:
        """Size of the field in pixels, or [height, width] if they differ.

        None if the size has no meaning; the largest size if the units are uneven.
        """
        return per_axis(axis.size for axis in self.field.axes) if self.field else None

    @property
    def jump(self) -> PerAxis:
        """Pixels between two neighbouring units, the mean if uneven; None if all units see the same pixels."""
        return per_axis(axis.jump for axis in self.field.axes) if self.field else None

    @property
    def start(self) -> PerAxis:
        """Centre of the first unit's field in pixels. The first pixel spans [0, 1]."""
        return per_axis(axis.start for axis in self.field.axes) if self.field else None

    @property
    def uneven(self) -> bool:
        """True if units see fields of different sizes or at different distances, as after upsampling."""
        return self.field is not None and any(axis.ends is not None for axis in self.field.axes)

    def to_dict(self) -> dict[str, Any]:
        """Return the values for JSON. The key "uneven" is present only if the units are uneven."""
        shapes = [list(shape) for shape in self.output_shapes]
        uneven = {"uneven": True} if self.uneven else {}
        return {
            "index": self.index,
            "name": self.name,
            "kind": self.kind,
            "output_shape": shapes[0] if len(shapes) == 1 else shapes,
            "parameters": self.parameters,
            "macs": self.macs,
            "activation_bytes": self.activation_bytes,
            "receptive_field": self.receptive_field,
            "jump": self.jump,
            "start": self.start,
            **uneven,
        }


def layers_of(rows: Sequence[Row]) -> list[Layer]:
    """Return one Layer for each row. Module rows are numbered from 1, in the order of their calls."""
    layers, index = [], 0
    for row in rows:
        index += row.numbered
        layers.append(
            Layer(
                index=index if row.numbered else None,
                name=row.name,
                kind=row.kind,
                output_shapes=row.shapes,
                parameters=row.parameters,
                macs=row.macs,
                field=row.field,
                shared=row.shared,
            )
        )
    return layers


def as_shapes(input_shapes: Shapes) -> tuple[Shape, ...]:
    """Return a tuple of shapes, from one shape (1, 28, 28) or from several ((1, 28, 28), (10,))."""
    if all(isinstance(n, int) for n in input_shapes):
        return (tuple(n for n in input_shapes if isinstance(n, int)),)
    return tuple(tuple(shape) for shape in input_shapes if isinstance(shape, Sequence))


def per_axis(values: Iterable[float | None]) -> PerAxis:
    """Return one number if all axes have the same, a list of them if they differ, None if one is unknown."""
    numbers = list(values)
    if not numbers or None in numbers:
        return None
    known = [number for number in numbers if number is not None]
    return known[0] if len(set(known)) == 1 else known
