"""Whether a network, a task and a data set belong together, asked before anything is trained or written."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from featherweight.data import Dataset
from featherweight.errors import ModelError
from featherweight.tasks import Outputs, Task, as_heads
from featherweight.training.step import evaluating


def check_fit(model: nn.Module, task: Task, dataset: Dataset) -> list[str]:
    """Return what a person should know of the network before it is trained, a sentence each.

    Raises ModelError, one line, if the network does not run on the data or its heads are not the task's.
    """
    if not any(parameter.requires_grad for parameter in model.parameters()):
        raise ModelError("the network has no parameters to train.")
    outputs = as_heads(try_out(model, task, dataset))
    if len(outputs) != len(task.heads):
        raise ModelError(f"the network has {len(outputs)} outputs, but task {task.name!r} has the heads {task.heads}.")
    for head, output, classes in zip(task.heads, outputs, needed_classes(task, dataset), strict=True):
        if not answers_two(output, classes):
            given = f"{tuple(output.shape)} of {output.dtype}" if isinstance(output, Tensor) else type(output)
            raise ModelError(
                f"head {head!r} gives {given} for two images of {dataset.name}; "
                f"needed are floating-point numbers of shape (2, {classes})."
            )
    return []


def answers_two(output: Any, classes: int) -> bool:
    """Whether this is a floating-point tensor (2, classes) or wider."""
    fits = isinstance(output, Tensor) and output.is_floating_point() and output.dim() == 2
    return fits and len(output) == 2 and output.shape[1] >= classes


@torch.no_grad()
def try_out(model: nn.Module, task: Task, dataset: Dataset) -> Outputs:
    """The outputs for two training images; whatever the network raises becomes one line."""
    device = next(model.parameters()).device
    images = dataset.train.images[:2].float().to(device)
    question = task.ask(dataset.train.labels[:2], torch.Generator())
    try:
        with evaluating(model):
            outputs: Outputs = model(images, *(value.to(device) for value in question.inputs))
    except Exception as fault:  # a network of a user's own may raise anything
        reason = " ".join(f"{type(fault).__name__}: {fault}".split())
        raise ModelError(
            f"the network does not run on {tuple(images.shape[1:])} images of {dataset.name} "
            f"for task {task.name!r}: {reason}"
        ) from fault
    return outputs


def needed_classes(task: Task, dataset: Dataset) -> list[int]:
    """How many classes each head must tell apart: the largest target that an evaluation asks for, and one."""
    labels = torch.arange(len(dataset.classes))
    largest = [[int(target.max()) for target in question.targets] for question in task.ask_all(labels)]
    return [max(heads) + 1 for heads in zip(*largest, strict=True)]
