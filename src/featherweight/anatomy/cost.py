"""Costs of a network: multiply-accumulates per image, bytes of each output, megabytes in total."""

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

# Matrix products: index of the argument whose last axis is summed over.
_SHARED_AXIS = {"matmul": 0, "rmatmul": 0, "mm": 0, "bmm": 0, "mv": 0, "dot": 0, "addmm": 1, "baddbmm": 1}


def macs(name: str, args: Sequence[Any], kwargs: Mapping[str, Any], outputs: Sequence[Tensor]) -> int:
    """Return the multiply-accumulates of one call for the whole batch. Biases and unknown functions count 0."""
    tensors = list(calls.tensors_in((args, kwargs)))
    if name in calls.CONVOLUTIONS or name == "linear":
        return outputs[0].numel() * math.prod(tensors[1].shape[1:])
    if name in calls.TRANSPOSED:    # every input unit is multiplied by the whole kernel
        return tensors[0].numel() * math.prod(tensors[1].shape[1:])
    if name in _SHARED_AXIS:
        return outputs[0].numel() * tensors[_SHARED_AXIS[name]].shape[-1]
    if name == "einsum" and isinstance(args[0], str):
        return _einsum(args[0], tensors)
    return _attention(name, tensors)


def _einsum(equation: str, tensors: Sequence[Tensor]) -> int:
    """Return the multiply-accumulates of einsum: the product of all index lengths, times (operands - 1).

    Returns 0 for an equation with an ellipsis or with one operand.
    """
    terms = equation.replace(" ", "").split("->")[0].split(",")
    if "." in equation or len(tensors) < 2 or len(terms) != len(tensors):
        return 0
    lengths = dict(zip("".join(terms), (n for tensor in tensors for n in tensor.shape), strict=True))
    return math.prod(lengths.values()) * (len(tensors) - 1)


def _attention(name: str, tensors: Sequence[Tensor]) -> int:
    """Return the multiply-accumulates of attention: scores and weighted sum; 0 for other functions.

    For multi-head attention, on (L, N, E), the four projections are counted as well.
    """
    if name == "scaled_dot_product_attention":
        query, key, value = tensors[:3]
        return query[..., 0].numel() * key.shape[-2] * (query.shape[-1] + value.shape[-1])
    if name == "multi_head_attention_forward":
        query, key = tensors[:2]
        queries, keys, width = query[..., 0].numel(), key[..., 0].numel(), query.shape[-1]
        return 2 * (queries + keys) * width**2 + 2 * queries * key.shape[0] * width
    return 0


class ScriptedMacs(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counter of the multiply-accumulates in a scripted module, in which no torch function calls can be seen."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.total = 0

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = function(*args, **(kwargs or {}))
        flops = flop_registry.get(function._overloadpacket)
        self.total += flops(*args, **(kwargs or {}), out_val=result) // 2 if flops else 0
        return result


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
