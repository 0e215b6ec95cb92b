"""Calls between a value and the layer with weights that it comes from."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from featherweight.doctor.probe.subject import Subject
from featherweight.graph import Call, Value, calls

ZEROING = {"relu", "relu6", "threshold", "hardtanh"}
BOUNDED = {"sigmoid", "tanh", "hardsigmoid", "hardswish", "elu", "leaky_relu", "prelu", "gelu", "silu", "mish", "selu"}
WEIGHTED = calls.CONVOLUTIONS | {"linear", "matmul", "addmm", "bilinear"}
POOLING = calls.POOLS | calls.ADAPTIVE_POOLS | {"mean", "amax", "max"}
PASSED = ZEROING | BOUNDED | POOLING | calls.MOVES | calls.DROPOUTS | {
    "softmax", "log_softmax", "batch_norm", "contiguous", "clone", "to", "float"}


@dataclass(frozen=True)
class Trail:
    """Calls from a value back to the first layer with weights, the value's own call first.

    weighted: that layer's call, or None if another kind of call comes before.
    """

    calls: tuple[Call, ...]
    weighted: Call | None


def trail_of(subject: Subject, value: Value) -> Trail:
    """Return the trail of a value. It ends at the first call of several images' values or of an unknown kind."""
    passed: list[Call] = []
    while (call := subject.makers.get(value)) is not None:
        if call.operation in WEIGHTED:
            return Trail(tuple(passed), call)
        if call.operation not in PASSED or len(call.sources) != 1:
            break
        passed.append(call)
        value = call.sources[0]
    return Trail(tuple(passed), None)


def walk(subject: Subject, value: Value, passed: Collection[str]) -> tuple[tuple[Call, ...], Value]:
    """Return (calls, value before them): the calls of these operations with one source that lead to `value`.

    The value's own call is the first.
    """
    found: list[Call] = []
    while (call := subject.makers.get(value)) is not None and call.operation in passed and len(call.sources) == 1:
        found.append(call)
        value = call.sources[0]
    return tuple(found), value


def path_of(call: Call) -> str:
    """Return the name of the layer that called the function, or of the module around it; "" for the network itself."""
    return call.layer.path if call.layer is not None else call.path


def words_for(call: Call) -> str:
    """Return a call in words: "relu1 (ReLU)" for a layer, "relu" for a function."""
    return f"{call.layer.path} ({call.layer.kind})" if call.layer is not None and call.layer.path else call.operation
