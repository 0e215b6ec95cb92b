"""Lowering of a record to plain layers: a table from the operation to its rule.

An operation that is not in the table is refused by the name of its layer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from math import prod

import numpy as np

from featherweight.errors import ModelError
from featherweight.graph import calls
from featherweight.graph.lowering import arithmetic, layers, moves
from featherweight.graph.lowering.reading import Reading, Steps, plain
from featherweight.graph.plain import Move, StepGraph
from featherweight.graph.record import Record, name_of
from featherweight.wording import option

Rule = Callable[[Reading], None]

LOWERING: dict[str, Rule] = {
    **dict.fromkeys(("conv1d", "conv2d"), layers.convolution),
    **dict.fromkeys(("conv_transpose1d", "conv_transpose2d"), layers.transposed),
    **dict.fromkeys(("max_pool1d", "max_pool2d", "avg_pool1d", "avg_pool2d"), layers.pool),
    **dict.fromkeys((f"adaptive_{kind}_pool{n}d" for kind in ("avg", "max") for n in (1, 2)), layers.adaptive_pool),
    **dict.fromkeys(("mean", "sum", "amax", "max"), layers.reduction),
    **dict.fromkeys(("matmul", "mm", "addmm"), layers.product),
    "linear": layers.linear,
    "batch_norm": layers.batch_norm, "group_norm": layers.group_norm, "layer_norm": layers.layer_norm,
    "instance_norm": layers.instance_norm,
    "softmax": layers.softmax, "log_softmax": layers.softmax, "one_hot": layers.one_hot, "prelu": layers.prelu,
    "relu": arithmetic.relu, "gelu": arithmetic.gelu, "pow": arithmetic.power,
    **{name: arithmetic.named(name) for name in (
        "sigmoid", "tanh", "silu", "hardswish", "hardsigmoid", "square", "sqrt", "abs", "softplus", "mish",
    )},
    "leaky_relu": arithmetic.with_number("negative_slope", 0.01), "elu": arithmetic.with_number("alpha", 1.0),
    **dict.fromkeys(("relu6", "hardtanh", "clamp", "clip", "clamp_min", "clamp_max"), arithmetic.clip),
    **dict.fromkeys(("add", "radd", "iadd"), arithmetic.add),
    **dict.fromkeys(("sub", "subtract", "rsub", "isub"), arithmetic.subtract),
    **dict.fromkeys(("mul", "multiply", "rmul", "imul"), arithmetic.multiply),
    **dict.fromkeys(
        ("div", "divide", "true_divide", "truediv", "itruediv", "idiv", "rdiv", "rtruediv"), arithmetic.divide),
    **dict.fromkeys(("neg", "negative"), arithmetic.negative),
    **dict.fromkeys(calls.DROPOUTS, arithmetic.dropout),
    **dict.fromkeys(("contiguous", "clone", "detach", "to", "float", "double", "half", "bfloat16", "type", "type_as",
                     "cpu", "cuda", "data"), arithmetic.same),
    **dict.fromkeys(calls.MOVES, moves.moved),
    **dict.fromkeys(("pixel_shuffle", "pixel_unshuffle"), moves.moved),
    **dict.fromkeys(("cat", "concat", "concatenate", "stack"), moves.joined),
    "pad": moves.pad, "interpolate": moves.interpolate,
}


# Operations without an exact rule in integers; of `interpolate`, only the nearest value has one.
FLOAT_ONLY = frozenset({"group_norm", "instance_norm", "layer_norm"})


def lower(record: Record, inputs: Sequence[str], heads: Sequence[str]) -> StepGraph:
    """Return the layers of a record in their order. Calls on which no output depends are left out.

    inputs, heads: names of the network's inputs and outputs.
    Raises ModelError for the first call that is not supported, in one line that names its layer.
    """
    if record.branches:
        where = name_of(record.branches[0])
        raise ModelError(f"forward{f' of {where}' if where else ''} reads a value of the image as a Python number, as "
                         f"an if does, and C and int8 cannot. Change the network, or give {option('to', 'onnx')}.")
    steps = Steps(record, {*inputs, *heads})
    for name, value in zip(inputs, record.inputs, strict=True):
        steps.names[value], steps.shapes[name] = name, plain(value.shape[1:])
    for call in record.needed():
        reading = Reading(steps, call)
        reading.require(not call.aliased, "on a tensor that was overwritten through another view of its memory")
        reading.require(call.operation in LOWERING, "")
        reading.require(all(value in steps.names for value in call.sources), "of places")
        LOWERING[call.operation](reading)
    return with_heads(steps, heads)


def with_heads(steps: Steps, heads: Sequence[str]) -> StepGraph:
    """Return the graph, with the values of the outputs renamed to the heads."""
    renamed: dict[str, str] = {}
    for value, head in zip(steps.record.outputs, heads, strict=True):
        name = steps.names[value]
        if name in renamed:         # two heads with one value
            name = steps.add(Move(np.arange(prod(steps.shapes[name]))), (name,), steps.shapes[name], head)
        renamed[name] = head
    made = tuple(
        replace(step, inputs=tuple(renamed.get(name, name) for name in step.inputs),
                output=renamed.get(step.output, step.output))
        for step in steps.steps)
    return StepGraph(made, {renamed.get(name, name): shape for name, shape in steps.shapes.items()}, tuple(heads))
