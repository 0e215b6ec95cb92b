"""THE loop for many seeds at once: their weights lie stacked, and every step is mapped over all of them.

For a GPU, which a single small network leaves nearly idle. Order, augmentation and questions come from each replica's
own seed and generator, so that it sees the images that it would see alone.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from featherweight.augment import Augmentation, normalise
from featherweight.errors import TrainingDiverged
from featherweight.tasks import Loss, Question, Task
from featherweight.training.loop import Images, OnStep, Plan, Record, measure, open_epoch
from featherweight.training.stack import Build, stack, unstack
from featherweight.training.state import Position, TrainingState
from featherweight.training.step import autocast


def train_replicas(
    states: Sequence[TrainingState],
    data: Sequence[Images],
    task: Task,
    plans: Sequence[Plan],
    build: Build,
    *,
    ema: float = 0.0,
    curves: Sequence[tuple[str, Images] | None] = (),
    on_step: OnStep = lambda state, steps: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> Iterator[list[Record]]:
    """Train all states, which differ in their seeds alone, to the last epoch; yields a Record each after an epoch.

    data, plans, curves: one for each state, data of one length. After every yield and at the end the states are what
    training each of them alone would have left, to rounding. build makes the optimizer and the schedule of the stack.
    on_step is called with the stack. Raises TrainingDiverged, at the end of an epoch, where a loss is no number.
    """
    plan, device, stacked = plans[0], data[0].images.device, stack(states, build, ema)
    position, count = stacked.position, Count(states, device)
    while position.epoch < plan.epochs and not should_stop():
        stacked.model.train()
        orders = [open_epoch(state, own, len(data[0])).to(device) for state, own in zip(states, plans, strict=True)]
        steps = plan.steps(len(data[0]), position.epoch)
        while position.step < steps:
            started = time.perf_counter()
            picked = [order[position.step * plan.batch_size :][: plan.batch_size] for order in orders]
            images, question = prepare(states, data, picked, task, plan.augmentation_at(position, len(data[0])))
            lr = stacked.optimizer.param_groups[0]["lr"]
            losses, outputs = take_step(stacked, plan, images, question)
            stacked.schedule.after_step()
            if stacked.average is not None:
                stacked.average.update_parameters(stacked.model)
            count.add(losses, outputs, question.targets)
            if plan.fraction < 1:
                remember(states, picked, losses)
            position.after_step(time.perf_counter() - started)
            on_step(stacked, steps)
            if should_stop() and position.step < steps:
                count.move(states, position)
                unstack(stacked, states)
                return
        stacked.schedule.after_epoch(None)
        count.move(states, position)
        records = close_epoch(states, plans, position, task, lr)
        unstack(stacked, states)
        yield with_curves(records, states, curves, task, plan.precision) if curves else records


def prepare(
    states: Sequence[TrainingState], data: Sequence[Images], picked: Sequence[Tensor], task: Task, changes: Augmentation
) -> tuple[Tensor, Question]:
    """Images (R, N, C, H, W) and questions (R, N, ...): each replica's own, changed and normalised as one."""
    replicas, size = len(states), len(picked[0])
    images = torch.cat([one.images[index] for one, index in zip(data, picked, strict=True)]).float().div_(255)
    numbers, questions = [], []
    for state, one, index in zip(states, data, picked, strict=True):    # in the order in which a training alone draws
        numbers.append(changes.draw(size, state.generator))
        questions.append(one.ask(task, index, state.generator))
    images = normalise(changes.apply(images, torch.cat(numbers, dim=1)), data[0].mean, data[0].std)
    together = Question(
        stack_each(question.inputs for question in questions),
        stack_each(question.targets for question in questions),
        stack_each(question.soft for question in questions),
    )
    return images.view(replicas, size, *images.shape[1:]), together


def stack_each(tensors: Iterable[tuple[Tensor, ...]]) -> tuple[Tensor, ...]:
    """R tuples of (N, ...) -> one tuple of (R, N, ...)."""
    return tuple(torch.stack(parts) for parts in zip(*tensors, strict=True))


