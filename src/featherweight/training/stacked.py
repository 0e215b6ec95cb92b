"""Replicas as one stack of weights: operations are mapped over all of them and, compiled, fused with one another."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from featherweight.augment import Augmentation, normalise
from featherweight.tasks import Loss, Question, Task
from featherweight.training.count import Count
from featherweight.training.loop import Images, Plan
from featherweight.training.stack import Build, stack, unstack
from featherweight.training.state import TrainingState
from featherweight.training.step import at_rate, autocast


class StackedTeam:
    """The team whose weights are tensors (R, ...). Dropout draws for all of them from one generator."""

    def __init__(
        self, states: Sequence[TrainingState], data: Sequence[Images], task: Task, plan: Plan, count: Count,
        build: Build, ema: float, *, compiles: bool,
    ) -> None:
        self.states, self.data, self.task, self.plan, self.count = states, data, task, plan, count
        self.stacked = stack(states, build, ema, compiles=compiles)
        self.position = self.stacked.position

    @property
    def lr(self) -> float:
        """The learning rate, the same for all."""
        return float(self.stacked.optimizer.param_groups[0]["lr"])

    def begin_epoch(self) -> None:
        """The losses that images are chosen by become one tensor (R, images), of which each state has its row."""
        self.stacked.model.train()
        losses = [state.losses for state in self.states if state.losses is not None]
        if losses and self.stacked.losses is None:
            self.stacked.losses = torch.stack(losses)
            for state, own in zip(self.states, self.stacked.losses, strict=True):
                state.losses = own

    def advance(self, picked: Tensor, left: float | Tensor, lr: float | Tensor) -> None:
        """One step on a batch of each, int64 (R, N)."""
        images, question = prepare(self.states, self.data, picked, self.task, self.plan.augmentation, left)
        losses, outputs = take_step(self.stacked, self.plan, images, question, lr)
        self.count.add(losses.mean(dim=1), outputs, question.targets)
        if self.stacked.losses is not None:
            self.stacked.losses.scatter_(1, picked, losses)

    def after_step(self) -> None:
        """Move the schedule and the averages."""
        self.stacked.schedule.after_step()
        if self.stacked.average is not None:
            self.stacked.average.update_parameters(self.stacked.model)

    def after_epoch(self) -> None:
        """Move a schedule that moves once an epoch."""
        self.stacked.schedule.after_epoch(None)

    def settle(self) -> None:
        """Bring every state to where the stack stands."""
        unstack(self.stacked, self.states)


def prepare(
    states: Sequence[TrainingState], data: Sequence[Images], picked: Tensor, task: Task, changes: Augmentation,
    left: float | Tensor,
) -> tuple[Tensor, Question]:
    """Images (R, N, C, H, W) and questions (R, N, ...): each replica's own, changed and normalised as one."""
    generators = [state.generator for state in states]      # in the order in which a training alone draws
    numbers = changes.draw(picked.shape[1], *generators)
    labels = pick([one.labels for one in data], picked)
    soft = pick([one.soft for one in data], picked) if data[0].soft is not None else [None] * len(data)
    questions = [task.ask(*asked) for asked in zip(labels, generators, soft, strict=True)]
    images = pick([one.images for one in data], picked).flatten(0, 1).float().div_(255)
    images = normalise(changes.apply(images, numbers, left), data[0].mean, data[0].std)
    together = Question(
        stack_each(question.inputs for question in questions),
        stack_each(question.targets for question in questions),
        stack_each(question.soft for question in questions),
    )
    return images.view(*picked.shape, *images.shape[1:]), together


def pick(tensors: Sequence[Tensor | None], picked: Tensor) -> Tensor:
    """Of R tensors (M, ...) those at (R, N): (R, N, ...). Where all of them are one, it is read once."""
    first = tensors[0]
    assert first is not None
    if all(one is not None and one.data_ptr() == first.data_ptr() for one in tensors):
        return first[picked]
    return torch.stack([one[index] for one, index in zip(tensors, picked, strict=True) if one is not None])


def stack_each(tensors: Iterable[tuple[Tensor, ...]]) -> tuple[Tensor, ...]:
    """R tuples of (N, ...) -> one tuple of (R, N, ...)."""
    return tuple(torch.stack(parts) for parts in zip(*tensors, strict=True))


def take_step(
    stacked: TrainingState, plan: Plan, images: Tensor, question: Question, lr: float | Tensor
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Move all weights once: (R, N) losses and the outputs. No replica's loss depends on another's weights."""
    stacked.optimizer.zero_grad(set_to_none=True)
    with autocast(plan.precision, images.device):
        outputs = stacked.model(images, *question.inputs)
    losses = losses_of(outputs, question, plan.loss)
    losses.mean(dim=1).sum().backward()     # type: ignore[no-untyped-call]
    if plan.gradient_clip:
        clip_each(stacked.model.parameters(), plan.gradient_clip)
    with at_rate(stacked.optimizer, lr):
        stacked.optimizer.step()
    return losses.detach(), outputs


def losses_of(outputs: tuple[Tensor, ...], question: Question, loss: Loss) -> Tensor:
    """(R, N): of each replica's images the sum over heads, in float32."""
    heads, targets, soft = (
        tuple(one.flatten(0, 1) for one in part) for part in (outputs, question.targets, question.soft)
    )
    return loss.over_heads(heads, targets, soft, "none").view(question.targets[0].shape)


def clip_each(parameters: Iterable[Tensor], largest: float) -> None:
    """clip_grad_norm_ for each replica on its own."""
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    norms = torch.stack([gradient.flatten(1).norm(dim=1) for gradient in gradients]).norm(dim=0)    # (R,)
    factors = (largest / (norms + 1e-6)).clamp(max=1)
    for gradient in gradients:
        gradient.mul_(factors.view(-1, *[1] * (gradient.dim() - 1)))
