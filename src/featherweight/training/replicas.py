"""THE loop for many seeds at once, for a GPU, which a single small network leaves nearly idle.

Every replica finds the gradients that it would find alone, in a stream of its own; recorded as one, the kernels of all
fill the device together. Order, augmentation and questions come from each replica's own seed and generator.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import torch
from torch import Tensor

from featherweight.errors import TrainingDiverged
from featherweight.tasks import Task
from featherweight.training.count import Count
from featherweight.training.loop import APART, Images, Plan, Record, make_learn, measure, open_epoch, prepare
from featherweight.training.optimization import move
from featherweight.training.recorded import Work, recorded
from featherweight.training.state import Position, TrainingState


def train_replicas(
    states: Sequence[TrainingState],
    data: Sequence[Images],
    task: Task,
    plans: Sequence[Plan],
    *,
    curves: Sequence[tuple[str, Images] | None] = (),
    on_step: Callable[[Position], None] = lambda position: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> Iterator[list[Record]]:
    """Train all states, which differ in their seeds alone, to the last epoch; yields a Record each after an epoch.

    data, plans, curves: one for each state, data of one length. After every yield and at the end the states are what
    training each of them alone would have left, to rounding, and but for dropout, which draws for all of them from the
    device's own generator. on_step is called where loop.train calls its own. Raises TrainingDiverged, at the end of an
    epoch, where a loss is no number, and ValueError for states that stand at different steps or a plan with patience,
    in which some would stop earlier than others.
    """
    if plans[0].patience:
        raise ValueError("replicas of a plan with patience cannot be trained as one")
    plan, device, images = plans[0], data[0].images.device, len(data[0])
    positions, apart = [state.position for state in states], APART.get(device.type, 1)
    position, count = together(positions), Count(positions, len(task.heads), device)
    advance = recorded(make_fork(states, data, task, plans, count), device, [state.generator for state in states])
    while position.epoch < plan.epochs and not should_stop():
        for state in states:
            state.model.train()
        orders, steps = open_epochs(states, plans, images).to(device), plan.steps(images, position.epoch)
        started = time.perf_counter()
        while position.step < steps:
            picked = orders[:, position.step * plan.batch_size :][:, : plan.batch_size]
            lr = states[0].optimizer.param_groups[0]["lr"]
            advance(picked, plan.left(position, images), lr)
            after_step(states)
            position.step, count.seen = position.step + 1, count.seen + picked.shape[1]
            if position.step % apart and position.step < steps:
                continue
            count.write(positions)
            position.spend(time.perf_counter() - started)
            share(position, positions)
            on_step(position)
            if should_stop() and position.step < steps:
                return
            started = time.perf_counter()
        for state in states:
            state.schedule.after_epoch(None)
        records = close_epoch(states, plans, task, lr)
        position.next_epoch()
        count.clear()
        records = with_curves(records, states, curves, task, plan.precision) if curves else records
        for state, record in zip(states, records, strict=True):
            plan.watch(state, record.epoch, record.curve)
        yield records


def make_fork(
    states: Sequence[TrainingState], data: Sequence[Images], task: Task, plans: Sequence[Plan], count: Count
) -> Work:
    """What is done with a batch of each: (int64 (R, N), what is left of the augmentation, learning rate).

    Images and weights are changed all together, gradients found side by side.
    """
    learns = [
        make_learn(state, own, task, plan, count.row(index))
        for index, (state, own, plan) in enumerate(zip(states, data, plans, strict=True))
    ]
    side_by_side, augmentation = make_side_by_side(learns, data[0].images.device), plans[0].augmentation
    optimizers, generators = [one.optimizer for one in states], [one.generator for one in states]

    def advance(picked: Tensor, left: float | Tensor, lr: float | Tensor) -> None:
        images = prepare(data, picked, augmentation, left, generators)
        side_by_side(images.view(*picked.shape, *images.shape[1:]), picked)
        move(optimizers, lr)

    return advance


def make_side_by_side(works: Sequence[Callable[[Tensor, Tensor], None]], device: torch.device) -> Work:
    """All of these as one: each with its row of both arguments, on a CUDA device in a stream of its own."""
    if device.type != "cuda":
        def in_turn(first: Tensor, second: Tensor) -> None:
            for work, *rows in zip(works, first, second, strict=True):
                work(*rows)

        return in_turn
    streams = [torch.cuda.Stream(device) for _ in works]  # type: ignore[no-untyped-call]

    def side_by_side(first: Tensor, second: Tensor) -> None:
        here = torch.cuda.current_stream(device)
        for stream, work, *rows in zip(streams, works, first, second, strict=True):
            stream.wait_stream(here)
            with torch.cuda.stream(stream):
                work(*rows)
        for stream in streams:
            here.wait_stream(stream)

    return side_by_side


def after_step(states: Sequence[TrainingState]) -> None:
    """Move all schedules and averages."""
    for state in states:
        state.schedule.after_step()
        if state.average is not None:
            state.average.update_parameters(state.model)


def open_epochs(states: Sequence[TrainingState], plans: Sequence[Plan], images: int) -> Tensor:
    """int64 (R, n): each replica's own order, found in threads, since many seeds are many times to sort all losses."""
    with ThreadPoolExecutor() as threads:
        return torch.stack(list(threads.map(lambda state, plan: open_epoch(state, plan, images), states, plans)))


def together(positions: Sequence[Position]) -> Position:
    """Where all of them stand, with the seconds of all; ValueError where they stand at different steps."""
    if len({(one.epoch, one.step) for one in positions}) > 1:
        raise ValueError("replicas that stand at different steps cannot be trained as one")
    seconds, of_epoch = (sum(getattr(one, key) for one in positions) for key in ("seconds", "epoch_seconds"))
    return replace(positions[0], seconds=seconds, epoch_seconds=of_epoch)


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
                "rate, e.g. optimizer.lr=0.01, or clip: training.gradient_clip=1"
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
