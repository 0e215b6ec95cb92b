"""A compiled network: its library, its buffers, and its passes over batches of images."""

from __future__ import annotations

import ctypes
import math
import weakref
from collections.abc import Sequence

import torch
from torch import Tensor

from featherweight.graph.lowering.reading import plain
from featherweight.training.compiled.program import Program
from featherweight.training.compiled.stages import Conv, Input, Norm, Stage

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
        self.shapes = [stage.shape for stage in plan.stages if isinstance(stage.made, Input)]
        self.training = training
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


def addresses(tensors: Sequence[Tensor | None]) -> ctypes.Array[Pointer]:
    """Return a C array of the addresses of tensors, NULL for None."""
    return (Pointer * len(tensors))(*map(address, tensors))
