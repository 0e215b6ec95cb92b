"""The training loop. It trains one replica, or several with the same recipe and different seeds, step by step.

An engine executes the steps. The loop yields a record per epoch and never writes to the disk.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import torch
from torch import Tensor

from featherweight.evaluation import Score
from featherweight.tasks import Task
from featherweight.training.compiled_engine import engine_for
from featherweight.training.count import Count
from featherweight.training.engine import Replica
from featherweight.training.measurement import diverged, measure, total_loss
from featherweight.training.order import balanced_order, epoch_order, selected_order
from featherweight.training.plan import Record
from featherweight.training.state import Position

READ_EVERY = {"cuda": 20}   # steps between two reads of the loss, as each read synchronises; other devices: 1

OnStep = Callable[[Position, int], None]    # (position after the step, steps of the epoch)


def train(
    replicas: Sequence[Replica],
    task: Task,
    *,
    on_step: OnStep = lambda position, steps: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> Iterator[list[Record]]:
    """Train replicas from their current state to the end. Yield a list with one Record per replica after each epoch.

    The end is the last epoch, or earlier if the plan has patience.
    replicas: they differ only in their seeds and stand at the same step. Each result equals that of training the
    replica alone, up to rounding. Exception: on CUDA, dropout draws from one generator for all replicas.
    on_step: called after every step, on CUDA after every READ_EVERY steps.
    should_stop: if it returns True, the generator ends after such a step or after an epoch. The states then hold
    all that resuming needs.
    Raises TrainingDiverged if a loss becomes NaN or infinite. Raises ValueError as check_in_step does.
    """
    check_in_step(replicas)
    plan, images, positions = replicas[0].plan, len(replicas[0].data), [one.state.position for one in replicas]
    position, device = positions[0], replicas[0].data.device
    count, apart = Count(positions, len(task.heads), device), READ_EVERY.get(device.type, 1)
    engine = engine_for(replicas, task, count)
    while not any(one.plan.ended(one.state) for one in replicas) and not should_stop():
        for one in replicas:
            one.state.model.train()
        orders, steps = open_epoch(replicas).to(device), plan.steps(images, position.epoch)
        started = time.perf_counter()
        while position.step < steps:
            picked = orders[:, position.step * plan.batch_size :][:, : plan.batch_size]
            lr = replicas[0].state.optimizer.param_groups[0]["lr"]
            engine.step(picked, plan.left(position, images), lr)
            for one in replicas:
                one.state.schedule.after_step()
                one.state.position.step += 1
            count.seen += picked.shape[1]
            if position.step % apart and position.step < steps:
                continue
            read_losses(replicas, count, lr)
            for each in positions:
                each.spend((time.perf_counter() - started) / len(replicas))
            engine.write_back()
            on_step(position, steps)
            if should_stop() and position.step < steps:
                return
            started = time.perf_counter()
        count.clear()
        yield [close_epoch(one, task, lr) for one in replicas]


def check_in_step(replicas: Sequence[Replica]) -> None:
    """Raise ValueError if the replicas stand at different steps, or could end in different epochs."""
    if len(replicas) > 1 and any(one.plan.patience for one in replicas):
        raise ValueError("replicas of a plan with patience cannot be trained as one")
    if len({(one.state.position.epoch, one.state.position.step) for one in replicas}) > 1:
        raise ValueError("replicas that stand at different steps cannot be trained as one")


def open_epoch(replicas: Sequence[Replica]) -> Tensor:
    """Return the order of the images of each replica in the current epoch, int64 (R, n). Uses a thread per replica."""
    if len(replicas) == 1:
        return order_of(replicas[0])[None]
    with ThreadPoolExecutor() as threads:
        return torch.stack(list(threads.map(order_of, replicas)))


def order_of(replica: Replica) -> Tensor:
    """Return the order of the images in the current epoch, int64 (n,).

    An order that depends on losses is stored in the state: the losses change during the epoch, and resuming needs it.
    """
    state, plan, count = replica.state, replica.plan, len(replica.data)
    epoch = state.position.epoch
    if plan.balanced:
        return balanced_order(replica.data.labels.cpu(), plan.seed, epoch)
    if plan.fraction < 1 and state.losses is None:
        state.losses = torch.full((count,), math.inf, device=state.generator.device)
    if state.losses is None or epoch == 0:
        return epoch_order(count, plan.seed, epoch)
    if state.order is None or state.position.step == 0:
        state.order = selected_order(state.losses.cpu(), plan.images(count, epoch), plan.seed, epoch)
    return state.order


def read_losses(replicas: Sequence[Replica], count: Count, lr: float) -> None:
    """Copy the counters from the device into the positions. Raise TrainingDiverged if a loss is NaN or infinite."""
    count.write([one.state.position for one in replicas])
    for one in replicas:
        position = one.state.position
        if not math.isfinite(position.loss_sum):
            whose = f" of seed {one.plan.seed}" if len(replicas) > 1 else ""
            raise diverged(
                f"the loss{whose} became {position.loss_sum} in epoch {position.epoch + 1}, step {position.step}, "
                f"at learning rate {lr:g}", lr,
            )


def close_epoch(replica: Replica, task: Task, lr: float) -> Record:
    """Return the record of the epoch. Measure the curve, update schedule and best network, move to the next epoch."""
    state, position = replica.state, replica.state.position
    name, measured = measured_curve(replica, task)
    state.schedule.after_epoch(total_loss(measured) if measured else None)
    replica.plan.watch(state, position.epoch + 1, measured)
    accuracy = {head: right / position.seen for head, right in zip(task.heads, position.correct, strict=True)}
    record = Record(
        epoch=position.epoch + 1, lr=lr, train_loss=position.loss_sum / position.seen, train_accuracy=accuracy,
        seconds=position.epoch_seconds, curve=measured, curve_on=name,
    )
    position.next_epoch()
    return record


def measured_curve(replica: Replica, task: Task) -> tuple[str | None, dict[str, Score] | None]:
    """Return the name and the scores of the replica's curve, or (None, None) if it has none."""
    if replica.curve is None:
        return None, None
    name, images = replica.curve
    return name, measure(replica.state.trained, images, task, replica.plan.precision, replica.engine.name)
