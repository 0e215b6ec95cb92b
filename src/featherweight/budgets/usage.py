"""Use of a network: parameters, MACs, receptive field, and RAM and flash of its C code, without compiling."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from featherweight.anatomy import cost
from featherweight.anatomy.layers import PerAxis, per_axis
from featherweight.anatomy.rows import counts, fields_of
from featherweight.budgets.outline import OutlineRecorder, parameters_of
from featherweight.errors import ModelError
from featherweight.graph.calls import Shape
from featherweight.graph.fold import fold
from featherweight.graph.lowering import lower
from featherweight.graph.plain import Conv, StepGraph
from featherweight.graph.record import LayerCall, Record
from featherweight.shipping.c_float import write_float
from featherweight.shipping.c_int8 import UNIT, write_int8
from featherweight.shipping.c_text import Body
from featherweight.shipping.pixels import Pixels
from featherweight.shipping.quantise import Kernel, Quantised, check_int8, with_crossings

FORMS = ("int8", "float")       # of the C code
BATCH = 2       # with two images, squeeze() does not drop the batch axis


@dataclass(frozen=True)
class CodeSize:
    """Bytes of static memory (ram) and of constants (flash) of a network's C code."""

    ram: int
    flash: int


@dataclass(frozen=True)
class Usage:
    """Use of a network.

    macs: multiply-accumulates per image. last_map: shape of the last value with height and width.
    receptive_field: of a unit of that map, in pixels. code: size of the C code by form; a form that cannot be exported
    is missing, and `refused` says why.
    """

    parameters: int
    macs: int
    receptive_field: PerAxis
    last_map: Shape
    outputs: tuple[Shape, ...]
    code: Mapping[str, CodeSize] = field(default_factory=dict)
    refused: str = ""

    def amounts(self, form: str) -> dict[str, int | None]:
        """Return what a budget limits, by name. ram and flash: of the C code in this form."""
        code = self.code.get(form)
        ram, flash = (code.ram, code.flash) if code else (None, None)
        return {"parameters": self.parameters, "macs": self.macs, "ram": ram, "flash": flash}

    def to_dict(self) -> dict[str, Any]:
        """Return the values for JSON."""
        return {
            "parameters": self.parameters, "macs": self.macs, "receptive_field": self.receptive_field,
            "last_map": list(self.last_map), "output_shapes": [list(shape) for shape in self.outputs],
            **{f"{name}_{form}": getattr(self.code[form], name) if form in self.code else None
               for form in FORMS for name in ("ram", "flash")},
        }


class Count(Body):
    """A Body that counts the bytes of arrays and does not write them."""

    def array(self, name: str, values: NDArray[Any]) -> str:
        self.flash += values.nbytes
        return name

    def title(self, text: str) -> None:
        pass


def usage_of(module: nn.Module, shapes: Sequence[Shape], outputs: Sequence[Tensor]) -> Usage:
    """Return the use of a network in evaluation mode, which is run once. outputs: of a run on two images.

    Raises the exception of the network if it cannot run.
    """
    record, code, refused = recorded(module, shapes, outputs)
    last, size = last_map(record)
    scripted = sum(event.macs for event in record.events if isinstance(event, LayerCall))
    return Usage(
        parameters=parameters_of(module),
        macs=scripted + sum(cost.macs(call) // record.batch for call in record.calls if counts(call)),
        receptive_field=size, last_map=last, outputs=tuple(tuple(one.shape[1:]) for one in outputs),
        code=code, refused=refused,
    )


def last_map(record: Record) -> tuple[Shape, PerAxis]:
    """Return the shape of the last value with height and width, and the receptive field of its units in pixels."""
    fields = fields_of(record)
    for call in reversed(record.calls):
        for value in call.outputs:
            found = fields.get(value)
            if value.dim() == 4 and prod(value.shape[2:]) > 1 and found and all(axis.jump for axis in found.axes):
                return tuple(value.shape[1:]), per_axis(axis.size for axis in found.axes)
    return (), None


def recorded(
    module: nn.Module, shapes: Sequence[Shape], outputs: Sequence[Tensor]
) -> tuple[Record, dict[str, CodeSize], str]:
    """Return the record of a network, the sizes of its C code, and the reason if it has none.

    The network is recorded as it is exported, with normalisation and softmax. If it cannot be exported, it is recorded
    alone.
    """
    if exportable(shapes, outputs):
        channels = shapes[0][0]
        whole = Pixels(module, (0.5,) * channels, (0.25,) * channels, [one.shape[1] for one in outputs])
        images = torch.zeros(BATCH, *shapes[0], dtype=torch.uint8)
        more = [torch.zeros(BATCH, dtype=torch.int64)] if len(shapes) == 2 else []
        record = run(whole.eval(), [images, *more])
        try:
            names = [f"head{index}" for index in range(len(outputs))]
            return record, *code_of(fold(lower(record, ("images", "numbers")[: 1 + len(more)], names)))
        except ModelError as fault:
            return record, {}, str(fault)
    reason = "C code takes an image, and perhaps a digit, and gives classes"
    return run(module, inputs_for(shapes)), {}, reason


def exportable(shapes: Sequence[Shape], outputs: Sequence[Tensor]) -> bool:
    """Return True if the inputs and outputs are those of C code: an image, perhaps a digit; classes."""
    plain = len(shapes[0]) == 3 and [tuple(shape) for shape in shapes[1:]] in ([], [(10,)])
    return plain and all(one.dim() == 2 for one in outputs)


def run(module: nn.Module, inputs: Sequence[Tensor]) -> Record:
    """Return the record of one pass that computes shapes only."""
    recorder = OutlineRecorder(module, distinct=True)
    recorder.run(inputs)
    return recorder.record


def inputs_for(shapes: Sequence[Shape]) -> list[Tensor]:
    """Return two blank examples of each input."""
    return [torch.zeros(BATCH, *shape) for shape in shapes]


def code_of(graph: StepGraph) -> tuple[dict[str, CodeSize], str]:
    """Return the sizes of the C code of a folded graph by form, and the reason why a form is missing."""
    body = write_float(graph, Count)
    found = {"float": CodeSize(body.ram, body.flash)}
    try:
        check_int8(graph)
        body = write_int8(in_bytes(graph), Count)
    except ModelError as fault:
        return found, str(fault)
    return {"int8": CodeSize(body.ram, body.flash), **found}, ""


def in_bytes(graph: StepGraph) -> Quantised:
    """Return the graph as it is quantised, with grids and kernels of the right shapes and no values."""
    graph, on_bytes = with_crossings(graph)
    kernels = {step.output: blank_kernel(step.layer) for step in graph.steps if isinstance(step.layer, Conv)}
    return Quantised(graph, dict.fromkeys(on_bytes, UNIT), kernels)


def blank_kernel(conv: Conv) -> Kernel:
    """Return a quantised kernel without values."""
    outputs = len(conv.bias)
    ones = np.ones(outputs, np.float32)
    return Kernel(np.broadcast_to(np.int8(0), conv.weight.shape), ones, ones)
