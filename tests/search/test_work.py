"""A task that was killed goes on from its checkpoint in the storage, to the same result."""

from __future__ import annotations

import base64
import os
import subprocess
import sys
import time

import pytest

from featherweight.crews import storage
from featherweight.errors import ModelError
from featherweight.replication.stored import Saver
from featherweight.search.problem import load
from featherweight.search.work import Shared, examine, measure

SETTINGS = ("training.engine=torch", "training.batch_size=50", "data.validation=200")
TASK = {"candidate": {"words": "words:c4 p c6 g h", "settings": {}}, "epochs": 8, "seed": 1, "name": "trial-0"}
SCRIPT = """
import sys

import featherweight.replication.stored as stored
from featherweight.search.problem import load
from featherweight.search import work

if __name__ == "__main__":
    stored.CHECKPOINT_SECONDS = 0
    content, dataset = load("digits", {settings!r}, None)
    work.measure(work.Shared(content, dataset, "here", sys.argv[1]), {task!r}, print)
"""


@pytest.fixture(scope="module")
def data():
    return load("digits", SETTINGS, None)


@pytest.fixture
def steps(monkeypatch):
    """Set the time between two checkpoints to 0. The fixture is the list of epochs that were trained."""
    epochs, before = [], Saver.on_epoch
    monkeypatch.setattr("featherweight.replication.stored.CHECKPOINT_SECONDS", 0)
    monkeypatch.setattr("featherweight.experiment.SHORT_SECONDS", 0)

    def on_epoch(self, record):
        epochs.append(record.epoch)
        before(self, record)

    monkeypatch.setattr(Saver, "on_epoch", on_epoch)
    return epochs


@pytest.fixture(scope="module")
def undisturbed(data):
    return {work: work(Shared(*data), TASK, print) for work in (measure, examine)}


def test_a_task_goes_on_where_its_worker_was_killed(data, undisturbed, tmp_path, steps):
    script, place = tmp_path / "script.py", tmp_path / "storage"
    script.write_text(SCRIPT.format(settings=SETTINGS, task=TASK))
    worker = subprocess.Popen([sys.executable, script, place], env={**os.environ, "OMP_NUM_THREADS": "1"})
    try:
        until = time.monotonic() + 120
        while not list(place.glob("*.zip")) and time.monotonic() < until:
            assert worker.poll() is None
            time.sleep(0.02)
    finally:
        worker.kill()
        worker.wait()
    again = measure(Shared(*data, "here", str(place)), TASK, print)
    assert again["accuracy"] == undisturbed[measure]["accuracy"]
    assert steps == list(range(steps[0], TASK["epochs"] + 1)) and steps[0] > 1 and list(place.iterdir()) == []


class Killed(BaseException):
    """As if the process ended here."""


def test_the_last_training_goes_on_to_the_same_weights(data, undisturbed, tmp_path, steps, monkeypatch):
    shared = Shared(*data, "here", str(tmp_path))

    def dying(*arguments):
        storage.save(*arguments)
        if steps[-1] == 3:
            raise Killed

    with monkeypatch.context() as patch:
        patch.setattr("featherweight.replication.stored.save", dying)
        with pytest.raises(Killed):
            examine(shared, TASK, print)
    again = examine(shared, TASK, print)
    assert steps == list(range(1, TASK["epochs"] + 1)) and list(tmp_path.iterdir()) == []
    assert weights(again) == weights(undisturbed[examine])


def weights(value: dict) -> bytes:
    """Bytes of the tensors. The header before them holds the time of the training."""
    content = base64.b64decode(value["files"]["model.safetensors"])
    return content[8 + int.from_bytes(content[:8], "little"):]


def test_a_task_that_fails_leaves_nothing_in_the_storage(data, tmp_path, steps, monkeypatch):
    def failing(*arguments, **more):
        raise RuntimeError("out of\nmemory")

    monkeypatch.setattr("featherweight.search.work.resume_trial", failing)
    with pytest.raises(ModelError, match="RuntimeError: out of memory"):
        measure(Shared(*data, "here", str(tmp_path)), TASK, print)
    assert list(tmp_path.iterdir()) == []


def test_searches_and_seeds_do_not_share_blocks(data):
    one, other = Shared(*data, "here"), Shared(*data, "there")
    recipe, next_seed = (one.recipe({**TASK, "seed": seed}, everything=False) for seed in (1, 2))
    names = {one.name_in_storage(recipe), other.name_in_storage(recipe), one.name_in_storage(next_seed)}
    assert len(names) == 3
