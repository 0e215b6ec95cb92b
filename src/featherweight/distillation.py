"""Learning from finished runs: what their networks take each training image for, found once before training begins.

Source: Hinton et al. (2015), Distilling the Knowledge in a Neural Network.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from featherweight.augment import Augmentation, normalise
from featherweight.data import Dataset
from featherweight.environment import layout_for
from featherweight.errors import RecipeError, RunError
from featherweight.networks import load_network
from featherweight.recipe import Recipe
from featherweight.runs import Run, open_runs
from featherweight.tasks import Task, ask, build_task
from featherweight.training.step import autocast, pick_precision
from featherweight.wording import call, option

AT_ONCE = 500       # images
MOVES = 2015        # seed of how each image is moved once: the same for all seeds and for a resume


def with_teacher(
    recipe: Recipe,
    dataset: Dataset,
    device: torch.device,
    seeds: Sequence[int] = (),
    tell: Callable[[str, int, int, int], None] = lambda teacher, networks, answered, images: None,
) -> Dataset:
    """The data with soft labels beside the training images, where the recipe has a teacher and the data has none yet.

    seeds: those that will be trained, by default the recipe's own. Validation images are not held out yet. tell is
    called with the teacher, its count of networks, how many images they have answered and how many there are: with
    none, and then every few seconds. Raises RunError where the teacher is no finished run, is one of other data, or
    has seen validation images of a seed.
    """
    wanted = recipe.distillation
    if not wanted.teaches or dataset.train.soft is not None:
        return dataset
    runs = open_teacher(wanted.teacher)
    for run in runs:
        check_data(run, recipe, dataset)
        check_validation(run, recipe, seeds or [recipe.training.seed])
    teachers = [Teacher.of(run, device) for run in runs]
    with autocast(pick_precision(recipe.training.precision, device), device):
        soft = soft_labels(
            teachers, dataset.train.images, Augmentation(**recipe.augmentation.model_dump()), wanted.temperature,
            device, lambda answered: tell(wanted.teacher, len(runs), answered, len(dataset.train)),
        )
    if not soft.isfinite().all():
        raise RecipeError(f"distillation.temperature: {wanted.temperature:g} leaves no numbers of what "
                          f"{wanted.teacher!r} answers. Give one between 1 and 10.")
    return replace(dataset, train=replace(dataset.train, soft=soft.to(dataset.train.images.device)))


def open_teacher(teacher: str) -> list[Run]:
    """The finished runs that a recipe names; RunError where there is one that is none."""
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
    """How to do without the run that a setting of the recipe names."""
    return "or leave it out: " + option("set", f'{key}=""')


def check_data(run: Run, recipe: Recipe, dataset: Dataset) -> None:
    """RunError where a teacher learned other images or classes than the recipe's."""
    ours = {"dataset": dataset.name, **recipe.data.seen}
    theirs = run.recipe.data.model_dump()
    for key, value in ours.items():
        if theirs[key] != value:
            raise RunError(f"distillation.teacher: {str(run.path)!r} was trained with data.{key} {theirs[key]!r}, this "
                           f"recipe has {value!r}. Give a teacher of the same data, {leave_out()}")
    if tuple(run.result["classes"]) != dataset.classes:
        raise RunError(f"distillation.teacher: {str(run.path)!r} knows the classes {', '.join(run.result['classes'])}, "
                       f"{dataset.name} has {', '.join(dataset.classes)}. Train it again, {leave_out()}")


def check_validation(run: Run, recipe: Recipe, seeds: Sequence[int], key: str = "distillation.teacher") -> None:
    """Raise RunError where a run has learned images that a seed holds out: what learns from it would know them.

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
    """The images that a run's weights know, as settings of what was held out: its own, and those of its start."""
    return [held_out(run.recipe), *run.result.get("start", {}).get("saw", [])]


def held_out(recipe: Recipe) -> dict[str, Any]:
    """The settings that say which images a recipe holds out."""
    data = recipe.data
    return {"data.dataset": data.dataset, "data.validation": data.validation, "data.split_seed": recipe.split_seed,
            "data.unseen_writers": data.unseen_writers}


def keep_apart(recipe: Recipe, out: Path) -> None:
    """Raise RunError where a run to learn from and what will be trained share a folder: one would replace the other."""
    teacher = recipe.distillation.teacher if recipe.distillation.teaches else ""
    for key, name in (("distillation.teacher", teacher), ("training.start", recipe.training.start)):
        folder, other = (Path(os.path.realpath(path)) for path in (name, out))     # no fault for a loop of links
        if name and (folder.is_relative_to(other) or other.is_relative_to(folder)):
            raise RunError(f"{key}: {name!r} and {option('out', out)} are not apart. Give another {option('out')}.")


@dataclass(frozen=True)
class Teacher:
    """A finished network with the normalisation that it was trained with."""

    network: nn.Module
    task: Task
    classes: int
    mean: Tensor        # (C,), of training pixels in [0, 1]
    std: Tensor         # (C,)

    @classmethod
    def of(cls, run: Run, device: torch.device) -> Teacher:
        """The network of a finished run on a device."""
        mean, std = (torch.tensor(run.result[key], device=device) for key in ("mean", "std"))
        return cls(load_network(run, device), build_task(run.recipe.task), len(run.result["classes"]), mean, std)

    def answer(self, images: Tensor, temperature: float) -> Tensor:
        """(N, C, H, W) in [0, 1] -> float32 (N, classes), softmax(log-probabilities / temperature)."""
        pixels = normalise(images, self.mean, self.std).contiguous(memory_format=layout_for(images.device))
        question = self.task.ask_each(torch.zeros(len(images), dtype=torch.int64, device=images.device))
        head = ask(self.network, pixels, *question.inputs)[0]      # of both tasks the one that names the class
        return F.softmax(head.float()[:, : self.classes] / temperature, dim=1)


@torch.no_grad()
def soft_labels(
    teachers: Sequence[Teacher],
    images: Tensor,
    augmentation: Augmentation,
    temperature: float,
    device: torch.device,
    tell: Callable[[int], None] = lambda answered: None,
) -> Tensor:
    """uint8 (N, C, H, W) -> float32 (N, classes): the mean over teachers of each image as it is and once moved."""
    generator = torch.Generator().manual_seed(MOVES)        # on the CPU, so that every device sees the same
    rows = []
    for start in range(0, len(images), AT_ONCE):
        tell(start)
        still = images[start : start + AT_ONCE].to(device).float().div_(255)
        moved = augmentation.apply(still, augmentation.draw(len(still), generator).to(device))
        answers = [teacher.answer(view, temperature) for teacher in teachers for view in (still, moved)]
        rows.append(torch.stack(answers).mean(dim=0))
    return torch.cat(rows)
