"""All seeds of a recipe side by side in processes of one thread each: how a CPU trains them."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from featherweight.errors import RunError
from featherweight.experiment import Silent, train_recipe
from featherweight.locks import RESUME_SECONDS, writing
from featherweight.preparation import PreparedTraining
from featherweight.replication.job import TELL_SECONDS, Job, SeedsWatcher, Standing
from featherweight.training.state import TrainingState
from featherweight.workers import Tell, run_jobs


def train_in_processes(
    job: Job, seeds: Sequence[int], watcher: SeedsWatcher, should_stop: Callable[[], bool]
) -> list[int]:
    """Train these seeds in worker processes, from wherever an earlier call left them; the seeds that are done.

    Raises RunError naming a seed that could not be trained, after the others are.
    """
    def on_message(seed: int, message: Standing | dict[str, Any]) -> None:
        if isinstance(message, Standing):
            watcher.on_standing(seed, message)
        else:
            watcher.on_finish(seed, message)

    outcomes = run_jobs(train_one, seeds, job, on_message=on_message, should_stop=should_stop)
    if outcomes.failed and not outcomes.stopped:
        seed, why = next(iter(outcomes.failed.items()))
        count = f"{len(outcomes.failed)} of {len(seeds)}"
        raise RunError(f"{count} seeds failed, so there is no summary. Seed {seed}: {why}")
    return outcomes.done


def train_one(job: Job, seed: int, tell: Tell) -> None:
    """One seed in a worker: begun, or gone on with where it left something."""
    run = job.replicas.run(seed)
    with writing(run.path, wait=RESUME_SECONDS):    # a worker of a parent that was killed may still end
        pass
    begun = (run.path / "recipe.toml").exists()
    done = train_recipe(
        job.recipe.with_seed(seed), run.path, device=job.device, resume=begun, dataset=job.dataset, watcher=Teller(tell)
    )
    tell(done.result)


class Teller(Silent):
    """The watcher of a worker: it passes on where its training stands, a few times a second."""

    def __init__(self, tell: Tell) -> None:
        self.tell = tell
        self.told = 0.0

    def on_start(self, training: PreparedTraining) -> None:
        self.plan, self.images = training.plan, len(training.dataset.train)

    def on_step(self, state: TrainingState, steps: int) -> None:
        now, position = time.monotonic(), state.position
        if now - self.told > TELL_SECONDS:
            self.told = now
            accuracy = tuple(right / position.seen for right in position.correct)
            done = self.plan.steps_done(position, self.images)
            self.tell(Standing(done, position.loss_sum / position.seen, accuracy))
