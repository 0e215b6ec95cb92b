"""Rows of the layer table, from the record of a network: parameters, costs and receptive fields by row."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from featherweight.anatomy import cost
from featherweight.anatomy.geometry import Field, input_field
from featherweight.anatomy.rules import propagate
from featherweight.graph import Call, LayerCall, Record, Value, calls
from featherweight.graph.calls import Shape
from featherweight.graph.twin import filled

Fields = Mapping[Value, Field | None]


@dataclass(frozen=True)
class Row:
    """One row of the layer table: a layer, or a function outside layers.

    shapes: of one image's outputs. macs: per image.
    parameters: number of parameters that no earlier row used. used: ids of all parameters that the row uses.
    shared: True if earlier rows count all parameters of the row.
    """

    event: Call | LayerCall
    name: str
    kind: str
    outputs: tuple[Value, ...]
    shapes: tuple[Shape, ...]
    parameters: int
    macs: int
    field: Field | None
    shared: bool
    used: frozenset[int]

    @property
    def numbered(self) -> bool:
        """True for a layer, False for a function."""
        return isinstance(self.event, LayerCall)


def rows_of(record: Record) -> list[Row]:
    """Return one row for each layer and for each function that computes something, in the order of their ends."""
    fields, counted, rows = fields_of(record), set[int](), list[Row]()
    for event in record.events:
        if isinstance(event, LayerCall) or makes_a_row(event):
            rows.append(_row(record, event, fields, counted))
            counted |= rows[-1].used
    return rows


def makes_a_row(call: Call) -> bool:
    """Return True if a function outside layers has a row: it depends on the image and is not a move of values."""
    return counts(call) and call.operation not in calls.HIDDEN


def counts(call: Call) -> bool:
    """Return True if the call computes real numbers from an input of the network."""
    return bool(call.sources) and any(value.floating for value in call.outputs)


def _row(record: Record, event: Call | LayerCall, fields: Fields, counted: Collection[int]) -> Row:
    if isinstance(event, LayerCall):
        name, kind, outputs = event.path or event.kind, event.kind, tuple(event.outputs)
        inside = [call for call in event.calls if counts(call)]
        sizes = used_in(inside) | {id(parameter): parameter.numel() for parameter in filled(event.module)}
    else:
        name, kind = ".".join(part for part in (event.path, event.operation) if part), event.operation
        inside, outputs = [event], tuple(value for value in event.outputs if value.floating)
        sizes = used_in(inside)
    macs = event.macs if isinstance(event, LayerCall) else 0
    new = [size for key, size in sizes.items() if key not in counted]
    return Row(
        event, name, kind, outputs,
        shapes=tuple(record.one_image(value) for value in outputs),
        parameters=sum(new),
        macs=macs + sum(cost.macs(call) // record.batch for call in inside),
        field=_common(fields.get(value) for value in outputs if value.floating),
        shared=bool(sizes) and not new,
        used=frozenset(sizes),
    )


def used_in(inside: Iterable[Call]) -> dict[int, int]:
    """Return {id: number of elements} of the parameters that the calls use."""
    return {key: size for call in inside for value in call.inputs for key, size in value.parameters.items()}


def _common(found: Iterable[Field | None]) -> Field | None:
    """Return the field of all outputs, or None if they differ or one is unknown."""
    first, *rest = [*found] or [None]
    same = first is not None and all(one is not None and one.same_numbers(first) for one in rest)
    return first if same else None


def fields_of(record: Record) -> dict[Value, Field | None]:
    """Return the receptive field of every value that depends on an input; None where it has no meaning."""
    fields: dict[Value, Field | None] = {}
    for source, value in enumerate(record.inputs):
        found = input_field(source, value.shape[1:])
        fields[value] = found if found.axes else None
    for call in record.calls:
        if call.sources:
            fields |= zip(call.outputs, propagate(call, fields), strict=True)
    return fields
