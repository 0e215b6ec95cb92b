"""Train all seeds of a recipe in parallel worker processes of one thread each. Used on a CPU."""

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
    """Train these seeds in worker processes, or resume them, and return the seeds that are finished.

    If a seed fails, the others are still trained. Then RunError is raised, with the name of the failed seed.
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
    """Train one seed in a worker process, or resume it if its run folder has a recipe."""
    run = job.replicas.run(seed)
    with writing(run.path, wait=RESUME_SECONDS):    # wait: a worker of a killed parent process may still be writing
        pass
    begun = (run.path / "recipe.toml").exists()
    done = train_recipe(
        job.recipe.with_seed(seed), run.path, device=job.device, resume=begun, dataset=job.dataset,
        watcher=Teller(tell), measure_code=job.measure_code,
    )
    tell(done.result)


class Teller(Silent):
    """Watcher in a worker process. Sends the progress to the parent process, every TELL_SECONDS at most."""

    def __init__(self, tell: Tell) -> None:
        self.tell = tell
        self.told = 0.0

    def on_start(self, training: PreparedTraining) -> None:
        self.training = training

    def on_step(self, state: TrainingState, steps: int) -> None:
        if time.monotonic() - self.told > TELL_SECONDS:
            self.told = time.monotonic()
            self.tell(Standing.of(self.training))
