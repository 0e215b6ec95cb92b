"""Forward and backward pass of one training step."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor, nn

from featherweight.devices import autocast
from featherweight.tasks import Loss, Outputs, TaskBatch
from featherweight.training.kernels import NarrowKernels


def make_passes(
    model: nn.Module, loss_of: Loss, *, precision: str, device: torch.device, gradient_clip: float = 0.0
) -> Callable[[Tensor, TaskBatch], tuple[Tensor, Outputs]]:
    """Return the function (images, task_batch) -> (loss, outputs), which also sets the gradients of the parameters.

    precision: "float32" or "bf16", of the forward pass. gradient_clip: largest norm of all gradients; 0 is off.
    """
    narrow: Callable[[], AbstractContextManager[object]] = NarrowKernels if device.type == "cpu" else nullcontext

    def passes(images: Tensor, task_batch: TaskBatch) -> tuple[Tensor, Outputs]:
        model.zero_grad(set_to_none=True)
        with narrow(), autocast(precision, device):
            outputs = model(images, *task_batch.inputs)
        loss = loss_of(outputs, task_batch.targets, task_batch.soft, task_batch.weights)
        loss.backward()  # type: ignore[no-untyped-call]
        if gradient_clip:
            nn.utils.clip_grad_norm_(model.parameters(), gradient_clip)
        return loss.detach(), outputs

    return passes
