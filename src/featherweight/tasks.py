"""What a network is asked to do: what goes in, the heads that come out, the targets, the loss."""

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
    """What is asked about a batch of images: further inputs beside them, and the right answer of each head."""

    inputs: tuple[Tensor, ...]          # beside the images, each (N, ...)
    targets: tuple[Tensor, ...]         # int64 (N,), one for each head
    soft: tuple[Tensor, ...] = ()       # what a teacher answers, (N, classes), one for each head; empty without one


class Task(Protocol):
    """The contract between a data set's labels and a network's heads."""

    name: str
    heads: tuple[str, ...]

    def training_batch(self, labels: Tensor, generator: torch.Generator, soft: Tensor | None = None) -> TaskBatch:
        """The task_batch of a training batch; what is random in it comes from the generator.

        soft: what a teacher takes the images for, (N, classes).
        """

    def evaluation_batches(self, labels: Tensor) -> Iterator[TaskBatch]:
        """Every task_batch that an evaluation asks about these images."""

    def fixed_batch(self, labels: Tensor) -> TaskBatch:
        """One task_batch about each image, always the same."""


class ClassificationTask:
    """One image in, one class out."""

    name = "classification"
    heads: tuple[str, ...] = ("class",)

    def training_batch(self, labels: Tensor, generator: torch.Generator, soft: Tensor | None = None) -> TaskBatch:
        return TaskBatch((), (labels,), () if soft is None else (soft,))

    def evaluation_batches(self, labels: Tensor) -> Iterator[TaskBatch]:
        yield self.fixed_batch(labels)

    def fixed_batch(self, labels: Tensor) -> TaskBatch:
        return TaskBatch((), (labels,))


class DigitSumTask:
    """An image of a digit and a number 0..9 in; the digit and digit + number out. Source: document 004."""

    name = "digit-sum"
    heads: tuple[str, ...] = ("digit", "sum")

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
        """The task_batch about images of these digits and these numbers, both int64 (N,)."""
        return TaskBatch((F.one_hot(numbers, 10).float(),), (labels, labels + numbers))


TASKS: dict[str, type[ClassificationTask] | type[DigitSumTask]] = {
    task.name: task for task in (ClassificationTask, DigitSumTask)
}


def build_task(name: str) -> Task:
    """The task of this name; UnknownName where there is none."""
    if name not in TASKS:
        raise UnknownName("task", name, TASKS)
    return TASKS[name]()


def as_heads(outputs: Outputs) -> tuple[Tensor, ...]:
    """A network's outputs as one tensor a head."""
    return outputs if isinstance(outputs, tuple) else (outputs,)


def heads_of(outputs: Outputs, count: int) -> tuple[Tensor, ...]:
    """Return a network's outputs for `count` images as one tensor (count, classes) a head.

    squeeze() drops the batch axis of a single image: (classes,) becomes (1, classes) again.
    Raises ModelError where a head has another number of rows.
    """
    heads = tuple(head[None] if head.dim() == 1 and count == 1 else head for head in as_heads(outputs))
    for head in heads:
        if head.dim() != 2 or len(head) != count:
            raise ModelError(f"the network gives {tuple(head.shape)} for {count} images, needed is ({count}, classes). "
                             "Keep the batch axis: flatten with x.flatten(1).")
    return heads


def run_network(network: nn.Module, *inputs: Tensor) -> tuple[Tensor, ...]:
    """Return a network's outputs for a batch, (N, classes) a head. inputs: (N, ...) each, the images first.

    A single image that the network fails on, because squeeze() drops its batch axis, is asked as two equal ones.
    Raises ModelError where batch normalisation needs statistics of more than one image.
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
    """(N, classes) of digits -> (N, classes + 9) of sums: P(sum = d + n) = P(digit = d). numbers: int64 (N,), 0..9."""
    count, classes = soft.shape
    places = numbers[:, None] + torch.arange(classes, device=soft.device)       # (N, classes)
    return soft.new_zeros(count, classes + 9).scatter(1, places, soft)


@dataclass(frozen=True)
class Loss:
    """What training minimises: cross-entropy with the labels, and with a teacher's soft labels where there are some.

    Right for logits and for log-probabilities alike: log_softmax leaves log-probabilities as they are.
    Source: Hinton et al. (2015), Distilling the Knowledge in a Neural Network, section 2.
    """

    weight: float = 0.0             # part of the loss that follows the teacher, 0..1
    temperature: float = 1.0        # divides the outputs, as it divided the teacher's

    def __call__(self, outputs: Outputs, targets: tuple[Tensor, ...], soft: tuple[Tensor, ...] = ()) -> Tensor:
        """The sum over heads of the mean over images, in float32."""
        return self.over_heads(outputs, targets, soft, "mean")

    @torch.no_grad()
    def each(self, outputs: Outputs, targets: tuple[Tensor, ...], soft: tuple[Tensor, ...] = ()) -> Tensor:
        """(N,): what each image has in the loss, times N."""
        return self.over_heads(outputs, targets, soft, "none")

    def over_heads(
        self, outputs: Outputs, targets: tuple[Tensor, ...], soft: tuple[Tensor, ...], reduction: str
    ) -> Tensor:
        """The sum over heads, of each image or of the mean over images."""
        answers = zip(as_heads(outputs), targets, soft or [None] * len(targets), strict=True)
        return torch.stack([self.of_head(*each, reduction=reduction) for each in answers]).sum(dim=0)

    def of_head(self, output: Tensor, target: Tensor, soft: Tensor | None, reduction: str) -> Tensor:
        """Of (N, C) outputs, int64 (N,) and (N, C or fewer): (N,), or their mean."""
        output = output.float()
        hard = F.cross_entropy(output, target, reduction=reduction)
        if soft is None:
            return hard
        logs = F.log_softmax(output / self.temperature, dim=1)[:, : soft.shape[1]]      # a head may be wider
        followed = -(soft * logs).sum(dim=1)
        followed = followed.mean() if reduction == "mean" else followed
        # gradients of the soft part shrink with 1 / temperature^2, which keeps the parts' weights as they are
        return (1 - self.weight) * hard + self.weight * self.temperature**2 * followed


loss_of = Loss()    # without a teacher
