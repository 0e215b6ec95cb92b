"""A compiled network: its library, its buffers, and its passes over batches of images."""

from __future__ import annotations

import ctypes
import math
import weakref
from collections.abc import Sequence

import torch
from torch import Tensor

from featherweight.training.compiled.program import Program
from featherweight.training.compiled.stages import Conv, Norm, Stage

SLICE = 32      # images that no processor divides: more threads than slices would have nothing to do

Pointer = ctypes.c_void_p


class CompiledNetwork:
    """Forward and backward passes of one network by its compiled C. Weights and gradients stay tensors of torch."""

    def __init__(self, program: Program, largest: int, threads: int, *, training: bool = True) -> None:
        """largest: number of images of the largest batch. training: False for forward passes in evaluation mode only.

        Raises MemoryError if the buffers do not fit.
        """
        self.plan, self.library, self.largest = program.plan, program.library, largest
        plan, library = program.plan, program.library
        library.create.restype = Pointer
        handle = library.create(largest, max(1, min(threads, math.ceil(largest / SLICE))), int(training))
        if not handle:
            raise MemoryError("no memory for the buffers of a compiled network")
        self.handle = Pointer(handle)
        weakref.finalize(self, library.destroy, self.handle)
        self.classes = [plan.stages[index].shape[0] for index in plan.heads]
        self.trained = [tensor for stage in plan.stages for tensor in trained_tensors(stage)]
        for tensor in self.trained if training else []:
            tensor.grad = torch.zeros_like(tensor)
        self.bound: list[int] = []
        self.bind()

    def bind(self) -> None:
        """Give the C the addresses of the network's tensors, if they changed."""
        pointers = [address(tensor) for stage in self.plan.stages for tensor in tensors_of(stage)]
        if pointers != self.bound:
            self.bound = pointers
            self.library.bind_tensors(self.handle, (Pointer * len(pointers))(*pointers))

    def forward(self, inputs: Sequence[Tensor], *, key: int, training: bool = True) -> tuple[Tensor, ...]:
        """Return the outputs of each head, float32 (N, classes).

        inputs: float32 (N, ...), contiguous. key: of the random numbers of dropout, 32 bits.
        """
        count = len(inputs[0])
        heads = tuple(torch.empty(count, classes) for classes in self.classes)
        self.library.forward(
            self.handle, count, int(training), ctypes.c_uint32(key), addresses(inputs), addresses(heads))
        return heads

    def backward(self, gradients: Sequence[Tensor]) -> None:
        """Set the gradients of all parameters. gradients: of the loss at each head, float32 (N, classes)."""
        ready = [one.contiguous() for one in gradients]
        self.library.backward(self.handle, addresses(ready))


def tensors_of(stage: Stage) -> list[Tensor | None]:
    """Return the tensors of a stage and their gradients, in the order of the C struct Parameters."""
    weight, bias = (stage.made.weight, stage.made.bias) if isinstance(stage.made, Conv) else (None, None)
    gain, shift, *statistics = tensors_of_norm(stage.norm)
    own = [weight, bias, gain, shift]
    return [*own, *statistics, *(None if one is None or not one.requires_grad else one.grad for one in own)]


def tensors_of_norm(norm: Norm | None) -> tuple[Tensor | None, ...]:
    """Return gain, shift, mean, variance and number of batches of a normalisation, or None for each."""
    return (None,) * 5 if norm is None else (norm.gain, norm.shift, norm.mean, norm.variance, norm.batches)


def trained_tensors(stage: Stage) -> list[Tensor]:
    """Return the parameters of a stage that are trained."""
    return [tensor for tensor in tensors_of(stage)[:4] if tensor is not None and tensor.requires_grad]


def address(tensor: Tensor | None) -> int:
    """Return the address of a tensor's numbers, or 0 for None."""
    return 0 if tensor is None else tensor.data_ptr()


def addresses(tensors: Sequence[Tensor]) -> ctypes.Array[Pointer]:
    """Return a C array of the addresses of float32 tensors."""
    return (Pointer * len(tensors))(*(tensor.data_ptr() for tensor in tensors))
