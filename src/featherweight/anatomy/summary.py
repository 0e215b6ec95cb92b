"""Summary of a network: layers and totals as one value, which shows itself in a terminal and in a notebook."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from torch import nn

from featherweight.anatomy import cost, table
from featherweight.anatomy.cost import Shape
from featherweight.anatomy.layers import IMAGE, Layer, Shapes, as_shapes, layers_of
from featherweight.anatomy.trace import trace
from featherweight.anatomy.twin import filled
from featherweight.anatomy.unused import Unused


@dataclass(frozen=True, repr=False)
class Summary:
    """Layers and totals of a network. Print it, or leave it at the end of a notebook cell."""

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

    def to_text(self, width: int = 80) -> str:
        """Return the table for a terminal of `width` columns."""
        return table.as_text(table.renderable(self, width), width)

    def __repr__(self) -> str:
        return self.to_text()

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        yield table.renderable(self, options.max_width)

    def _repr_html_(self) -> str:
        return table.html(self)


def summarize(module: nn.Module, input_shapes: Shapes = IMAGE, *, name: str | None = None) -> Summary:
    """Return the summary of any module. The module is left exactly as it was.

    input_shapes: (C, H, W) of one input, or one such shape for each input, without the batch axis.
    name: title of the table. The default is the name of the module's class.

    Raises ModelError, in one line, if the module does not run on inputs of these shapes.
    """
    shapes = as_shapes(input_shapes)
    seen = trace(module, shapes)
    parameters = filled(seen.module)
    return Summary(
        model=name or type(module).__name__,
        input_shapes=shapes,
        layers=tuple(layers_of(seen.rows)),
        total_parameters=sum(p.numel() for p in parameters),
        trainable_parameters=sum(p.numel() for p in parameters if p.requires_grad),
        unused=tuple(seen.unused()),
    )
