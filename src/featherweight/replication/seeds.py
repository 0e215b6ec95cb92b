"""One recipe trained with many seeds, side by side."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from featherweight.continuation import check_start, recipe_from
from featherweight.devices import pick_device
from featherweight.errors import RecipeError, TrainingInterrupted
from featherweight.experiment import name_of
from featherweight.locks import RESUME_SECONDS, writing
from featherweight.models import Blueprint
from featherweight.networks import find_network, match_images
from featherweight.preparation import build_training, load_data
from featherweight.recipe import Recipe
from featherweight.replication.folder import Replicas, check_folder, open_folder
from featherweight.replication.job import Job, SeedsWatcher, Unwatched
from featherweight.replication.one_process import can_keep_step, train_in_one_process
from featherweight.replication.processes import train_in_processes
from featherweight.results import compare_with_goal
from featherweight.runs import Run
from featherweight.statistics import bootstrap_interval, summarize_values
from featherweight.tasks import build_task
from featherweight.teachers import keep_apart, with_teacher
from featherweight.training.stop_signals import stop_signals
from featherweight.wording import option
from featherweight.workers import cores, refuse_while_importing


def train_seeds(
    recipe: Recipe | str | Path | None,
    seeds: Sequence[int],
    out: str | Path | None = None,
    *,
    start: Run | str | Path | None = None,
    data_dir: str | Path | None = None,
    device: str = "auto",
    resume: bool = False,
    force: bool = False,
    watcher: SeedsWatcher | None = None,
) -> Replicas:
    """Train a recipe once with each seed, side by side; out defaults to runs/NAME-Nseeds.

    On a CPU each run is the same, bit for bit, as its seed trained alone on one thread; on a GPU all seeds go in
    step in one process. In a script the call belongs under if __name__ == "__main__", since worker processes import the
    script. start: a finished run with whose weights every seed begins; its own recipe is the default. resume goes on
    with what an earlier call began and may add seeds. Raises what experiment.train raises, and RunError naming a seed
    that could not be trained: the others are kept, but no summary is written of seeds that happened to go well.
    """
    refuse_while_importing()
    watcher = watcher or Unwatched()
    recipe = recipe_from(start, recipe)
    seeds = check_seeds(seeds)
    replicas = Replicas(Path(out) if out is not None else Path("runs") / f"{name_of(recipe)}-{len(seeds)}seeds")
    keep_apart(recipe, replicas.path)
    blueprint = find_network(recipe)
    recipe = match_images(recipe, blueprint, watcher.on_note)
    check_folder(replicas, recipe, seeds, resume=resume, force=force)   # before data is loaded and a teacher asked
    with writing(replicas.path, wait=RESUME_SECONDS if resume else 0):
        return train_in_folder(
            replicas, recipe, seeds, blueprint, data_dir, device, watcher, resume=resume, force=force
        )


def train_in_folder(
    replicas: Replicas, recipe: Recipe, seeds: Sequence[int], blueprint: Blueprint, data_dir: str | Path | None,
    device: str, watcher: SeedsWatcher, *, resume: bool, force: bool,
) -> Replicas:
    """Do the work of train_seeds, in a folder that no other process writes into."""
    finished = [seed for seed in seeds if resume and replicas.run(seed).finished]
    todo = [seed for seed in seeds if seed not in finished]
    torch_device = pick_device(device)
    with torch.random.fork_rng():   # whatever is wrong with the recipe is found before a folder is touched
        dataset = load_data(recipe, data_dir)
        if todo:    # once, not once a seed
            dataset = with_teacher(recipe, dataset, torch_device, seeds, tell=watcher.on_teacher)
        check_start(recipe, seeds)
        training = build_training(recipe.with_seed(seeds[0]), dataset, torch_device, blueprint)
    for note in training.notes:
        watcher.on_note(note)
    open_folder(replicas, recipe, seeds, resume=resume, force=force)
    begun = replicas.seeds
    in_step = can_keep_step(recipe, torch_device)
    watcher.on_start(training, seeds, finished, len(todo) if in_step else min(cores(), len(todo)))
    if todo:
        replicas.forget_summary()
        seconds = train_missing(Job(recipe, dataset, device, replicas), todo, watcher, in_step=in_step)
        for seed in todo:       # trusted by its worker alone, where trust cannot be written down
            replicas.run(seed).trust()
        write_summary(replicas, seeds, None if begun else seconds)
    elif not (replicas.path / "summary.json").exists():
        write_summary(replicas, seeds, None)
    return replicas


def train_missing(job: Job, todo: Sequence[int], watcher: SeedsWatcher, *, in_step: bool) -> float:
    """Train these seeds; the seconds that it took. Raises TrainingInterrupted where not all came to their end."""
    started, train_side_by_side = time.perf_counter(), train_in_one_process if in_step else train_in_processes
    with stop_signals() as caught:
        done = train_side_by_side(job, todo, watcher, lambda: bool(caught))
    if caught:
        raise TrainingInterrupted(caught[0], (
            f"interrupted with {len(done)} of {len(todo)} seeds trained; the checkpoints of the others are "
            f"written. Go on with the same command and {option('resume')}."
        ))
    return time.perf_counter() - started


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
    """What all seeds gave. wall_seconds is None where an earlier call did a part of the work."""
    runs = [replicas.run(seed) for seed in seeds]
    first = runs[0].result
    test = {head: describe([run.result["test"][head]["accuracy"] for run in runs]) for head in first["test"]}
    heads = build_task(runs[0].recipe.task).heads       # "both" is none
    goal = compare_with_goal(runs[0].recipe, first["parameters"], {head: test[head]["mean"] for head in heads})
    same = ("recipe", "model", "parameters", "dataset", "train_images", "device", "precision")
    content = {
        **{key: first[key] for key in same},
        **endings([run.result for run in runs]),
        "seeds": list(seeds),
        "seconds_a_seed": round(summarize_values([run.result["seconds"] for run in runs]).mean, 3),
        "wall_seconds": None if wall_seconds is None else round(wall_seconds, 3),
        "test": test,
        **({"start": first["start"]} if "start" in first else {}),
        "notes": list(dict.fromkeys(note for run in runs for note in run.result.get("notes", []))),
        "goal": goal,
    }
    replicas.save_summary(content)


def endings(results: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The most epochs of a seed; the epoch that each seed keeps, and after which it stopped, if the recipe chooses."""
    content: dict[str, Any] = {"epochs": max(result["epochs"] for result in results)}
    if all("kept" in result for result in results):
        kept = [result["kept"] for result in results]
        content["kept"] = {"epochs": [one["epoch"] for one in kept], "by": kept[0]["by"]}
    if early := [result["stopped_early"] for result in results if "stopped_early" in result]:
        content["stopped_early"] = {**early[0], "after": [result["epochs"] for result in results]}
    return content


def describe(accuracies: Sequence[float]) -> dict[str, Any]:
    """Mean, sample standard deviation, lowest, highest, 95 % bootstrap interval of the mean, count, and all of them."""
    found = summarize_values(accuracies)
    return {
        "mean": found.mean, "standard_deviation": found.spread, "lowest": found.lowest, "highest": found.highest,
        "interval": list(bootstrap_interval(accuracies)), "count": found.count, "accuracies": list(accuracies),
    }
