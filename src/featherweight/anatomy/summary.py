"""Summary of a network: layers and totals as one value, which shows itself in a terminal and in a notebook."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, RenderableType
from torch import nn

from featherweight.anatomy import table
from featherweight.anatomy.layers import IMAGE, Shapes, as_shapes, layers_of
from featherweight.anatomy.rows import rows_of
from featherweight.anatomy.totals import Totals
from featherweight.anatomy.unused import unused_in
from featherweight.graph import record_of
from featherweight.graph.twin import filled


@dataclass(frozen=True, repr=False)
class Summary(Totals):
    """Layers and totals of a network. Print it, or leave it at the end of a notebook cell."""

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
    record = record_of(module, shapes)
    rows, parameters = rows_of(record), filled(record.module)
    used = frozenset[int]().union(*(row.used for row in rows))
    return Summary(
        model=name or type(module).__name__,
        input_shapes=shapes,
        layers=tuple(layers_of(rows)),
        total_parameters=sum(p.numel() for p in parameters),
        trainable_parameters=sum(p.numel() for p in parameters if p.requires_grad),
        unused=tuple(unused_in(record.module, record.called, used)),
    )
