"""Train one seed in a worker process: on this machine, or as part of a training on another one."""

from __future__ import annotations

import time
from typing import Any

from featherweight.experiment import Silent, train_recipe
from featherweight.locks import RESUME_SECONDS, writing
from featherweight.preparation import PreparedTraining
from featherweight.replication.job import TELL_SECONDS, Job, Standing
from featherweight.training.state import TrainingState
from featherweight.workers import Tell


def train_here(job: Job, data: dict[str, Any], tell: Tell) -> dict[str, Any]:
    """Train one seed in a worker process on this machine, and return its result."""
    return {"result": train_one(job, data["seed"], Teller(tell))}


def train_one(job: Job, seed: int, watcher: Silent) -> dict[str, Any]:
    """Train one seed, or resume it if its run folder has a recipe. Return its result."""
    run = job.replicas.run(seed)
    with writing(run.path, wait=RESUME_SECONDS):    # wait: a worker of a killed parent process may still be writing
        pass
    done = train_recipe(
        job.recipe.with_seed(seed), run.path, device=job.device, resume=run.begun, dataset=job.dataset,
        watcher=watcher, measure_code=job.measure_code,
    )
    return done.result


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
