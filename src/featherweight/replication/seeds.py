"""Train one recipe with many seeds in parallel, and summarise the results."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch

from featherweight.continuation import check_start, recipe_from
from featherweight.crews import Crew
from featherweight.devices import pick_device
from featherweight.errors import DeviceError, RecipeError, TrainingInterrupted
from featherweight.experiment import name_of
from featherweight.locks import RESUME_SECONDS, writing
from featherweight.models import Blueprint
from featherweight.networks import find_network, match_images
from featherweight.preparation import build_training, load_data
from featherweight.recipe import Recipe
from featherweight.replication.folder import Replicas, check_folder, open_folder
from featherweight.replication.job import Job, SeedsWatcher, Unwatched
from featherweight.replication.one_process import can_keep_step, train_in_one_process
from featherweight.replication.processes import crew_for, train_with_crew
from featherweight.results import compare_with_goal
from featherweight.runs import Run
from featherweight.statistics import bootstrap_interval, summarize_values
from featherweight.tasks import build_task
from featherweight.teachers import keep_apart, with_teacher
from featherweight.training.stop_signals import stop_signals
from featherweight.wording import option
from featherweight.workers import refuse_while_importing


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
    on: str = "local",
    storage: str | Path | None = None,
) -> Replicas:
    """Train a recipe once with each seed, in parallel, and return the folder of the runs.

    On a CPU, each run is bit for bit the same as its seed trained alone on one thread.
    On a GPU, all seeds are trained together in one process.
    In a script, call it under `if __name__ == "__main__"`, because worker processes import the script.

    out: the folder, by default runs/NAME-Nseeds.
    start: a finished run whose weights are the first weights of every seed. Its recipe is the default recipe.
    resume: continue the seeds of an earlier call. More seeds may be added.
    force: replace the runs that the folder holds.
    on: "local" for worker processes on this machine; "ray" or "ray:HOST:PORT" for the CPUs of a Ray cluster.
    storage: a folder or URL that all nodes of the cluster share, where a seed of a dead worker is resumed from.
    Raises the errors of train_recipe and of open_crew, and RunError with the name of a seed that failed.
    After a failure, the other runs are kept, but no summary is written: it would cover the successful seeds only.
    """
    refuse_while_importing()
    device = device_for(on, device)
    watcher = watcher or Unwatched()
    recipe = recipe_from(start, recipe)
    seeds = check_seeds(seeds)
    replicas = Replicas(Path(out) if out is not None else Path("runs") / f"{name_of(recipe)}-{len(seeds)}seeds")
    keep_apart(recipe, replicas.path)
    blueprint = find_network(recipe)
    recipe = match_images(recipe, blueprint, watcher.on_note)
    check_folder(replicas, recipe, seeds, resume=resume, force=force)   # before the slow part: data and teacher
    with writing(replicas.path, wait=RESUME_SECONDS if resume else 0):
        return train_in_folder(
            replicas, recipe, seeds, blueprint, data_dir, device, watcher, resume=resume, force=force, on=on,
            storage=None if storage is None else str(storage),
        )


def train_in_folder(
    replicas: Replicas, recipe: Recipe, seeds: Sequence[int], blueprint: Blueprint, data_dir: str | Path | None,
    device: str, watcher: SeedsWatcher, *, resume: bool, force: bool, on: str, storage: str | None,
) -> Replicas:
    """Train the missing seeds and write the summary. The caller holds the lock of the folder."""
    finished = [seed for seed in seeds if resume and replicas.run(seed).finished]
    todo = [seed for seed in seeds if seed not in finished]
    torch_device = pick_device(device)
    with torch.random.fork_rng():   # raise all errors of the recipe before the folder is changed
        dataset = load_data(recipe, data_dir)
        if todo:    # once for all seeds
            dataset = with_teacher(recipe, dataset, torch_device, seeds, tell=watcher.on_teacher)
        check_start(recipe, seeds)
        training = build_training(recipe.with_seed(seeds[0]), dataset, torch_device, blueprint)
    for note in training.notes:
        watcher.on_note(note)
    job = Job(recipe, dataset, device, replicas, on, storage, None if on == "local" else training.source())
    alone = not todo or can_keep_step(recipe, torch_device)
    with nullcontext() if alone else crew_for(job, len(todo)) as crew:      # opened before the folder is changed
        open_folder(replicas, recipe, seeds, resume=resume, force=force)
        begun = replicas.seeds
        watcher.on_start(training, seeds, finished, min(crew.slots, len(todo)) if crew else len(todo))
        if todo:
            replicas.forget_summary()
            seconds = train_missing(job, crew, todo, watcher)
    for seed in todo:       # a worker keeps trust in its own memory if it cannot be stored
        replicas.run(seed).trust()
    if todo or not (replicas.path / "summary.json").exists():
        write_summary(replicas, seeds, seconds if todo and not begun else None)
    return replicas


def device_for(on: str, device: str) -> str:
    """Return the device for a place: on a cluster the CPU. Raises DeviceError if another device was chosen for it."""
    if on == "local":
        return device
    if device not in ("auto", "cpu"):
        raise DeviceError(f"device {device!r} cannot be used on a Ray cluster, which trains on CPUs. Leave out "
                          f"{option('device')}, or train on this machine.")
    return "cpu"


def train_missing(job: Job, crew: Crew | None, todo: Sequence[int], watcher: SeedsWatcher) -> float:
    """Train these seeds and return the seconds it took. Raises TrainingInterrupted after Ctrl-C or SIGTERM.

    crew: the workers that train, or None to train in this process.
    """
    started = time.perf_counter()
    with stop_signals() as caught:
        if crew is None:
            done = train_in_one_process(job, todo, watcher, lambda: bool(caught))
        else:
            done = train_with_crew(job, crew, todo, watcher, lambda: bool(caught))
    if caught:
        raise TrainingInterrupted(caught[0], (
            f"interrupted with {len(done)} of {len(todo)} seeds trained; the checkpoints of the others are "
            f"written. Go on with the same command and {option('resume')}."
        ))
    return time.perf_counter() - started


def check_seeds(seeds: Sequence[int]) -> list[int]:
    """Return the seeds as a list. Raises RecipeError if the list is empty, has a seed twice, or one out of range."""
    if not seeds:
        raise RecipeError("no seeds are given. Give a count, such as 20, or a list, such as 3,7,11.")
    for seed in seeds:
        if not 0 <= seed < 2**63:
            raise RecipeError(f"seed {seed} is not between 0 and 2^63 - 1.")
        if list(seeds).count(seed) > 1:
            raise RecipeError(f"seed {seed} is given twice. Give each seed once.")
    return list(seeds)


def write_summary(replicas: Replicas, seeds: Sequence[int], wall_seconds: float | None) -> None:
    """Write summary.json over all seeds. wall_seconds: None if an earlier call trained some of the seeds."""
    runs = [replicas.run(seed) for seed in seeds]
    first = runs[0].result
    test = {head: describe([run.result["test"][head]["accuracy"] for run in runs]) for head in first["test"]}
    heads = build_task(runs[0].recipe.task).heads       # without "both", which is not a head
    goal = compare_with_goal(runs[0].recipe, first["parameters"], {head: test[head]["mean"] for head in heads})
    same = ("recipe", "model", "parameters", "dataset", "train_images", "device", "precision", "engine")
    content = {
        **{key: first[key] for key in same if key in first},        # runs of earlier versions have no engine
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
    """Return the part of the summary about epochs: the largest number of epochs of a seed.

    Also each seed's kept epoch if the recipe keeps the best epoch, and its last epoch if a seed stopped early.
    """
    content: dict[str, Any] = {"epochs": max(result["epochs"] for result in results)}
    if all("kept" in result for result in results):
        kept = [result["kept"] for result in results]
        content["kept"] = {"epochs": [one["epoch"] for one in kept], "by": kept[0]["by"]}
    if early := [result["stopped_early"] for result in results if "stopped_early" in result]:
        content["stopped_early"] = {**early[0], "after": [result["epochs"] for result in results]}
    return content


def describe(accuracies: Sequence[float]) -> dict[str, Any]:
    """Return the statistics of the accuracies, and the accuracies themselves.

    Statistics: mean, sample standard deviation, lowest, highest, 95 % bootstrap interval of the mean, count.
    """
    found = summarize_values(accuracies)
    return {
        "mean": found.mean, "standard_deviation": found.spread, "lowest": found.lowest, "highest": found.highest,
        "interval": list(bootstrap_interval(accuracies)), "count": found.count, "accuracies": list(accuracies),
    }