def take_step(
    stacked: TrainingState, plan: Plan, images: Tensor, question: Question
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Move all weights once: (R, N) losses and the outputs. No replica's loss depends on another's weights."""
    stacked.optimizer.zero_grad(set_to_none=True)
    with autocast(plan.precision, images.device):
        outputs = stacked.model(images, *question.inputs)
    losses = losses_of(outputs, question, plan.loss)
    losses.mean(dim=1).sum().backward()     # type: ignore[no-untyped-call]
    if plan.gradient_clip:
        clip_each(stacked.model.parameters(), plan.gradient_clip)
    stacked.optimizer.step()
    return losses.detach(), outputs


def losses_of(outputs: tuple[Tensor, ...], question: Question, loss: Loss) -> Tensor:
    """(R, N): of each replica's images the sum over heads, in float32."""
    heads, targets, soft = (
        tuple(one.flatten(0, 1) for one in part) for part in (outputs, question.targets, question.soft)
    )
    return loss.over_heads(heads, targets, soft, "none").view(question.targets[0].shape)


def remember(states: Sequence[TrainingState], picked: Sequence[Tensor], losses: Tensor) -> None:
    """Keep (R, N) losses of the picked images, each replica its own: by them it selects the next epoch's."""
    for state, index, own in zip(states, picked, losses, strict=True):
        assert state.losses is not None     # open_epoch made them
        state.losses[index] = own


def clip_each(parameters: Iterable[Tensor], largest: float) -> None:
    """clip_grad_norm_ for each replica on its own."""
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    norms = torch.stack([gradient.flatten(1).norm(dim=1) for gradient in gradients]).norm(dim=0)    # (R,)
    factors = (largest / (norms + 1e-6)).clamp(max=1)
    for gradient in gradients:
        gradient.mul_(factors.view(-1, *[1] * (gradient.dim() - 1)))


class Count:
    """Running losses and right answers of all replicas, kept on their device until somebody asks."""

    def __init__(self, states: Sequence[TrainingState], device: torch.device) -> None:
        self.loss = torch.tensor([state.position.loss_sum for state in states], dtype=torch.float64, device=device)
        self.correct = torch.tensor([state.position.correct or [0] for state in states], device=device)    # (R, heads)
        self.seen = states[0].position.seen

    def add(self, losses: Tensor, outputs: tuple[Tensor, ...], targets: tuple[Tensor, ...]) -> None:
        """One batch."""
        self.loss += losses.double().sum(dim=1)
        right = [(head.argmax(dim=2) == target).sum(dim=1) for head, target in zip(outputs, targets, strict=True)]
        self.correct = self.correct + torch.stack(right, dim=1)
        self.seen += losses.shape[1]

    def move(self, states: Sequence[TrainingState], position: Position) -> None:
        """Write the sums into the states' positions and start again from zero; seconds are shared out."""
        for state, loss, correct in zip(states, self.loss.tolist(), self.correct.tolist(), strict=True):
            state.position = Position(
                position.epoch, position.step, loss, correct, self.seen,
                position.epoch_seconds / len(states), position.seconds / len(states),
            )
        self.loss, self.correct, self.seen = torch.zeros_like(self.loss), torch.zeros_like(self.correct), 0


def close_epoch(
    states: Sequence[TrainingState], plans: Sequence[Plan], position: Position, task: Task, lr: float
) -> list[Record]:
    """The finished epoch's records; all positions move to the start of the next."""
    records = []
    for state, plan in zip(states, plans, strict=True):
        own = state.position
        if not math.isfinite(own.loss_sum):
            raise TrainingDiverged(
                f"the loss of seed {plan.seed} became {own.loss_sum} in epoch {own.epoch + 1}. Lower the learning "
                "rate, e.g. --set optimizer.lr=0.01, or clip: --set training.gradient_clip=1"
            )
        accuracy = {head: right / own.seen for head, right in zip(task.heads, own.correct, strict=True)}
        records.append(Record(own.epoch + 1, lr, own.loss_sum / own.seen, accuracy, own.epoch_seconds, None, None))
        state.position = Position(epoch=own.epoch + 1, seconds=own.seconds)
    position.epoch, position.step, position.epoch_seconds = position.epoch + 1, 0, 0.0
    return records


def with_curves(
    records: Sequence[Record],
    states: Sequence[TrainingState],
    curves: Sequence[tuple[str, Images] | None],
    task: Task,
    precision: str,
) -> list[Record]:
    """The records with what each replica's network gives on the images of its curve, where it has one."""
    return [
        replace(record, curve=measure(state.trained, curve[1], task, precision), curve_on=curve[0]) if curve else record
        for record, state, curve in zip(records, states, curves, strict=True)
    ]
