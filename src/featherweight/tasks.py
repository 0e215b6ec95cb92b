"""Tasks of a network: its inputs, output heads, targets and loss. Training and evaluation use them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from featherweight.errors import ModelError, UnknownName
from featherweight.user_code import unwarned

Outputs = Tensor | tuple[Tensor, ...]


@dataclass(frozen=True)
class TaskBatch:
    """Further inputs of the network for a batch of N images, and the target of each head."""

    inputs: tuple[Tensor, ...]          # without the images, each (N, ...)
    targets: tuple[Tensor, ...]         # int64 (N,), one for each head
    soft: tuple[Tensor, ...] = ()       # soft labels (N, classes), one for each head; empty without a teacher
    weights: Tensor | None = None       # float32 (N,), weight of the loss of each image; None: all are 1


class Task(Protocol):
    """A task: turns the labels of a data set into inputs and targets of a network.

    none: True if the last class is "none", the class of drawn marks. It is learnt, but no test image belongs to it.
    """

    name: str
    heads: tuple[str, ...]
    none: bool

    def training_batch(self, labels: Tensor, generator: torch.Generator, soft: Tensor | None = None) -> TaskBatch:
        """Return the task_batch of a training batch. Random inputs are drawn from the generator.

        labels: int64 (N,). soft: soft labels of a teacher, (N, classes).
        """

    def evaluation_batches(self, labels: Tensor) -> Iterator[TaskBatch]:
        """Yield all task_batches of an evaluation. labels: int64 (N,)."""

    def fixed_batch(self, labels: Tensor) -> TaskBatch:
        """Return a task_batch that is always the same for the same labels, int64 (N,)."""


class ClassificationTask:
    """The task with an image as input and a class as output."""

    name = "classification"
    heads: tuple[str, ...] = ("class",)

    def __init__(self, none: bool = False) -> None:
        self.none = none

    def training_batch(self, labels: Tensor, generator: torch.Generator, soft: Tensor | None = None) -> TaskBatch:
        return TaskBatch((), (labels,), () if soft is None else (soft,))

    def evaluation_batches(self, labels: Tensor) -> Iterator[TaskBatch]:
        yield self.fixed_batch(labels)

    def fixed_batch(self, labels: Tensor) -> TaskBatch:
        return TaskBatch((), (labels,))


class DigitSumTask:
    """The task with a digit image and a number 0..9 as inputs. Outputs: digit, digit + number. Source: document 004."""

    name = "digit-sum"
    heads: tuple[str, ...] = ("digit", "sum")
    none = False

    def training_batch(self, labels: Tensor, generator: torch.Generator, soft: Tensor | None = None) -> TaskBatch:
        numbers = torch.randint(10, labels.shape, generator=generator, device=labels.device)
        task_batch = self.with_numbers(labels, numbers)
        return task_batch if soft is None else replace(task_batch, soft=(soft, shifted(soft, numbers)))

    def evaluation_batches(self, labels: Tensor) -> Iterator[TaskBatch]:
        for number in range(10):
            yield self.with_numbers(labels, torch.full_like(labels, number))

    def fixed_batch(self, labels: Tensor) -> TaskBatch:
        return self.with_numbers(labels, torch.arange(len(labels), device=labels.device) % 10)

    @staticmethod
    def with_numbers(labels: Tensor, numbers: Tensor) -> TaskBatch:
        """Return the task_batch for these digits and numbers, both int64 (N,)."""
        return TaskBatch((F.one_hot(numbers, 10).float(),), (labels, labels + numbers))


TASKS: dict[str, type[ClassificationTask] | type[DigitSumTask]] = {
    task.name: task for task in (ClassificationTask, DigitSumTask)
}


def build_task(name: str, *, none: bool = False) -> Task:
    """Return the task of this name. Raises UnknownName if it does not exist.

    none: the last class is "none", for classification only.
    """
    if name not in TASKS:
        raise UnknownName("task", name, TASKS)
    return ClassificationTask(none) if name == ClassificationTask.name else TASKS[name]()


def as_heads(outputs: Outputs) -> tuple[Tensor, ...]:
    """Return the outputs of a network as a tuple of one tensor per head."""
    return outputs if isinstance(outputs, tuple) else (outputs,)


def heads_of(outputs: Outputs, count: int) -> tuple[Tensor, ...]:
    """Return a network's outputs for `count` images as one tensor (count, classes) per head.

    squeeze() drops the batch axis of a single image: (classes,) becomes (1, classes) again.
    Raises ModelError if a head has a different number of rows.
    """
    heads = tuple(head[None] if head.dim() == 1 and count == 1 else head for head in as_heads(outputs))
    for head in heads:
        if head.dim() != 2 or len(head) != count:
            raise ModelError(f"the network gives {tuple(head.shape)} for {count} images, needed is ({count}, classes). "
                             "Keep the batch axis: flatten with x.flatten(1).")
    return heads


def run_network(network: nn.Module, *inputs: Tensor) -> tuple[Tensor, ...]:
    """Return a network's outputs for a batch, (N, classes) per head. inputs: (N, ...) each, the images first.

    If the network fails on a single image because squeeze() drops the batch axis, it runs on two equal images.
    Raises ModelError if batch normalisation needs statistics of more than one image.
    """
    count = len(inputs[0])
    try:
        with unwarned():
            return heads_of(network(*inputs), count)
    except (IndexError, RuntimeError, ValueError) as fault:
        if count != 1:
            raise
        if "more than 1 value per channel" in str(fault):
            raise ModelError(
                "the network cannot answer one image alone: a normalisation takes its statistics from the batch. "
                "Train it with track_running_stats=True, the default of BatchNorm."
            ) from fault
    pair = heads_of(network(*(torch.cat([value, value]) for value in inputs)), 2)
    return tuple(head[:1] for head in pair)


def shifted(soft: Tensor, numbers: Tensor) -> Tensor:
    """Return soft labels of sums, (N, classes + 9), for those of digits, (N, classes): P(sum = d + n) = P(digit = d).

    numbers: n, int64 (N,), 0..9.
    """
    count, classes = soft.shape
    places = numbers[:, None] + torch.arange(classes, device=soft.device)       # (N, classes)
    return soft.new_zeros(count, classes + 9).scatter(1, places, soft)


@dataclass(frozen=True)
class Loss:
    """The training loss: cross-entropy with the labels, and with the soft labels of a teacher if there are any.

    With weights, the loss of each image is multiplied by its weight, and the mean is still over the number of images.

    Accepts logits and log-probabilities, because log_softmax does not change log-probabilities.
    Source: Hinton et al. (2015), Distilling the Knowledge in a Neural Network, section 2.
    """

    weight: float = 0.0             # part of the loss that follows the teacher, 0..1
    temperature: float = 1.0        # divides the outputs, as it divided the outputs of the teacher

    def __call__(
        self, outputs: Outputs, targets: tuple[Tensor, ...], soft: tuple[Tensor, ...] = (),
        weights: Tensor | None = None,
    ) -> Tensor:
        """Return the sum over heads of the mean over images, a float32 scalar. weights: of the images, (N,)."""
        if weights is None:
            return self.over_heads(outputs, targets, soft, "mean")
        return (self.over_heads(outputs, targets, soft, "none") * weights).mean()

    @torch.no_grad()
    def each(
        self, outputs: Outputs, targets: tuple[Tensor, ...], soft: tuple[Tensor, ...] = (),
        weights: Tensor | None = None,
    ) -> Tensor:
        """Return the loss of each image, summed over heads, (N,). weights: of the images, (N,)."""
        losses = self.over_heads(outputs, targets, soft, "none")
        return losses if weights is None else losses * weights

    def over_heads(
        self, outputs: Outputs, targets: tuple[Tensor, ...], soft: tuple[Tensor, ...], reduction: str
    ) -> Tensor:
        """Return the sum over heads: (N,) with reduction "none", the mean over images with "mean"."""
        answers = zip(as_heads(outputs), targets, soft or [None] * len(targets), strict=True)
        return torch.stack([self.of_head(*each, reduction=reduction) for each in answers]).sum(dim=0)

    def of_head(self, output: Tensor, target: Tensor, soft: Tensor | None, reduction: str) -> Tensor:
        """Return the loss of a head, (N,) or the mean. output: (N, C), target: int64 (N,), soft: (N, C or fewer)."""
        output = output.float()
        hard = F.cross_entropy(output, target, reduction=reduction)
        if soft is None:
            return hard
        logs = F.log_softmax(output / self.temperature, dim=1)[:, : soft.shape[1]]      # a head may have more outputs
        followed = -(soft * logs).sum(dim=1)
        followed = followed.mean() if reduction == "mean" else followed
        # the gradients of the soft part shrink with 1 / temperature^2; the factor restores its weight
        return (1 - self.weight) * hard + self.weight * self.temperature**2 * followed


loss_of = Loss()    # without a teacher
