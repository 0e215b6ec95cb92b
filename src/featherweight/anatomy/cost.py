"""What a layer costs: multiply-accumulates per image, bytes of its output, megabytes of the whole network."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from featherweight.anatomy import calls

FLOAT32_BYTES = 4
MEBIBYTE = 2**20
Shape = tuple[int, ...]

# x @ y: which argument's last axis is the one that is summed over.
_SHARED_AXIS = {"matmul": 0, "rmatmul": 0, "mm": 0, "bmm": 0, "mv": 0, "dot": 0, "addmm": 1, "baddbmm": 1}


def macs(name: str, args: Sequence[Any], kwargs: Mapping[str, Any], outputs: Sequence[Tensor]) -> int:
    """Multiply-accumulates of one call for the whole batch; biases and unknown functions are not counted."""
    tensors = list(calls.tensors_in((args, kwargs)))
    if name in calls.CONVOLUTIONS or name == "linear":
        return outputs[0].numel() * math.prod(tensors[1].shape[1:])
    if name in calls.TRANSPOSED:    # every input unit meets the whole kernel
        return tensors[0].numel() * math.prod(tensors[1].shape[1:])
    if name in _SHARED_AXIS:
        return outputs[0].numel() * tensors[_SHARED_AXIS[name]].shape[-1]
    if name == "einsum" and isinstance(args[0], str):
        return _einsum(args[0], tensors)
    return _attention(name, tensors)


def _einsum(equation: str, tensors: Sequence[Tensor]) -> int:
    """The product of all index lengths; 0 for an equation with an ellipsis or with one operand."""
    terms = equation.replace(" ", "").split("->")[0].split(",")
    if "." in equation or len(tensors) < 2 or len(terms) != len(tensors):
        return 0
    lengths = dict(zip("".join(terms), (n for tensor in tensors for n in tensor.shape), strict=True))
    return math.prod(lengths.values()) * (len(tensors) - 1)


def _attention(name: str, tensors: Sequence[Tensor]) -> int:
    """Scores and weighted sum; multi-head attention on (L, N, E) has its four projections as well."""
    if name == "scaled_dot_product_attention":
        query, key, value = tensors[:3]
        return query[..., 0].numel() * key.shape[-2] * (query.shape[-1] + value.shape[-1])
    if name == "multi_head_attention_forward":
        query, key = tensors[:2]
        queries, keys, width = query[..., 0].numel(), key[..., 0].numel(), query.shape[-1]
        return 2 * (queries + keys) * width**2 + 2 * queries * key.shape[0] * width
    return 0


class ScriptedMacs(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts what a scripted module multiplies while active: torch functions are not seen in there."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.total = 0

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = function(*args, **(kwargs or {}))
        flops = flop_registry.get(function._overloadpacket)
        self.total += flops(*args, **(kwargs or {}), out_val=result) // 2 if flops else 0
        return result


def activation_bytes(shapes: Sequence[Shape]) -> int:
    """Bytes of tensors of these shapes in float32."""
    return FLOAT32_BYTES * sum(math.prod(shape) for shape in shapes)


def sizes_mb(inputs: Sequence[Shape], module_bytes: int, parameters: int) -> dict[str, float]:
    """The four sizes as torchsummary counts them, in units of 2^20 bytes.

    module_bytes are the output bytes of the module rows only; the gradients are taken to be as large.
    Source: github.com/sksq96/pytorch-summary, but two inputs are added there multiplied.
    """
    sizes = {
        "input": activation_bytes(inputs) / MEBIBYTE,
        "forward_backward": 2 * module_bytes / MEBIBYTE,
        "parameters": FLOAT32_BYTES * parameters / MEBIBYTE,
    }
    return sizes | {"total": sum(sizes.values())}
