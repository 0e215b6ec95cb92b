"""THE loop for many seeds at once, for a GPU, which a single small network leaves nearly idle.

Order, augmentation and questions come from each replica's own seed and generator, so that it sees the images that it
would see alone. How a step of all is taken is the business of a team: side by side, or as one stack of weights.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Protocol

import torch
from torch import Tensor

from featherweight.errors import TrainingDiverged
from featherweight.tasks import Task
from featherweight.training.count import Count
from featherweight.training.forked import Forked
from featherweight.training.loop import APART, Images, Plan, Record, measure, open_epoch
from featherweight.training.recorded import recorded
from featherweight.training.stack import Build
from featherweight.training.stacked import StackedTeam
from featherweight.training.state import Position, TrainingState


class Team(Protocol):
    """Replicas that take their steps together."""

    position: Position          # of all of them; seconds are summed

    @property
    def lr(self) -> float:
        """The learning rate of the next step."""

    def begin_epoch(self) -> None:
        """The states have their orders for the epoch."""

    def advance(self, picked: Tensor, left: float | Tensor, lr: float | Tensor) -> None:
        """One step on a batch of each, int64 (R, N); left is how much of the augmentation is left."""

    def after_step(self) -> None:
        """Move schedules and averages."""

    def after_epoch(self) -> None:
        """Move schedules that move once an epoch."""

    def settle(self) -> None:
        """Bring every state's weights to where the team stands."""


def train_replicas(
    states: Sequence[TrainingState],
    data: Sequence[Images],
    task: Task,
    plans: Sequence[Plan],
    build: Build | None = None,
    *,
    ema: float = 0.0,
    compiles: bool = False,
    curves: Sequence[tuple[str, Images] | None] = (),
    on_step: Callable[[Position], None] = lambda position: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> Iterator[list[Record]]:
    """Train all states, which differ in their seeds alone, to the last epoch; yields a Record each after an epoch.

    data, plans, curves: one for each state, data of one length. After every yield and at the end the states are what
    training each of them alone would have left, to rounding. build makes the optimizer and the schedule of a stack of
    all weights, with an average of decay ema, compiled where compiles says so; without it each replica takes its own
    steps, side by side. on_step is called where loop.train calls its own. Raises TrainingDiverged, at the end of an
    epoch, where a loss is no number.
    """
    plan, device, images = plans[0], data[0].images.device, len(data[0])
    positions, apart = [state.position for state in states], APART.get(device.type, 1)
    count = Count(positions, len(task.heads), device)
    team: Team = (
        StackedTeam(states, data, task, plan, count, build, ema, compiles=compiles)
        if build else Forked(states, data, task, plans, count)
    )
    position = team.position
    advance = recorded(team.advance, device, [state.generator for state in states])
    while position.epoch < plan.epochs and not should_stop():
        orders, steps = open_epochs(states, plans, images).to(device), plan.steps(images, position.epoch)
        team.begin_epoch()
        started = time.perf_counter()
        while position.step < steps:
            picked = orders[:, position.step * plan.batch_size :][:, : plan.batch_size]
            lr = team.lr
            advance(picked, plan.left(position, images), lr)
            team.after_step()
            position.step, count.seen = position.step + 1, count.seen + picked.shape[1]
            if position.step % apart and position.step < steps:
                continue
            count.write(positions)
            position.spend(time.perf_counter() - started)
            share(position, positions)
            on_step(position)
            if should_stop() and position.step < steps:
                team.settle()
                return
            started = time.perf_counter()
        team.after_epoch()
        records = close_epoch(states, plans, task, lr)
        position.next_epoch()
        count.clear()
        team.settle()
        yield with_curves(records, states, curves, task, plan.precision) if curves else records


def open_epochs(states: Sequence[TrainingState], plans: Sequence[Plan], images: int) -> Tensor:
    """int64 (R, n): each replica's own order, found in threads, since 256 seeds are 256 times to sort all losses."""
    with ThreadPoolExecutor() as threads:
        return torch.stack(list(threads.map(lambda state, plan: open_epoch(state, plan, images), states, plans)))


def share(position: Position, positions: Sequence[Position]) -> None:
    """Tell each replica where all of them stand, and its part of the seconds."""
    for one in positions:
        one.epoch, one.step = position.epoch, position.step
        one.seconds, one.epoch_seconds = position.seconds / len(positions), position.epoch_seconds / len(positions)


def close_epoch(states: Sequence[TrainingState], plans: Sequence[Plan], task: Task, lr: float) -> list[Record]:
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
        own.next_epoch()
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
