"""Costs of a network: multiply-accumulates per image, bytes of each output, megabytes in total."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from featherweight.graph import Call, Value, calls
from featherweight.graph.calls import Shape
from featherweight.graph.record import values_in

FLOAT32_BYTES = 4
MEBIBYTE = 2**20

# Matrix products: index of the argument whose last axis is summed over.
_SHARED_AXIS = {"matmul": 0, "rmatmul": 0, "mm": 0, "bmm": 0, "mv": 0, "dot": 0, "addmm": 1, "baddbmm": 1}


def macs(call: Call) -> int:
    """Return the multiply-accumulates of one call for the whole batch. Biases and unknown functions count 0."""
    rule = MACS.get(call.operation)
    return rule(call, list(values_in((call.args, call.kwargs)))) if rule else 0


def _by_output(call: Call, given: Sequence[Value]) -> int:
    """Return the cost of a convolution or linear layer: each output unit sums over its weights."""
    return math.prod(call.outputs[0].shape) * math.prod(given[1].shape[1:])


def _by_input(call: Call, given: Sequence[Value]) -> int:
    """Return the cost of a transposed convolution: every input unit is multiplied by the whole kernel."""
    return math.prod(given[0].shape) * math.prod(given[1].shape[1:])


def _product(call: Call, given: Sequence[Value]) -> int:
    """Return the cost of a matrix product."""
    return math.prod(call.outputs[0].shape) * given[_SHARED_AXIS[call.operation]].shape[-1]


def _einsum(call: Call, given: Sequence[Value]) -> int:
    """Return the cost of einsum: the product of all index lengths, times (operands - 1).

    Returns 0 for an equation with an ellipsis or with one operand.
    """
    terms = str(call.args[0]).replace(" ", "").split("->")[0].split(",")
    if not isinstance(call.args[0], str) or "." in call.args[0] or len(given) < 2 or len(terms) != len(given):
        return 0
    lengths = dict(zip("".join(terms), (n for value in given for n in value.shape), strict=True))
    return math.prod(lengths.values()) * (len(given) - 1)


def _attention(call: Call, given: Sequence[Value]) -> int:
    """Return the cost of scores and weighted sum."""
    query, key, value = (one.shape for one in given[:3])
    return math.prod(query[:-1]) * key[-2] * (query[-1] + value[-1])


def _multi_head(call: Call, given: Sequence[Value]) -> int:
    """Return the cost of multi-head attention on (L, N, E): scores, weighted sum and the four projections."""
    query, key = (one.shape for one in given[:2])
    queries, keys, width = math.prod(query[:-1]), math.prod(key[:-1]), query[-1]
    return 2 * (queries + keys) * width**2 + 2 * queries * key[0] * width


MACS: dict[str, Callable[[Call, Sequence[Value]], int]] = {
    **dict.fromkeys((*calls.CONVOLUTIONS, "linear"), _by_output),
    **dict.fromkeys(calls.TRANSPOSED, _by_input),
    **dict.fromkeys(_SHARED_AXIS, _product),
    "einsum": _einsum,
    "scaled_dot_product_attention": _attention,
    "multi_head_attention_forward": _multi_head,
}


def activation_bytes(shapes: Sequence[Shape]) -> int:
    """Return the bytes of float32 tensors of these shapes."""
    return FLOAT32_BYTES * sum(math.prod(shape) for shape in shapes)


def sizes_mb(inputs: Sequence[Shape], module_bytes: int, parameters: int) -> dict[str, float]:
    """Return the four sizes that torchsummary prints, in units of 2^20 bytes.

    module_bytes: output bytes of the module rows only. The gradients are assumed to have the same size.
    Source: github.com/sksq96/pytorch-summary, which multiplies the sizes of two inputs. Here they are added.
    """
    sizes = {
        "input": activation_bytes(inputs) / MEBIBYTE,
        "forward_backward": 2 * module_bytes / MEBIBYTE,
        "parameters": FLOAT32_BYTES * parameters / MEBIBYTE,
    }
    return sizes | {"total": sum(sizes.values())}
