"""What a network is asked to do: what goes in, the heads that come out, the targets, the loss."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from featherweight.errors import UnknownName

Outputs = Tensor | tuple[Tensor, ...]


@dataclass(frozen=True)
class Question:
    """What is asked about a batch of images: further inputs beside them, and the right answer of each head."""

    inputs: tuple[Tensor, ...]      # beside the images, each (N, ...)
    targets: tuple[Tensor, ...]     # int64 (N,), one for each head


class Task(Protocol):
    """The contract between a data set's labels and a network's heads."""

    name: str
    heads: tuple[str, ...]

    def ask(self, labels: Tensor, generator: torch.Generator) -> Question:
        """The question of a training batch; what is random in it comes from the generator."""

    def ask_all(self, labels: Tensor) -> Iterator[Question]:
        """Every question that an evaluation asks about these images."""

    def ask_each(self, labels: Tensor) -> Question:
        """One question about each image, always the same."""


class Classification:
    """One image in, one class out."""

    name = "classification"
    heads: tuple[str, ...] = ("class",)

    def ask(self, labels: Tensor, generator: torch.Generator) -> Question:
        return Question((), (labels,))

    def ask_all(self, labels: Tensor) -> Iterator[Question]:
        yield self.ask_each(labels)

    def ask_each(self, labels: Tensor) -> Question:
        return Question((), (labels,))


class DigitSum:
    """An image of a digit and a number 0..9 in; the digit and digit + number out. Source: document 004."""

    name = "digit-sum"
    heads: tuple[str, ...] = ("digit", "sum")

    def ask(self, labels: Tensor, generator: torch.Generator) -> Question:
        numbers = torch.randint(10, labels.shape, generator=generator, device=labels.device)
        return self.with_numbers(labels, numbers)

    def ask_all(self, labels: Tensor) -> Iterator[Question]:
        for number in range(10):
            yield self.with_numbers(labels, torch.full_like(labels, number))

    def ask_each(self, labels: Tensor) -> Question:
        return self.with_numbers(labels, torch.arange(len(labels), device=labels.device) % 10)

    @staticmethod
    def with_numbers(labels: Tensor, numbers: Tensor) -> Question:
        """The question about images of these digits and these numbers, both int64 (N,)."""
        return Question((F.one_hot(numbers, 10).float(),), (labels, labels + numbers))


TASKS: dict[str, type[Classification] | type[DigitSum]] = {task.name: task for task in (Classification, DigitSum)}


def build_task(name: str) -> Task:
    """The task of this name; UnknownName where there is none."""
    if name not in TASKS:
        raise UnknownName("task", name, TASKS)
    return TASKS[name]()


def as_heads(outputs: Outputs) -> tuple[Tensor, ...]:
    """A network's outputs as one tensor a head."""
    return outputs if isinstance(outputs, tuple) else (outputs,)


def loss_of(outputs: Outputs, targets: tuple[Tensor, ...]) -> Tensor:
    """The sum over heads of the mean cross-entropy, in float32.

    Right for logits and for log-probabilities alike: log_softmax leaves log-probabilities as they are.
    """
    pairs = zip(as_heads(outputs), targets, strict=True)
    return torch.stack([F.cross_entropy(head.float(), target) for head, target in pairs]).sum()
