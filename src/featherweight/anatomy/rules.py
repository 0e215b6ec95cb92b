"""Receptive fields by rule: the field of a torch function's result, from the fields of its arguments.

A function without a rule gives None. From there on, the receptive field has no meaning.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from featherweight.anatomy.call import FieldCall, lies_along
from featherweight.anatomy.geometry import Axis, Field, chain, drop_dims, join, union
from featherweight.anatomy.moves import moved
from featherweight.anatomy.resampling import resampled, shuffled, unshuffled
from featherweight.anatomy.sliding import adaptive_pool, convolution, pad, pool, transposed, unfolded
from featherweight.graph import Call, Value, calls
from featherweight.graph.record import values_in


def propagate(recorded: Call, fields: Mapping[Value, Field | None]) -> list[Field | None]:
    """Return the field of each output, or None if a source's field or the function is unknown.

    fields: of all values before this call.
    """
    sources = [(value, fields[value]) for value in recorded.sources]
    call = FieldCall(recorded.operation, recorded.function, recorded.args, recorded.kwargs, recorded.outputs, sources)
    if any(field is None for _, field in sources):
        return [None] * len(call.outputs)
    try:
        if call.name in calls.MOVES:
            return moved(call)
        rule = RULES.get(call.name)
        return [rule(call) if rule else None] * len(call.outputs)
    except (LookupError, TypeError, ValueError, RuntimeError):
        # A call with unexpected arguments counts as an unknown function.
        return [None] * len(call.outputs)


def _same_place(call: FieldCall) -> Field | None:
    """Return the field after units at the same position are mixed, as in an addition.

    The tensors are aligned at their last axes, as in broadcasting.
    """
    shape = call.outputs[0].shape
    aligned = []
    for value, field in call.sources:
        assert field is not None
        shift = len(shape) - value.dim()
        aligned.append(Field(field.source, tuple(_stretched(axis, shift, shape) for axis in field.axes)))
    return join(aligned)


def _stretched(axis: Axis, shift: int, shape: Sequence[int]) -> Axis:
    if axis.dim is None:
        return axis
    if axis.jump is not None and len(axis.seen) == 1 and shape[axis.dim + shift] > 1:
        return union(axis)
    return replace(axis, dim=axis.dim + shift)


def _one_place(call: FieldCall) -> Field | None:
    """Return the field of the first argument.

    If several arguments depend on an input, as is possible in normalisation, their fields are joined.
    """
    return call.first[1] if len(call.sources) == 1 else _same_place(call)


def _reduction(call: FieldCall) -> Field | None:
    value, field = call.first
    if len(call.args) > 1 and isinstance(call.args[1], Value):     # torch.max(a, b)
        return _same_place(call)
    given = call.arguments()
    dim = given.get("dim", given.get("axis"))
    dims = range(value.dim()) if dim is None else calls.per_axis(dim, 1)
    return drop_dims(field, {d % max(value.dim(), 1) for d in dims}, bool(given.get("keepdim", False)))


def _last_axis_mixed(call: FieldCall) -> Field | None:
    """Return the field after Linear, or after x @ W with constant W."""
    value, field = call.first
    position = 1 if call.name == "addmm" else 0
    others = [other for i, other in enumerate(values_in(call.args)) if i > position]
    if len(call.sources) > 1 or call.args[position] is not value:
        return None
    if call.name in ("matmul", "mm") and others[0].dim() > 2:
        return None
    return drop_dims(field, {value.dim() - 1}, keep=True)


def _cat(call: FieldCall) -> Field | None:
    """Return the field after concatenation.

    Along channels, units at the same position are mixed. Along an image axis, units follow one another.
    """
    value, _ = call.first
    given = call.arguments()
    dim = given.get("dim", given.get("axis", 0)) % value.dim()
    fields = [field for _, field in call.sources if field is not None]
    chained = [k for k, axis in enumerate(fields[0].axes) if any(lies_along(field.axes[k], dim) for field in fields)]
    if not chained:
        return _same_place(call)
    if len({field.source for field in fields}) > 1:
        return None
    (k,) = chained
    known = {id(value): field.axes[k] for value, field in call.sources if field is not None}
    parts = [(known.get(id(part)), part.shape[dim]) for part in values_in(given["tensors"])]
    if any(axis is not None and axis.dim == dim and axis.jump is None for axis, _ in parts):
        return None     # flattened earlier
    others = {field.axes[:k] + field.axes[k + 1 :] for field in fields}
    if len(others) > 1:
        return None     # the parts have different fields along another image axis
    (axes,) = others
    return Field(fields[0].source, (*axes[:k], chain(parts, dim), *axes[k:]))


def _stack(call: FieldCall) -> Field | None:
    dim = call.arguments().get("dim", 0) % call.outputs[0].dim()
    shifted = []
    for _, field in call.sources:
        assert field is not None
        axes = (a if a.dim is None else replace(a, dim=a.dim + (a.dim >= dim)) for a in field.axes)
        shifted.append(Field(field.source, tuple(axes)))
    return join(shifted)


def _overwritten(call: FieldCall) -> Field | None:
    """Return the field of x after x[...] = y: unknown if y depends on an input."""
    target, *_, written = call.args
    value, field = call.first
    return field if value is target and not any(one.dynamic for one in values_in(written)) else None


RULES: dict[str, Callable[[FieldCall], Field | None]] = {
    **dict.fromkeys(calls.ARITHMETIC | calls.WITHOUT_GRADIENT, _same_place),
    **dict.fromkeys(calls.POINTWISE, _one_place),
    **dict.fromkeys(calls.CONVOLUTIONS, convolution),
    **dict.fromkeys(calls.TRANSPOSED, transposed),
    **dict.fromkeys(calls.POOLS, pool),
    **dict.fromkeys(calls.ADAPTIVE_POOLS, adaptive_pool),
    **dict.fromkeys(calls.REDUCTIONS, _reduction),
    **dict.fromkeys(("linear", "matmul", "mm", "addmm"), _last_axis_mixed),
    **dict.fromkeys(("cat", "concat", "concatenate"), _cat),
    "interpolate": resampled,
    "pixel_shuffle": shuffled,
    "pixel_unshuffle": unshuffled,
    "unfold": unfolded,
    "stack": _stack,
    "pad": pad,
    "setitem": _overwritten,
}
