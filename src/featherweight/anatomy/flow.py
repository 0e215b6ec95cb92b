"""The flow of data through a network, from the record of a forward pass. The network is never changed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from torch import nn

from featherweight.anatomy.graph import Edge, Graph, Kind, Node, by
from featherweight.anatomy.layers import IMAGE, Shapes, as_shapes
from featherweight.anatomy.rows import Row, rows_of
from featherweight.anatomy.titles import call_title, input_titles, module_title
from featherweight.graph import Call, LayerCall, Record, Value, calls, record_of
from featherweight.graph.calls import Shape
from featherweight.graph.record import values_in


def data_flow(module: nn.Module, input_shapes: Shapes = IMAGE) -> Graph:
    """Return the flow of data: inputs, layers and functions with their output shapes and parameters, outputs.

    input_shapes: as in summarize. Also as there, a copy of the module is run in evaluation mode.
    A function that only moves values is drawn only if the shape changes. A layer that returns its input unchanged is
    not drawn.

    Raises ModelError, in one line, if the module does not run on inputs of these shapes.
    """
    return Flow(record_of(module, as_shapes(input_shapes))).drawn()


class Flow:
    """Nodes and edges of a record, as they are added."""

    def __init__(self, record: Record) -> None:
        self.record = record
        self.nodes: list[Node] = []
        self.edges: dict[Edge, None] = {}
        self.origins: dict[Value, set[int]] = {}    # ids of the nodes that a value comes from

    def drawn(self) -> Graph:
        """Return the whole graph."""
        record, rows = self.record, {row.event: row for row in rows_of(self.record)}
        for title, value in zip(input_titles(record.module, len(record.inputs)), record.inputs, strict=True):
            self.add("input", title, [by(value.shape[1:])], set(), [value])
        for event in record.events:
            if isinstance(event, LayerCall):
                self.add_layer(event, rows[event])
            else:
                self.add_call(event, rows.get(event))
        for number, value in enumerate(record.outputs, 1):
            title = "output" if len(record.outputs) == 1 else f"output {number}"
            self.add("output", title, [by(record.one_image(value))], self.origins_of([value]), [])
        return Graph(tuple(self.nodes), tuple(self.edges))

    def add_call(self, call: Call, row: Row | None) -> None:
        """Add a function outside layers, or hand its origins on if it is not drawn."""
        fed = self.origins_of(values_in((call.args, call.kwargs)))
        if row is not None:
            self.add_row(row, call_title(call), (), fed)
        elif fed and self.changes_shape(call):
            shapes = [self.record.one_image(value) for value in call.outputs]
            self.add(kind_by(fed, shapes, has_parameters=False), call.operation, [in_line(shapes)], fed, call.outputs)
        elif fed:
            self.origins |= dict.fromkeys(call.outputs, fed)

    def changes_shape(self, call: Call) -> bool:
        """Return True for a softmax, and for a move of values into another shape."""
        before = [self.record.one_image(value) for value in values_in(call.args) if value in self.origins]
        after = [self.record.one_image(value) for value in call.outputs]
        return "softmax" in call.operation or (call.operation in calls.MOVES and after != before)

    def add_layer(self, layer: LayerCall, row: Row) -> None:
        """Add a layer, unless it returns its input unchanged."""
        if not layer.calls and all(value in self.origins for value in layer.outputs):
            return
        title, note = module_title(layer.module)
        if not note and not type(layer.module).__module__.startswith("torch."):
            seen = (call.operation for call in layer.calls if call.operation != calls.UNSEEN)
            note = ", ".join(dict.fromkeys(seen))       # functions inside the user's own layer
        inside = (value for call in layer.calls for value in values_in((call.args, call.kwargs)))
        self.add_row(row, title, (note,), self.origins_of((*layer.inputs, *inside)))

    def add_row(self, row: Row, title: str, notes: Sequence[str], fed: set[int]) -> None:
        """Add the node of a row of the layer table."""
        counted = "shared parameters" if row.shared else f"{row.parameters:,} parameters" if row.parameters else ""
        kind = kind_by(fed, row.shapes, has_parameters=bool(row.parameters or row.shared))
        outputs = row.event.outputs if isinstance(row.event, Call) else row.outputs
        self.add(kind, title, [*notes, in_line(row.shapes), counted], fed, outputs)

    def add(
        self, kind: Kind, title: str, lines: Iterable[str], fed: Iterable[int], outputs: Iterable[Value]
    ) -> None:
        """Add a node with an edge from each node in `fed`. It is the origin of the outputs."""
        node = Node(len(self.nodes), kind, title, tuple(line for line in lines if line))
        self.nodes.append(node)
        self.edges |= {Edge(start, node.id): None for start in sorted(fed)}
        self.origins |= {value: {node.id} for value in outputs}

    def origins_of(self, values: Iterable[Value]) -> set[int]:
        """Return the ids of all nodes that the values come from."""
        return set().union(*(self.origins.get(value, ()) for value in values))


def kind_by(fed: Iterable[int], shapes: Sequence[Shape], *, has_parameters: bool) -> Kind:
    """Return the kind of a node: a layer has parameters, and at a junction flows meet or split."""
    if has_parameters:
        return "layer"
    return "junction" if len(set(fed)) > 1 or len(shapes) > 1 else "operation"


def in_line(shapes: Iterable[Shape]) -> str:
    """Return shapes as text, such as "16x24x24, 10"."""
    return ", ".join(by(shape) for shape in shapes)
