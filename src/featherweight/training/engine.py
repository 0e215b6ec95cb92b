"""Engines: they execute the optimisation steps of the training loop.

An engine trains one replica or several side by side. The loop chooses images, learning rate and strength of the
augmentation. The engine augments, computes gradients, and updates weights, averages and counters.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import torch
from torch import Tensor

from featherweight.augment import normalise
from featherweight.data import Images
from featherweight.devices import layout_for
from featherweight.forward import scaled
from featherweight.tasks import Task, TaskBatch, as_heads
from featherweight.training.compiled.program import EngineChoice
from featherweight.training.count import Count
from featherweight.training.optimization import move
from featherweight.training.plan import Plan
from featherweight.training.recorded import Work, recorded
from featherweight.training.state import TrainingState
from featherweight.training.step import make_passes

Learn = Callable[[Tensor, Tensor], None]


@dataclass
class Replica:
    """One training: its state, its images on the device of the state, its plan, and the images of its curve.

    engine: torch, or the compiled passes of the network.
    """

    state: TrainingState
    data: Images
    plan: Plan
    curve: tuple[str, Images] | None = None     # name and images, measured after each epoch
    engine: EngineChoice = field(default_factory=EngineChoice)


class Engine(Protocol):
    """Executes optimisation steps of R replicas that stand at the same step."""

    def step(self, picked: Tensor, left: float, lr: float) -> None:
        """Train each replica on one batch.

        picked: int64 (R, N), row r are indices into the images of replica r. left: strength of the augmentation, 0..1.
        lr: learning rate of all replicas. Must not synchronise with the device.
        """

    def write_back(self) -> None:
        """Copy the results of the steps into the states of the replicas, so that a checkpoint can be written."""


class TorchEngine:
    """Eager torch on a CPU. On CUDA the step is recorded once, with the replicas in parallel streams."""

    def __init__(self, replicas: Sequence[Replica], task: Task, count: Count) -> None:
        self.states = [replica.state for replica in replicas]
        device, generators = replicas[0].data.device, [state.generator for state in self.states]
        self.advance = recorded(make_advance(replicas, task, count), device, generators)

    def step(self, picked: Tensor, left: float, lr: float) -> None:
        self.advance(picked, left, lr)
        for state in self.states:
            if state.average is not None:
                state.average.update_parameters(state.model)

    def write_back(self) -> None:
        """Do nothing: torch trains the tensors of the states in place."""


def make_advance(replicas: Sequence[Replica], task: Task, count: Count) -> Work:
    """Return the function (picked, left, lr) -> None of one step of all replicas; arguments as in Engine.step."""
    learns = [make_learn(replica, task, count.row(index)) for index, replica in enumerate(replicas)]
    learn_all = side_by_side(learns, replicas[0].data.device)
    optimizers = [replica.state.optimizer for replica in replicas]

    def advance(picked: Tensor, left: float | Tensor, lr: float | Tensor) -> None:
        images = prepare(replicas, picked, left)
        learn_all(images.view(*picked.shape, *images.shape[1:]), picked)
        move(optimizers, lr)

    return advance


def prepare(replicas: Sequence[Replica], picked: Tensor, left: float | Tensor) -> Tensor:
    """Return the picked images of all replicas, augmented and normalised: int64 (R, N) -> float32 (R x N, C, H, W)."""
    first, generators = replicas[0], [replica.state.generator for replica in replicas]
    images = scaled(torch.cat([replica.data.pick(rows).images for replica, rows in zip(replicas, picked, strict=True)]))
    images = first.plan.augmentation(images, *generators, left=left)
    return normalise(images, first.data.mean, first.data.std).contiguous(memory_format=layout_for(images.device))


def make_learn(replica: Replica, task: Task, count: Count) -> Learn:
    """Return the function (inputs (N, C, H, W), int64 (N,)) -> None that computes the gradients of one batch."""
    state, data, plan = replica.state, replica.data, replica.plan
    passes = make_passes(
        state.model, plan.loss, precision=plan.precision, device=data.device, gradient_clip=plan.gradient_clip
    )

    def learn(images: Tensor, picked: Tensor) -> None:
        batch = data.pick(picked)
        task_batch = training_batch(task, batch, state.generator)
        loss, outputs = passes(images, task_batch)
        count.add(loss, [head[None] for head in as_heads(outputs)], [target[None] for target in task_batch.targets])
        if state.losses is not None:
            state.losses[picked] = plan.loss.each(outputs, task_batch.targets, task_batch.soft, task_batch.weights)

    return learn


def training_batch(task: Task, batch: Images, generator: torch.Generator) -> TaskBatch:
    """Return the task_batch of a batch of training images, with the weights of the images."""
    return replace(task.training_batch(batch.labels, generator, batch.soft), weights=batch.weights)


def side_by_side(learns: Sequence[Learn], device: torch.device) -> Learn:
    """Return one function that calls function i with row i of both arguments, on CUDA each in its own stream."""
    if device.type != "cuda" or len(learns) == 1:
        def in_turn(images: Tensor, picked: Tensor) -> None:
            for learn, *rows in zip(learns, images, picked, strict=True):
                learn(*rows)

        return in_turn
    streams = [torch.cuda.Stream(device) for _ in learns]  # type: ignore[no-untyped-call]

    def in_streams(images: Tensor, picked: Tensor) -> None:
        here = torch.cuda.current_stream(device)
        for stream, learn, *rows in zip(streams, learns, images, picked, strict=True):
            stream.wait_stream(here)
            with torch.cuda.stream(stream):
                learn(*rows)
        for stream in streams:
            here.wait_stream(stream)

    return in_streams
