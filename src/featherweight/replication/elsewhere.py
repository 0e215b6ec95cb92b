"""Train a seed on another machine: the run travels there as one block of bytes, and comes back the same way.

The worker trains in a temporary folder. With a storage it also saves the run there while it trains. If the worker or
its node dies, the next worker resumes the run from the storage, else from its beginning.
"""

from __future__ import annotations

import tempfile
from base64 import b64decode, b64encode
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

from featherweight.crews.storage import load, pack, unpack
from featherweight.errors import TrainingInterrupted
from featherweight.locks import writing
from featherweight.replication.folder import Replicas
from featherweight.replication.job import Job
from featherweight.replication.one_seed import Teller, train_one
from featherweight.replication.stored import TRAVELS, Saver, remove
from featherweight.runs import Run, create_run
from featherweight.training.plan import Record
from featherweight.user_code import trust
from featherweight.workers import Tell


def send(job: Job, seed: int) -> dict[str, Any]:
    """Return the data of a task: the seed, and its run folder as it is here. The folder is created if it is missing.

    The run holds the source of a user's network, so that the other machine does not need the user's file.
    Raises Untrusted for a run with a source that the user has not trusted.
    """
    run = job.replicas.run(seed)
    with writing(run.path):
        if not run.begun:
            create_run(run.path, job.recipe.with_seed(seed), job.source)
        elif run.source is not None:
            trust.check(run.source.sha256, run.path)
        return {"seed": seed, "run": as_text(run), "stored": name_in_storage(job, seed)}


def receive(job: Job, seed: int, value: dict[str, Any]) -> None:
    """Write the run that a worker returned into its folder, and delete its block in the storage."""
    run = job.replicas.run(seed)
    with writing(run.path):
        unpack(b64decode(value["run"]), run.path, TRAVELS)
    remove(job.storage, name_in_storage(job, seed))


def train_elsewhere(job: Job, data: dict[str, Any], tell: Tell) -> dict[str, Any]:
    """Train one seed in a worker of a cluster. Return its run as text, and its result, None if it was stopped."""
    seed, stored = data["seed"], data["stored"]
    with tempfile.TemporaryDirectory(prefix="featherweight-") as folder:
        job = replace(job, replicas=Replicas(Path(folder)))
        run = job.replicas.run(seed)
        block = load(job.storage, stored) if job.storage is not None else None
        unpack(block or b64decode(data["run"]), run.path, TRAVELS)
        run.trust()     # the run came from the user, who trusts it
        try:
            result = train_one(job, seed, Carrier(tell, run, job.storage, stored))
        except TrainingInterrupted:
            return {"run": as_text(run), "result": None}
        return {"run": as_text(run), "result": result}


class Carrier(Teller):
    """Watcher of a training elsewhere. Sends the progress, and saves the run in the storage."""

    def __init__(self, tell: Tell, run: Run, storage: str | None, name: str) -> None:
        super().__init__(tell)
        self.saver = Saver(run, storage, name)

    def on_epoch(self, record: Record) -> None:
        self.saver.on_epoch(record)


def as_text(run: Run) -> str:
    """Return the files of a run as text."""
    return b64encode(pack(run.path, TRAVELS)).decode()


def name_in_storage(job: Job, seed: int) -> str:
    """Name of a seed's block in the storage. Trainings of other recipes or folders have other names."""
    training = f"{job.recipe.with_seed(seed).to_toml()}\n{job.replicas.path.resolve()}"
    return f"seed-{seed}-{sha256(training.encode()).hexdigest()[:16]}.zip"
