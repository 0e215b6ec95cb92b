"""The training loss in C: its gradient, its sum and the number of right predictions, in one pass over the outputs."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence

import torch
from torch import Tensor

from featherweight.codegen.library import load
from featherweight.tasks import Loss, TaskBatch
from featherweight.training.compiled.source import c_file
from featherweight.training.compiled.structs import address
from featherweight.training.count import Count


class Head(ctypes.Structure):
    """struct head of loss.c."""

    _fields_ = (
        *((name, ctypes.c_void_p) for name in ("outputs", "targets", "soft", "weights")),
        *((name, ctypes.c_int64) for name in ("count", "classes", "soft_classes")),
        *((name, ctypes.c_double) for name in ("weight", "temperature")),
        *((name, ctypes.c_void_p) for name in ("gradient", "each", "loss", "right")),
    )


class FusedLoss:
    """The loss of a training on the CPU. count: one replica's, to which losses and right predictions are added.

    Raises NoLibrary if nothing can be compiled here.
    """

    def __init__(self, loss: Loss, count: Count) -> None:
        self.loss, self.count = loss, count
        self.cross_entropy = load("loss", c_file("loss.c")).cross_entropy
        self.cross_entropy.argtypes, self.cross_entropy.restype = [ctypes.c_void_p, ctypes.c_void_p], None

    def __call__(self, outputs: Sequence[Tensor], batch: TaskBatch, each: Tensor | None = None) -> list[Tensor]:
        """Return the gradient of the mean loss at the outputs, float32 (N, classes) for each head.

        outputs: float32 (N, classes) for each head, contiguous. each: zeros (N,), to which the loss of each image is
        added.
        """
        gradients = [torch.empty_like(head) for head in outputs]
        soft: Sequence[Tensor | None] = [one.contiguous() for one in batch.soft] or [None] * len(outputs)
        targets = [one.contiguous() for one in batch.targets]
        weights = None if batch.weights is None else batch.weights.contiguous()
        for index, head in enumerate(outputs):
            teacher, scratch = soft[index], torch.empty(head.shape[1])
            self.cross_entropy(ctypes.byref(Head(
                head.data_ptr(), targets[index].data_ptr(), address(teacher), address(weights),
                *head.shape, 0 if teacher is None else teacher.shape[1], self.loss.weight, self.loss.temperature,
                gradients[index].data_ptr(), address(each), self.count.loss.data_ptr(),
                self.count.correct[0, index].data_ptr(),
            )), scratch.data_ptr())
        return gradients
