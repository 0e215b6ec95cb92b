"""The finished runs that a recipe learns from: opened, checked, and run on the training images."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from featherweight.augment import Augmentation
from featherweight.data import Dataset
from featherweight.data.names import is_path
from featherweight.devices import autocast, pick_precision
from featherweight.distillation import Teacher, soft_labels
from featherweight.errors import RecipeError, RunError
from featherweight.recipe import Recipe
from featherweight.runs import Run, open_runs
from featherweight.wording import call, option


def with_teacher(
    recipe: Recipe,
    dataset: Dataset,
    device: torch.device,
    seeds: Sequence[int] = (),
    tell: Callable[[str, int, int, int], None] = lambda teacher, networks, answered, images: None,
) -> Dataset:
    """Return the data with soft labels of the recipe's teacher. Without a teacher, return the data unchanged.

    dataset: validation images are not held out yet; data that has soft labels already is returned unchanged.
    seeds: those that will be trained, by default the recipe's own.
    tell(teacher, networks, images done, all images) reports progress, first with 0 images done.
    Raises RunError if the teacher is not a finished run, learned other data, or has seen validation images of a seed.
    """
    wanted = recipe.distillation
    if not wanted.teaches or dataset.train.soft is not None:
        return dataset
    runs = open_teacher(wanted.teacher)
    for run in runs:
        check_data(run, recipe, dataset)
        check_validation(run, recipe, seeds or [recipe.training.seed])
    precision = pick_precision(recipe.training.precision, device)
    teachers = [Teacher.of(run, device, precision) for run in runs]
    with autocast(precision, device):
        soft = soft_labels(
            teachers, dataset.train.images, Augmentation(**recipe.augmentation.model_dump()), wanted.temperature,
            device, lambda answered: tell(wanted.teacher, len(runs), answered, len(dataset.train)),
        )
    if not soft.isfinite().all():
        raise RecipeError(f"distillation.temperature: {wanted.temperature:g} gives NaN or infinity for the outputs of "
                          f"{wanted.teacher!r}. Give one between 1 and 10.")
    return replace(dataset, train=dataset.train.taught(soft))


def open_teacher(teacher: str) -> list[Run]:
    """Return the finished runs of a run folder or a folder of seeds. Raise RunError if one is missing or unfinished."""
    try:
        runs = open_runs(teacher)
    except RunError:
        runs = []
    if not runs or not all(run.finished for run in runs):
        missing = next((str(run.path) for run in runs if not run.finished), teacher)
        raise RunError(f"distillation.teacher: {missing!r} is no finished run, nor a folder of seeds that are. Train "
                       f"it first, e.g. {call('train', 'session6', seeds=5, out=teacher)}, {leave_out()}")
    return runs


def leave_out(key: str = "distillation.teacher") -> str:
    """Return the last words of a message: the option that removes a setting from the recipe."""
    return "or leave it out: " + option("set", f'{key}=""')


def check_data(run: Run, recipe: Recipe, dataset: Dataset) -> None:
    """Raise RunError if a teacher learned other images or classes than the recipe's."""
    ours = {"dataset": dataset.name, **recipe.data.seen}
    if not is_path(dataset.name):
        del ours["fit"]     # the images of a named data set are square
    theirs = run.recipe.data.model_dump()
    for key, value in ours.items():
        if theirs[key] != value:
            raise RunError(f"distillation.teacher: {str(run.path)!r} was trained with data.{key} {theirs[key]!r}, this "
                           f"recipe has {value!r}. Give a teacher of the same data, {leave_out()}")
    if tuple(run.result["classes"]) != dataset.classes:
        raise RunError(f"distillation.teacher: {str(run.path)!r} knows the classes {', '.join(run.result['classes'])}, "
                       f"{dataset.name} has {', '.join(dataset.classes)}. Train it again, {leave_out()}")


def check_validation(run: Run, recipe: Recipe, seeds: Sequence[int], key: str = "distillation.teacher") -> None:
    """Raise RunError if a run was trained on images that a seed holds out for validation.

    A network trained from such a run would learn these images indirectly.
    key: the recipe's setting that names the run.
    """
    for seed in seeds if recipe.data.validation else []:
        ours = held_out(recipe.with_seed(seed))
        for theirs in seen_by(run):
            if theirs["data.dataset"] == ours["data.dataset"] and theirs != ours:
                shown = [f"{name}={value}".lower() for name, value in ours.items()
                         if name != "data.dataset" and (value or theirs[name])]
                raise RunError(f"{key}: {str(run.path)!r} was trained on validation images of seed {seed}. "
                               f"Give one with {' and '.join(shown)}, {leave_out(key)}")


def seen_by(run: Run) -> list[dict[str, Any]]:
    """Return the settings of held_out for a run, and for the runs that it started from."""
    return [held_out(run.recipe), *run.result.get("start", {}).get("saw", [])]


def held_out(recipe: Recipe) -> dict[str, Any]:
    """Return the settings that decide which images a recipe holds out."""
    data = recipe.data
    return {"data.dataset": data.dataset, "data.validation": data.validation, "data.split_seed": recipe.split_seed,
            "data.unseen_writers": data.unseen_writers}


def keep_apart(recipe: Recipe, out: Path) -> None:
    """Raise RunError if `out` overlaps the folder of a teacher or a start: training would overwrite it."""
    teacher = recipe.distillation.teacher if recipe.distillation.teaches else ""
    for key, name in (("distillation.teacher", teacher), ("training.start", recipe.training.start)):
        # realpath, unlike resolve(), accepts a loop of links
        folder, other = (Path(os.path.realpath(path)) for path in (name, out))
        if name and (folder.is_relative_to(other) or other.is_relative_to(folder)):
            raise RunError(f"{key}: {name!r} and {option('out', out)} are not apart. Give another {option('out')}.")
