"""Start a training from a finished run's weights: more epochs, another learning rate, or data with other classes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch import nn

from featherweight.data import Dataset
from featherweight.errors import RecipeError, RunError
from featherweight.files import sha256_of
from featherweight.models.weights import in_words, misfits
from featherweight.recipe import Recipe
from featherweight.runs import Run
from featherweight.tasks import Task, as_heads
from featherweight.teachers import check_validation, leave_out, seen_by
from featherweight.training.fit import first_inputs, try_out
from featherweight.wording import option

KEY = "training.start"


def recipe_from(
    start: Run | str | Path | None, recipe: Recipe | str | Path | None = None, settings: Sequence[str] = ()
) -> Recipe:
    """Return the recipe with `start` as its training.start. Without a recipe, use the recipe of that run.

    settings: changes such as "section.key=value", used only if the recipe is read from a file.
    Raises RecipeError without both start and recipe.
    """
    if start is None:
        if recipe is None:
            raise RecipeError("no recipe is given. Give one, such as session7-model2, or a finished run to start from.")
        return recipe if isinstance(recipe, Recipe) else Recipe.load(recipe, settings)
    run = start if isinstance(start, Run) else Run.open(start)
    if recipe is None:
        run.check_foreign_files()
    own = recipe if recipe is not None else run.path / "recipe.toml"
    return (own if isinstance(own, Recipe) else Recipe.load(own, settings)).with_start(str(run.path))


def check_start(recipe: Recipe, seeds: Sequence[int]) -> None:
    """Raise RunError if the run to start from is not finished, or was trained on validation images of a seed."""
    if recipe.training.start:
        check_validation(open_start(recipe.training.start), recipe, seeds, KEY)


def begin(recipe: Recipe, model: nn.Module, task: Task, dataset: Dataset) -> dict[str, Any] | None:
    """Load the weights of the recipe's training.start into the new network. Does nothing without a start.

    Returns the record of the start for result.json, or None.
    If the classes of the run and of the data differ, the last layer keeps its new random weights.
    Raises RunError if the run is not finished, or if its weights do not fit the network.
    """
    if not recipe.training.start:
        return None
    check_start(recipe, [recipe.training.seed])
    run = open_start(recipe.training.start)
    same = tuple(run.result["classes"]) == dataset.classes
    head = None if same else head_of(model, task, dataset, run)
    own, prefix = model.state_dict(), f"{head}."
    fresh = {name: value for name, value in own.items() if head is not None and name.startswith(prefix)}
    weights = run.weights() | fresh
    if wrong := misfits(model, weights):
        raise RunError(f"{KEY}: the weights of {str(run.path)!r} do not fit {recipe.model.name!r}: {in_words(wrong)}. "
                       f"Give a run of the same network, {leave_out(KEY)}")
    model.load_state_dict(weights, strict=False)
    return {
        "run": recipe.training.start, "sha256": sha256_of(run.path / "model.safetensors"), "fresh": head,
        "classes": run.result["classes"], "saw": seen_by(run),
    }


def open_start(start: str) -> Run:
    """Return the finished run that a recipe starts from. Raises RunError if it is missing or not finished."""
    run = Run.open(start)
    if not run.finished:
        raise RunError(f"{KEY}: {start!r} is not finished. Go on with it by {option('resume')}, or give a run that is.")
    return run


def head_of(model: nn.Module, task: Task, dataset: Dataset, run: Run) -> str:
    """Return the name of the last dense or convolutional layer that is as wide as the network's output.

    Raises RunError if no layer has this width, or if the network has several heads.
    """
    outputs = as_heads(try_out(model, first_inputs(model, task, dataset, 2), dataset, task))
    found: list[str] = [name for name, layer in model.named_modules()
                        if len(outputs) == 1 and width_of(layer) == outputs[0].shape[1]]
    if not found:
        raise RunError(f"{KEY}: {str(run.path)!r} knows other classes than {dataset.name}, and no single last layer "
                       f"can be made fresh. Give a run of the same classes, {leave_out(KEY)}")
    return found[-1]


def width_of(layer: nn.Module) -> int | None:
    """Number of outputs of a dense layer or of output channels of a convolution. None for other layers."""
    if isinstance(layer, nn.Linear):
        return layer.out_features
    return layer.out_channels if isinstance(layer, nn.Conv2d) else None


def note_of(record: dict[str, Any] | None, dataset: Dataset) -> list[str]:
    """Return a sentence about the layer with new random weights, or an empty list."""
    if record is None or record["fresh"] is None:
        return []
    there, here = (named(classes) for classes in (record["classes"], dataset.classes))
    return [f"layer {record['fresh']!r} began fresh, since {record['run']} knows the classes {there}, and "
            f"{dataset.name} has {here}."]


def named(classes: Sequence[str]) -> str:
    """Return the classes as text: "0, 1" for up to three, "0, 1, ... 9" for more."""
    return ", ".join(classes) if len(classes) < 4 else f"{classes[0]}, {classes[1]}, ... {classes[-1]}"
