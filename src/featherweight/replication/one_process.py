"""Train all seeds of a recipe in one process, all at the same step. Used on a GPU."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby, islice

import torch

from featherweight.devices import cuda_devices, pick_device
from featherweight.experiment import CHECKPOINT_SECONDS, as_line, begin_run, engine_of
from featherweight.preparation import PreparedTraining, build_training
from featherweight.recipe import Recipe
from featherweight.replication.job import TELL_SECONDS, Job, SeedsWatcher, Standing
from featherweight.results import write_result
from featherweight.runs import Run
from featherweight.training.checkpoint import save_checkpoint
from featherweight.training.loop import train as train_replicas
from featherweight.training.plan import Record
from featherweight.training.state import Position
from featherweight.user_code import unwarned

MOST_AT_ONCE = 256      # replicas
SAVING_PART = 0.05      # the largest fraction of the time to spend on checkpoints


@dataclass(frozen=True)
class Member:
    """One seed with its run folder and its training."""

    seed: int
    run: Run
    training: PreparedTraining

    @property
    def position(self) -> tuple[int, int]:
        """Finished epochs, and finished steps of the next epoch."""
        return self.training.state.position.epoch, self.training.state.position.step


def can_keep_step(recipe: Recipe, device: torch.device) -> bool:
    """Return True on a GPU, if all seeds share the learning rate of each step and the last epoch.

    With the schedule "plateau", the learning rates of the seeds differ. With patience, their last epochs differ.
    """
    return device.type == "cuda" and recipe.schedule.name != "plateau" and recipe.training.patience == 0


def train_in_one_process(
    job: Job, seeds: Sequence[int], watcher: SeedsWatcher, should_stop: Callable[[], bool]
) -> list[int]:
    """Train these seeds together, or resume them, and return the seeds that are finished.

    Each run equals that of its seed trained alone, except for rounding and dropout: all seeds share one generator.
    """
    job = replace(job, dataset=job.dataset.to(pick_device(job.device)))     # one copy on the device for all seeds
    with torch.random.fork_rng(devices=cuda_devices()):
        members = [begin(job, seeds[0])]
        members += [begin(job, seed, members[0].training) for seed in seeds[1:]]
        done: list[int] = []
        for _, group in groupby(sorted(members, key=lambda one: one.position), key=lambda one: one.position):
            for part in batched(group, MOST_AT_ONCE):
                if should_stop() or not run_members(part, watcher, should_stop):
                    return done
                for member in part:
                    watcher.on_finish(member.seed, write_result(member.run, member.training).result)
                done += [member.seed for member in part]
    return done


def batched(members: Iterable[Member], size: int) -> Iterator[list[Member]]:
    """Yield lists of `size` members. The last list may be shorter."""
    waiting = iter(members)
    while part := list(islice(waiting, size)):
        yield part


def begin(job: Job, seed: int, first: PreparedTraining | None = None) -> Member:
    """Create the run folder of a seed, or reopen it to resume.

    first: the training of another seed. Its network is reused, so that it is checked only once.
    """
    recipe, run = job.recipe.with_seed(seed), job.replicas.run(seed)
    blueprint, notes = (first.blueprint, first.notes) if first else (None, None)
    training = build_training(recipe, job.dataset, pick_device(job.device), blueprint, notes, engine_of(run),
                              job.measure_code)
    begin_run(run, recipe, training)
    return Member(seed, run, training)


def run_members(members: Sequence[Member], watcher: SeedsWatcher, should_stop: Callable[[], bool]) -> bool:
    """Train all members together. Write their histories and checkpoints now and then, and at the end.

    Returns True if the last epoch is finished, False if the training was interrupted.
    """
    trainings, saver = [member.training for member in members], Saver(members)
    first = trainings[0]
    epochs = train_replicas(
        [one.replica for one in trainings], first.task, on_step=Teller(members, watcher), should_stop=should_stop
    )
    with unwarned():
        for records in epochs:
            saver.after_epoch(records)
    saver.save()
    return first.state.position.epoch == first.plan.epochs


class Teller:
    """Callback after each step that reports the progress of all members, every TELL_SECONDS at most."""

    def __init__(self, members: Sequence[Member], watcher: SeedsWatcher) -> None:
        self.members, self.watcher, self.told = members, watcher, 0.0

    def __call__(self, position: Position, steps: int) -> None:
        if time.monotonic() - self.told < TELL_SECONDS:
            return
        self.told = time.monotonic()
        for member in self.members:
            self.watcher.on_standing(member.seed, Standing.of(member.training))


class Saver:
    """Writer of the histories and checkpoints of all seeds.

    For 256 seeds, writing can take as long as training. Writing therefore takes at most SAVING_PART of the time.
    """

    def __init__(self, members: Sequence[Member]) -> None:
        self.members, self.saved_at, self.took = members, time.monotonic(), 0.0
        self.histories = [member.run.history[: member.position[0]] for member in members]

    def after_epoch(self, records: Sequence[Record]) -> None:
        """Append each seed's record to its history. Save all seeds if the last save is long enough ago."""
        for history, record in zip(self.histories, records, strict=True):
            history.append(as_line(record))
        if time.monotonic() - self.saved_at > max(CHECKPOINT_SECONDS, self.took / SAVING_PART):
            self.save()

    def save(self) -> None:
        """Write the history and a checkpoint of each seed."""
        started = time.monotonic()
        for member, history in zip(self.members, self.histories, strict=True):
            member.run.save_history(history)
            save_checkpoint(member.run, member.training.state)
        self.saved_at = time.monotonic()
        self.took = self.saved_at - started
