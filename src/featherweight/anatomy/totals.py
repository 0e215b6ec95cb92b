"""Layers of a network and their totals, as plain values. table shows them, and Summary adds the display methods."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from featherweight.anatomy import cost
from featherweight.anatomy.layers import Layer
from featherweight.anatomy.unused import Unused
from featherweight.graph.calls import Shape


@dataclass(frozen=True)
class Totals:
    """Layers of a network and their totals."""

    model: str
    input_shapes: tuple[Shape, ...]
    layers: tuple[Layer, ...]
    total_parameters: int
    trainable_parameters: int
    unused: tuple[Unused, ...] = ()     # layers that were never called, parameters that no row uses

    @property
    def unused_parameters(self) -> int:
        """Number of parameters that no row uses. They are included in the total."""
        return self.total_parameters - sum(layer.parameters for layer in self.layers)

    @property
    def total_macs(self) -> int:
        """Multiply-accumulates per image."""
        return sum(layer.macs for layer in self.layers)

    @property
    def sizes_mb(self) -> dict[str, float]:
        """Sizes as torchsummary counts them, in units of 2^20 bytes: input, forward_backward, parameters, total."""
        module_bytes = sum(layer.activation_bytes for layer in self.layers if layer.index is not None)
        return cost.sizes_mb(self.input_shapes, module_bytes, self.total_parameters)

    def to_dict(self) -> dict[str, Any]:
        """Return the values for JSON."""
        shapes = [list(shape) for shape in self.input_shapes]
        return {
            "model": self.model,
            "input_shape": shapes[0] if len(shapes) == 1 else shapes,
            "layers": [layer.to_dict() for layer in self.layers],
            "total_parameters": self.total_parameters,
            "trainable_parameters": self.trainable_parameters,
            "total_macs": self.total_macs,
            "sizes_mb": self.sizes_mb,
            "unused": [one.to_dict() for one in self.unused],
        }
