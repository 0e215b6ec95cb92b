"""Tasks of a search, as workers run them: plain data come in, a record goes out.

A worker keeps nothing. With a storage, a task whose worker or node died goes on from its last checkpoint there.
"""

from __future__ import annotations

import base64
import time
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, TypeVar

import torch

from featherweight.data import Dataset
from featherweight.errors import ModelError
from featherweight.experiment import train_recipe
from featherweight.recipe import Recipe
from featherweight.replication.stored import stored_run
from featherweight.search.problem import recipe_for
from featherweight.search.records import Candidate
from featherweight.trial import resume_trial, run_trial

Tell = Callable[[Any], None]
Result = TypeVar("Result")


@dataclass(frozen=True)
class Shared:
    """The data that all tasks of a search read.

    content: of the recipe that all candidates share. folder: of the search.
    storage: place that all nodes of a cluster share, where a training is resumed from; None for none.
    """

    content: dict[str, Any]
    dataset: Dataset
    folder: str = ""
    storage: str | None = None

    def recipe(self, data: dict[str, Any], *, everything: bool) -> Recipe:
        """Return the recipe of a task. everything: hold out no validation images."""
        return recipe_for(self.content, Candidate.from_dict(data["candidate"]), epochs=data["epochs"],
                          seed=data["seed"], name=data["name"], everything=everything)

    def name_in_storage(self, recipe: Recipe) -> str:
        """Name of a task's run in the storage. Other recipes and other searches have other names."""
        return f"trial-{sha256(f'{recipe.to_toml()}{self.folder}'.encode()).hexdigest()[:20]}.zip"


def measure(shared: Shared, data: dict[str, Any], tell: Tell) -> dict[str, Any]:
    """Train a candidate and measure it on validation images. The data hold no test images."""
    recipe, started = shared.recipe(data, everything=False), time.perf_counter()
    accuracy = one_line(lambda: accuracy_of(recipe, shared))
    return {"accuracy": accuracy, "seconds": round(time.perf_counter() - started, 3)}


def accuracy_of(recipe: Recipe, shared: Shared) -> float:
    """Return the accuracy on validation images. With a storage, go on from the last checkpoint there."""
    device = torch.device("cpu")
    if shared.storage is None:
        scores = run_trial(recipe, shared.dataset, device).validation
    else:
        with stored_run(shared.storage, shared.name_in_storage(recipe)) as (run, saver):
            scores = resume_trial(run, recipe, shared.dataset, device, saver)
    return next(iter(scores.values())).accuracy


def examine(shared: Shared, data: dict[str, Any], tell: Tell) -> dict[str, Any]:
    """Train a chosen network on all training images, test it once, and return the files of its run folder."""
    recipe, started = shared.recipe(data, everything=True), time.perf_counter()
    with stored_run(shared.storage, shared.name_in_storage(recipe)) as (run, saver):
        done = one_line(lambda: train_recipe(recipe, run.path, device="cpu", dataset=shared.dataset, resume=run.begun,
                                             watcher=saver))
        accuracy = next(iter(done.result["test"].values()))["accuracy"]
        files = {str(file.relative_to(run.path)): base64.b64encode(file.read_bytes()).decode()
                 for file in sorted(run.path.rglob("*")) if file.is_file()}
    return {"accuracy": accuracy, "seconds": round(time.perf_counter() - started, 3), "files": files}


def one_line(work: Callable[[], Result]) -> Result:
    """Return the result of the work. A fault of torch or of the compiler fails this candidate only, in one line."""
    try:
        return work()
    except (RuntimeError, ValueError, MemoryError) as fault:
        raise ModelError(f"{type(fault).__name__}: {' '.join(str(fault).split())}") from fault
