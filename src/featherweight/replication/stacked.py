"""All seeds of a recipe in one process, as one stack of weights: how a GPU trains them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby, islice

import torch

from featherweight.experiment import (
    CHECKPOINT_SECONDS,
    Training,
    as_line,
    build_optimization,
    build_training,
    finish,
)
from featherweight.recipe import Recipe
from featherweight.replication.job import TELL_SECONDS, Job, SeedsWatcher, Standing
from featherweight.runs import Run, create_run
from featherweight.training.checkpoint import load_checkpoint, save_checkpoint
from featherweight.training.loop import Record
from featherweight.training.replicas import train_replicas
from featherweight.training.state import TrainingState
from featherweight.training.step import pick_device

MOST_AT_ONCE = 256      # replicas in one stack


@dataclass(frozen=True)
class Member:
    """One seed of a stack."""

    seed: int
    run: Run
    training: Training

    @property
    def position(self) -> tuple[int, int]:
        """How far it is trained: epochs, and steps of the next."""
        return self.training.state.position.epoch, self.training.state.position.step


def can_be_stacked(recipe: Recipe, device: torch.device) -> bool:
    """Whether this device gains by it, and the seeds keep step: on a plateau each seed has a rate of its own."""
    return device.type == "cuda" and recipe.schedule.name != "plateau"


def train_stacked(job: Job, seeds: Sequence[int], watcher: SeedsWatcher, should_stop: Callable[[], bool]) -> list[int]:
    """Train these seeds as one stack, from wherever an earlier call left them; the seeds that are done.

    Each run is that of its seed trained alone up to rounding, and but for dropout, which comes from one generator.
    """
    job = replace(job, dataset=job.dataset.to(pick_device(job.device)))     # one copy there, not one a seed
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        members = [begin(job, seed) for seed in seeds]
        done: list[int] = []
        for _, group in groupby(sorted(members, key=lambda one: one.position), key=lambda one: one.position):
            for part in batched(group, MOST_AT_ONCE):
                if should_stop() or not run_stack(part, watcher, should_stop):
                    return done
                for member in part:
                    watcher.on_finish(member.seed, finish(member.run, member.training).result)
                done += [member.seed for member in part]
    return done


def batched(members: Iterable[Member], size: int) -> Iterator[list[Member]]:
    """So many at a time."""
    waiting = iter(members)
    while part := list(islice(waiting, size)):
        yield part


def begin(job: Job, seed: int) -> Member:
    """One seed with its run folder, new or gone on with."""
    recipe, run = job.recipe.with_seed(seed), job.replicas.run(seed)
    training = build_training(recipe, job.dataset, pick_device(job.device))
    if (run.path / "recipe.toml").exists():
        run.sweep()
        load_checkpoint(run, training.state)
    else:
        create_run(run.path, recipe)
    run.save_json("environment.json", training.environment())
    return Member(seed, run, training)


def run_stack(members: Sequence[Member], watcher: SeedsWatcher, should_stop: Callable[[], bool]) -> bool:
    """The loop over a stack, with lines of history and now and then checkpoints; whether it came to its end."""
    first, trainings, saved_at = members[0].training, [member.training for member in members], time.monotonic()
    teller = Teller(members, watcher)
    histories = [member.run.history[: member.position[0]] for member in members]
    epochs = train_replicas(
        [one.state for one in trainings], [one.images(one.dataset.train) for one in trainings], first.task,
        [one.plan for one in trainings],
        lambda parameters: build_optimization(
            first.recipe, parameters, len(first.dataset.train), first.plan, stacked=True
        ),
        ema=first.recipe.training.ema, curves=[one.curve for one in trainings],
        on_step=teller, should_stop=should_stop,
    )
    for records in epochs:
        teller.records = records
        for member, history, record in zip(members, histories, records, strict=True):
            history.append(as_line(record))
            member.run.save_history(history)
        if time.monotonic() - saved_at > CHECKPOINT_SECONDS:
            save_all(members)
            saved_at = time.monotonic()
    save_all(members)
    return first.state.position.epoch == first.plan.epochs


class Teller:
    """Passes on where a stack stands, a few times a second, with what its last whole epoch gave."""

    def __init__(self, members: Sequence[Member], watcher: SeedsWatcher) -> None:
        self.members, self.watcher, self.told = members, watcher, 0.0
        self.records: list[Record] = []

    def __call__(self, state: TrainingState, steps: int) -> None:
        if not self.records or time.monotonic() - self.told < TELL_SECONDS:
            return
        self.told = time.monotonic()
        first = self.members[0].training
        done = first.plan.steps_done(state.position, len(first.dataset.train))
        for member, record in zip(self.members, self.records, strict=True):
            accuracy = tuple(record.train_accuracy.values())
            self.watcher.on_standing(member.seed, Standing(done, record.train_loss, accuracy))


def save_all(members: Sequence[Member]) -> None:
    """A checkpoint of each seed."""
    for member in members:
        save_checkpoint(member.run, member.training.state)
