"""One recipe trained with many seeds, side by side."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch

from featherweight.data import Dataset
from featherweight.errors import RecipeError, RunError, TrainingInterrupted
from featherweight.experiment import Silent, Training, build_training, judge, load_data, train
from featherweight.files import write_atomically
from featherweight.recipe import Recipe
from featherweight.replication.folder import Replicas, open_folder
from featherweight.statistics import bootstrap_interval, summarize_values
from featherweight.tasks import build_task
from featherweight.training.interruption import stop_signals
from featherweight.training.state import TrainingState
from featherweight.training.step import pick_device
from featherweight.training.workers import Tell, cores, run_jobs

TELL_SECONDS = 0.3      # between two words of a worker about where it stands


@dataclass(frozen=True)
class Standing:
    """Where the training of one seed stands."""

    steps: int                      # done, of all epochs
    loss: float                     # running, of the epoch under way
    accuracy: tuple[float, ...]     # running, one for each head


class SeedsWatcher(Protocol):
    """Who looks on while seeds are trained."""

    def on_start(self, training: Training, seeds: Sequence[int], finished: Sequence[int], workers: int) -> None:
        """The seeds to train, those among them that are trained already, and how many go side by side."""

    def on_standing(self, seed: int, standing: Standing) -> None:
        """One seed has moved on."""

    def on_finish(self, seed: int, result: dict[str, Any]) -> None:
        """One seed is trained; its result.json is written."""


def train_seeds(
    recipe: Recipe | str | Path,
    seeds: Sequence[int],
    out: str | Path | None = None,
    *,
    data_dir: str | Path | None = None,
    device: str = "auto",
    resume: bool = False,
    force: bool = False,
    watcher: SeedsWatcher | None = None,
) -> Replicas:
    """Train a recipe once with each seed, side by side in processes of one thread; out defaults to runs/NAME-Nseeds.

    Each run is the same, bit for bit, as its seed trained alone on one thread. In a script the call belongs under
    if __name__ == "__main__", since the processes import the script. resume goes on with what an earlier call began
    and may add seeds. Raises what experiment.train raises, and RunError naming the seeds that could not be trained:
    the others are kept, but no summary is written of seeds that happened to go well.
    """
    recipe = recipe if isinstance(recipe, Recipe) else Recipe.load(recipe)
    seeds = check_seeds(seeds)
    replicas = Replicas(Path(out) if out is not None else Path("runs") / f"{recipe.name}-{len(seeds)}seeds")
    torch_device = pick_device(device)
    dataset = load_data(recipe, data_dir)
    with torch.random.fork_rng():   # whatever is wrong with the recipe is found before a folder is touched
        training = build_training(recipe.with_seed(seeds[0]), dataset, torch_device)
    open_folder(replicas, recipe, seeds, resume=resume, force=force)
    finished = [seed for seed in seeds if replicas.run(seed).finished]
    todo = [seed for seed in seeds if seed not in finished]
    if watcher:
        watcher.on_start(training, seeds, finished, min(cores(), len(todo)))
    if todo:
        replicas.forget_summary()
        started = time.perf_counter()
        train_side_by_side(Shared(recipe, dataset, device, replicas), todo, watcher)
        write_summary(replicas, seeds, None if finished else time.perf_counter() - started)
    elif not (replicas.path / "summary.json").exists():
        write_summary(replicas, seeds, None)
    return replicas


@dataclass(frozen=True)
class Shared:
    """What all workers have in common; the images lie in shared memory."""

    recipe: Recipe
    dataset: Dataset
    device: str
    replicas: Replicas


def train_side_by_side(shared: Shared, seeds: Sequence[int], watcher: SeedsWatcher | None) -> None:
    """Train these seeds in worker processes until all are done, or the first stop."""
    def on_message(seed: int, message: Standing | dict[str, Any]) -> None:
        if watcher and isinstance(message, Standing):
            watcher.on_standing(seed, message)
        elif watcher and isinstance(message, dict):
            watcher.on_finish(seed, message)

    with stop_signals() as caught:
        outcomes = run_jobs(train_one, seeds, shared, on_message=on_message, should_stop=lambda: bool(caught))
    if outcomes.stopped:
        raise TrainingInterrupted(caught[0], (
            f"interrupted with {len(outcomes.done)} of {len(seeds)} seeds trained; the checkpoints of the others are "
            f"written. Go on with the same command and --resume."
        ))
    if outcomes.failed:
        seed, why = next(iter(outcomes.failed.items()))
        count = f"{len(outcomes.failed)} of {len(seeds)}"
        raise RunError(f"{count} seeds failed, so there is no summary. Seed {seed}: {why}")


def train_one(shared: Shared, seed: int, tell: Tell) -> None:
    """One seed in a worker: begun, or gone on with where it left something."""
    run = shared.replicas.run(seed)
    begun = (run.path / "recipe.toml").exists()
    done = train(
        shared.recipe.with_seed(seed), run.path, device=shared.device, resume=begun, dataset=shared.dataset,
        watcher=Teller(tell),
    )
    tell(done.result)


class Teller(Silent):
    """The watcher of a worker: it passes on where its training stands, a few times a second."""

    def __init__(self, tell: Tell) -> None:
        self.tell = tell
        self.told = 0.0

    def on_step(self, state: TrainingState, steps: int) -> None:
        now, position = time.monotonic(), state.position
        if now - self.told > TELL_SECONDS:
            self.told = now
            accuracy = tuple(right / position.seen for right in position.correct)
            self.tell(Standing(position.epoch * steps + position.step, position.loss_sum / position.seen, accuracy))


def check_seeds(seeds: Sequence[int]) -> list[int]:
    """The seeds as they are; RecipeError where there is none, one twice, or one that is no seed."""
    if not seeds:
        raise RecipeError("no seeds are given. Give a count, such as 20, or a list, such as 3,7,11.")
    for seed in seeds:
        if not 0 <= seed < 2**63:
            raise RecipeError(f"seed {seed} is not between 0 and 2^63 - 1.")
        if list(seeds).count(seed) > 1:
            raise RecipeError(f"seed {seed} is given twice. Give each seed once.")
    return list(seeds)


def write_summary(replicas: Replicas, seeds: Sequence[int], wall_seconds: float | None) -> None:
    """What all seeds gave. wall_seconds is None where some of them were trained by an earlier call."""
    runs = [replicas.run(seed) for seed in seeds]
    first = runs[0].result
    test = {head: describe([run.result["test"][head]["accuracy"] for run in runs]) for head in first["test"]}
    heads = build_task(runs[0].recipe.task).heads       # "both" is none
    goal = judge(runs[0].recipe, first["parameters"], {head: test[head]["mean"] for head in heads})
    same = ("recipe", "model", "parameters", "dataset", "train_images", "epochs", "device", "precision")
    content = {
        **{key: first[key] for key in same},
        "seeds": list(seeds),
        "seconds_a_seed": round(summarize_values([run.result["seconds"] for run in runs]).mean, 3),
        "wall_seconds": None if wall_seconds is None else round(wall_seconds, 3),
        "test": test,
        "goal": goal,
    }
    write_atomically(replicas.path / "summary.json", (json.dumps(content, indent=2, allow_nan=False) + "\n").encode())


def describe(accuracies: Sequence[float]) -> dict[str, Any]:
    """Mean, sample standard deviation, lowest, highest, 95 % bootstrap interval of the mean, count, and all of them."""
    found = summarize_values(accuracies)
    return {
        "mean": found.mean, "standard_deviation": found.spread, "lowest": found.lowest, "highest": found.highest,
        "interval": list(bootstrap_interval(accuracies)), "count": found.count, "accuracies": list(accuracies),
    }
