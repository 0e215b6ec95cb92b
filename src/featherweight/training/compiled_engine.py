"""The compiled engine: a network's passes, the augmentation and the optimizer in C. torch computes the loss."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from featherweight.codegen.compiler import NoLibrary
from featherweight.tasks import Outputs, Task, TaskBatch
from featherweight.training.compiled.augment import FusedAugmentation
from featherweight.training.compiled.network import CompiledNetwork
from featherweight.training.compiled.optimize import FusedOptimizer
from featherweight.training.compiled.structs import NotFused
from featherweight.training.count import Count
from featherweight.training.engine import Engine, Passes, Replica, TorchEngine, make_learn, prepare
from featherweight.training.optimization import move
from featherweight.training.plan import Plan
from featherweight.training.state import TrainingState


def engine_for(replicas: Sequence[Replica], task: Task, count: Count) -> Engine:
    """Return the engine that trains these replicas: compiled if all of them have a program, else torch."""
    if all(replica.program is not None for replica in replicas):
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
    augment, update = make_augment(replica), make_update(replica.state)
    learn = make_learn(replica, task, count, make_passes(replica))

    def step(picked: Tensor, left: float, lr: float) -> None:
        learn(augment(picked, left), picked)
        update(lr)

    return step


def make_augment(replica: Replica) -> Callable[[Tensor, float], Tensor]:
    """Return the function (picked, left) -> float32 (N, C, H, W), augmented and normalised, contiguous."""
    try:
        fused = FusedAugmentation(replica.plan.augmentation, replica.data)
    except (NoLibrary, ValueError):     # ValueError: images that are no uint8
        return lambda picked, left: prepare([replica], picked[None], left).contiguous()
    generator = replica.state.generator
    return lambda picked, left: fused(picked, generator, left)


def make_update(state: TrainingState) -> Callable[[float], None]:
    """Return the function (lr) -> None that updates the weights and their average."""
    try:
        return FusedOptimizer(state.optimizer, state.model, state.average).step
    except (NotFused, NoLibrary):
        return lambda lr: update_by_torch(state, lr)


def update_by_torch(state: TrainingState, lr: float) -> None:
    """Update the weights and their average by torch."""
    move([state.optimizer], lr)
    if state.average is not None:
        state.average.update_parameters(state.model)


def make_passes(replica: Replica) -> Passes:
    """Return the function (images, task_batch) -> (loss, outputs), which also sets the gradients of the parameters."""
    assert replica.program is not None
    state, plan = replica.state, replica.plan
    largest = min(plan.batch_size, len(replica.data))
    network = CompiledNetwork(replica.program, largest, torch.get_num_threads())

    def passes(images: Tensor, task_batch: TaskBatch) -> tuple[Tensor, Outputs]:
        network.bind()
        heads = network.forward([images, *task_batch.inputs], key=key_of(plan, state, len(replica.data)))
        leaves = tuple(head.requires_grad_() for head in heads)
        loss = plan.loss(leaves, task_batch.targets, task_batch.soft)
        gradients = torch.autograd.grad(loss, leaves)
        network.backward(gradients)
        if plan.gradient_clip:
            nn.utils.clip_grad_norm_(state.model.parameters(), plan.gradient_clip)
        return loss.detach(), tuple(head.detach() for head in heads)

    return passes


def key_of(plan: Plan, state: TrainingState, images: int) -> int:
    """Return the key of a step's random numbers, 32 bits: a hash of the seed and the number of steps before it."""
    return zlib.crc32(f"{plan.seed} {plan.steps_done(state.position, images)}".encode())
