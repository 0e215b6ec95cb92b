"""Tasks of a search, as workers run them. A worker keeps nothing: plain data come in, a record goes out."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

import torch

from featherweight.data import Dataset
from featherweight.errors import ModelError
from featherweight.experiment import train_recipe
from featherweight.search.problem import recipe_for
from featherweight.search.records import Candidate
from featherweight.trial import run_trial

Shared = tuple[dict[str, Any], Dataset]     # content of the recipe that all candidates share, and the data
Tell = Callable[[Any], None]
Result = TypeVar("Result")


def measure(shared: Shared, data: dict[str, Any], tell: Tell) -> dict[str, Any]:
    """Train a candidate and measure it on validation images. The data hold no test images."""
    content, dataset = shared
    recipe = recipe_for(content, Candidate.from_dict(data["candidate"]), epochs=data["epochs"], seed=data["seed"],
                        name=data["name"])
    started = time.perf_counter()
    trial = one_line(lambda: run_trial(recipe, dataset, torch.device("cpu")))
    accuracy = next(iter(trial.validation.values())).accuracy
    return {"accuracy": accuracy, "seconds": round(time.perf_counter() - started, 3)}


def examine(shared: Shared, data: dict[str, Any], tell: Tell) -> dict[str, Any]:
    """Train a chosen network on all training images, test it once, and return the files of its run folder."""
    content, dataset = shared
    recipe = recipe_for(content, Candidate.from_dict(data["candidate"]), epochs=data["epochs"], seed=data["seed"],
                        name=data["name"], everything=True)
    started = time.perf_counter()
    with TemporaryDirectory() as place:
        run = one_line(lambda: train_recipe(recipe, Path(place) / "run", device="cpu", dataset=dataset))
        accuracy = next(iter(run.result["test"].values()))["accuracy"]
        files = {str(file.relative_to(run.path)): base64.b64encode(file.read_bytes()).decode()
                 for file in sorted(run.path.rglob("*")) if file.is_file()}
    return {"accuracy": accuracy, "seconds": round(time.perf_counter() - started, 3), "files": files}


def one_line(work: Callable[[], Result]) -> Result:
    """Return the result of the work. A fault of torch or of the compiler fails this candidate only, in one line."""
    try:
        return work()
    except (RuntimeError, ValueError, MemoryError) as fault:
        raise ModelError(f"{type(fault).__name__}: {' '.join(str(fault).split())}") from fault
