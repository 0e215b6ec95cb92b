"""The structs of optimize.c, field by field, and the layouts of tensors that C can read as arrays."""

from __future__ import annotations

import ctypes
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor


class NotFused(Exception):
    """Compiled C cannot do the same as torch, so torch must do it. The message says why."""


class Parameter(ctypes.Structure):
    """struct parameter."""

    _fields_ = (
        *((name, ctypes.c_void_p) for name in ("weight", "gradient", "first", "second", "steps")),
        *((name, ctypes.c_int64) for name in ("size", "rows")),
    )


class Group(ctypes.Structure):
    """struct group."""

    _fields_ = (
        *((name, ctypes.c_int32) for name in ("rule", "nesterov", "decoupled")),
        *((name, ctypes.c_double) for name in ("lr", "momentum", "weight_decay", "beta1", "beta2", "eps")),
        ("parameters", ctypes.POINTER(Parameter)),
        ("count", ctypes.c_int64),
    )


class Pair(ctypes.Structure):
    """struct pair."""

    _fields_ = (
        *((name, ctypes.c_void_p) for name in ("average", "current")),
        *((name, ctypes.c_int64) for name in ("size", "counts")),
    )


class Average(ctypes.Structure):
    """struct average."""

    _fields_ = (
        ("updates", ctypes.c_void_p),
        ("decay", ctypes.c_double),
        ("pairs", ctypes.POINTER(Pair)),
        ("count", ctypes.c_int64),
    )


def array(kind: type[ctypes.Structure], items: Iterable[ctypes.Structure]) -> Any:
    """Return the structs as an array in C."""
    found = list(items)
    return (kind * len(found))(*found)


def address(tensor: Tensor | None) -> int:
    """Return the address of a tensor's numbers, or 0 for None."""
    return 0 if tensor is None else tensor.data_ptr()


def is_dense(tensor: Tensor) -> bool:
    """Return True if the tensor is on the CPU without gaps, and its first dimension is the outermost in memory."""
    if tensor.device.type != "cpu" or tensor.layout != torch.strided:
        return False
    return tensor.is_contiguous() or (tensor.dim() == 4 and tensor.is_contiguous(memory_format=torch.channels_last))


def same_layout(one: Tensor, other: Tensor) -> bool:
    """Return True if both are dense, with the same type, shape and order in memory."""
    if not is_dense(one) or not is_dense(other) or one.shape != other.shape or one.dtype != other.dtype:
        return False
    steps = zip(one.shape, one.stride(), other.stride(), strict=True)
    return all(ours == theirs for size, ours, theirs in steps if size > 1)      # a side of 1 may have any stride
