"""A compiled network: its library, its buffers, and its passes over batches of images."""

from __future__ import annotations

import ctypes
import math
import weakref
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from featherweight.graph.lowering.reading import plain
from featherweight.training.compiled.program import Program
from featherweight.training.compiled.stages import Input, Stage
from featherweight.training.compiled.structs import address

SLICE = 32      # images of the longest slice: more threads than slices would have nothing to do

Pointer = ctypes.c_void_p


class CompiledNetwork:
    """Forward and backward passes of one network by its compiled C. Weights and gradients stay tensors of torch."""

    def __init__(self, program: Program, largest: int, threads: int, *, training: bool = True) -> None:
        """largest: number of images of the largest batch. training: False for forward passes in evaluation mode only.

        Raises MemoryError if the buffers do not fit.
        """
        self.plan, self.library, self.largest, self.training = program.plan, program.library, largest, training
        plan, library = program.plan, program.library
        library.create.restype = Pointer
        handle = library.create(largest, max(1, min(threads, math.ceil(largest / SLICE))), int(training))
        if not handle:
            raise MemoryError("no memory for the buffers of a compiled network")
        self.handle, self.threads = Pointer(handle), int(library.threads_of(Pointer(handle)))
        library.share.restype = ctypes.c_int64
        weakref.finalize(self, library.destroy, self.handle)
        self.classes = [plan.stages[index].shape[0] for index in plan.heads]
        self.trained = [tensor for stage in plan.stages for tensor in stage.trained]
        self.shapes = [stage.shape for stage in plan.stages if isinstance(stage.made, Input)]
        self.bind()

    def bind(self) -> None:
        """Give the C the addresses of the network's tensors. Parameters without a gradient get one of zeros."""
        for tensor in self.trained if self.training else []:
            if tensor.grad is None:
                tensor.grad = torch.zeros_like(tensor)
        self.tensors = [tensor for stage in self.plan.stages for tensor in tensors_of(stage)]   # their memory must stay
        self.library.bind_tensors(self.handle, addresses(self.tensors))
        self.bound = self.current()

    def current(self) -> list[int]:
        """Return the addresses of the parameters and of their gradients, which other code may replace."""
        return [address(one) for tensor in self.trained for one in (tensor, tensor.grad)]

    def forward(self, inputs: Sequence[Tensor], *, key: int, training: bool = True) -> tuple[Tensor, ...]:
        """Return the outputs of each head, float32 (N, classes).

        inputs: float32 (N, ...), contiguous. key: of the random numbers of dropout, 32 bits.
        Raises ValueError if an input has another shape or type, or if there are more than `largest` images.
        """
        count = len(inputs[0])
        self.check(inputs, count)
        if training and self.bound != self.current():
            self.bind()
        heads = tuple(torch.empty(count, classes) for classes in self.classes)
        self.library.forward(
            self.handle, count, int(training), ctypes.c_uint32(key), addresses(inputs), addresses(heads))
        return heads

    def share(
        self, piece: Any, first: ctypes.Structure, second: ctypes.Structure, count: int, scratch: Tensor
    ) -> int:
        """Call a function of another library for parts of `count` images on all threads.

        piece: (first, second, begin, end, memory), the images from `begin` to before `end`. scratch: uint8
        (threads, bytes), its memory. Return -1, or the smallest image that `piece` returned.
        """
        return int(self.library.share(
            self.handle, piece, ctypes.byref(first), ctypes.byref(second), ctypes.c_int64(count),
            Pointer(scratch.data_ptr()), ctypes.c_int64(scratch.shape[1])))

    def check(self, inputs: Sequence[Tensor], count: int) -> None:
        """Raise ValueError unless C can read the inputs: it does not look at shapes."""
        for value, shape in zip(inputs, self.shapes, strict=True):
            fits = value.is_contiguous() and value.dtype == torch.float32 and len(value) == count <= self.largest
            if not fits or plain(value.shape[1:]) != shape:
                raise ValueError(f"{value.dtype} {tuple(value.shape)}: needed is float32 (N, *{shape}), contiguous, "
                                 f"N at most {self.largest}")

    def backward(self, gradients: Sequence[Tensor]) -> None:
        """Set the gradients of all parameters. gradients: of the loss at each head, float32 (N, classes)."""
        ready = [one.contiguous() for one in gradients]
        self.library.backward(self.handle, addresses(ready))


def tensors_of(stage: Stage) -> list[Tensor | None]:
    """Return the tensors of a stage and their gradients, in the order of the C struct Parameters."""
    gradients = (None if one is None or not one.requires_grad else one.grad for one in stage.trainable)
    return [*stage.trainable, *stage.statistics, *gradients]


def addresses(tensors: Sequence[Tensor | None]) -> ctypes.Array[Pointer]:
    """Return a C array of the addresses of tensors, NULL for None."""
    return (Pointer * len(tensors))(*map(address, tensors))
