"""The compiled engine: passes of the network, loss, augmentation and optimizer in C."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from featherweight.tasks import Task
from featherweight.training.compiled.augment import FusedAugmentation
from featherweight.training.compiled.loss import FusedLoss
from featherweight.training.compiled.network import CompiledNetwork
from featherweight.training.compiled.optimize import FusedOptimizer
from featherweight.training.compiled.structs import NotFused
from featherweight.training.count import Count
from featherweight.training.engine import Engine, Replica, TorchEngine, training_batch
from featherweight.training.optimization import move
from featherweight.training.plan import Plan
from featherweight.training.state import TrainingState


def engine_for(replicas: Sequence[Replica], task: Task, count: Count) -> Engine:
    """Return the engine that trains these replicas: compiled if all of them have a program, else torch."""
    if all(replica.engine.program is not None for replica in replicas):
        return CompiledEngine(replicas, task, count)
    return TorchEngine(replicas, task, count)


class CompiledEngine:
    """Executes the steps of each replica in turn, in C."""

    def __init__(self, replicas: Sequence[Replica], task: Task, count: Count) -> None:
        self.steps = [make_step(replica, task, count.row(index)) for index, replica in enumerate(replicas)]

    def step(self, picked: Tensor, left: float, lr: float) -> None:
        for step, rows in zip(self.steps, picked, strict=True):
            step(rows, left, lr)

    def write_back(self) -> None:
        """Do nothing: C trains the tensors of the states in place."""


Step = Callable[[Tensor, float, float], None]


def make_step(replica: Replica, task: Task, count: Count) -> Step:
    """Return the function (picked int64 (N,), left, lr) -> None of one step of a replica."""
    state, data, plan = replica.state, replica.data, replica.plan
    network, loss, update = make_network(replica), FusedLoss(plan.loss, count), make_update(state)
    augment = make_augment(replica, network)

    def step(picked: Tensor, left: float, lr: float) -> None:
        images, batch = augment(picked, left), data.pick(picked)
        task_batch = training_batch(task, batch, state.generator)
        outputs = network.forward([images, *task_batch.inputs], key=key_of(plan, state, len(data)))
        each = None if state.losses is None else torch.zeros(len(picked))
        network.backward(loss(outputs, task_batch, each))
        if plan.gradient_clip:
            nn.utils.clip_grad_norm_(state.model.parameters(), plan.gradient_clip)
        update(lr)
        if state.losses is not None and each is not None:
            state.losses[picked] = each

    return step


def make_network(replica: Replica) -> CompiledNetwork:
    """Return the compiled passes of a replica's network."""
    assert replica.engine.program is not None
    largest = min(replica.plan.batch_size, len(replica.data))
    return CompiledNetwork(replica.engine.program, largest, torch.get_num_threads())


def make_augment(replica: Replica, network: CompiledNetwork) -> Callable[[Tensor, float], Tensor]:
    """Return the function (picked, left) -> float32 (N, C, H, W), augmented and normalised, contiguous."""
    fused, generator = FusedAugmentation(replica.plan.augmentation, replica.data, network), replica.state.generator
    return lambda picked, left: fused(picked, generator, left)


def make_update(state: TrainingState) -> Callable[[float], None]:
    """Return the function (lr) -> None that updates the weights and their average."""
    try:
        return FusedOptimizer(state.optimizer, state.model, state.average).step
    except NotFused:
        return lambda lr: update_by_torch(state, lr)


def update_by_torch(state: TrainingState, lr: float) -> None:
    """Update the weights and their average by torch."""
    move([state.optimizer], lr)
    if state.average is not None:
        state.average.update_parameters(state.model)


def key_of(plan: Plan, state: TrainingState, images: int) -> int:
    """Return the key of a step's random numbers, 32 bits: a hash of the seed and the number of steps before it."""
    return zlib.crc32(f"{plan.seed} {plan.steps_done(state.position, images)}".encode())
