"""Networks, recipes and runs: build the network, run it once, and with a data set train it for a few steps.

`targets` calls this file in its own process for networks of the catalogue, and `alone` in another one for user code.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TypeVar

import torch
from torch import nn

from featherweight.data import Dataset
from featherweight.data.sources import SOURCES
from featherweight.doctor.finding import Report
from featherweight.doctor.options import Options
from featherweight.doctor.probe import probe
from featherweight.doctor.run import dead_in
from featherweight.doctor.source import ENDINGS, is_folder
from featherweight.doctor.trying import practise
from featherweight.errors import ModelError
from featherweight.examination import load_once
from featherweight.models import Blueprint, build_model, input_shapes
from featherweight.networks import find_network, match_images, run_blueprint, shapes_of
from featherweight.recipe import Recipe, recipe_names
from featherweight.runs import Run
from featherweight.tasks import build_task
from featherweight.user_code import quietly

T = TypeVar("T")


def runs_own_code(name: str) -> bool:
    """Return True if the network of a name, recipe or run folder is code of the user or of somebody else."""
    if is_folder(name):
        run = Run.open(name)
        return run.source is not None or bool(run.foreign_files())
    network = Recipe.load(name).model.name if is_recipe(name) else name
    return network.rpartition(":")[0].endswith(ENDINGS)


def is_recipe(name: str) -> bool:
    """Return True for the path or the name of a recipe."""
    return name.endswith(".toml") or name in recipe_names()


def examined_name(name: str, options: Options) -> Report:
    """Examine the network of a name, recipe or run folder. Raises FeatherweightError if it does not run."""
    if is_folder(name):
        return examined_run(Run.open(name), options)
    if not is_recipe(name):
        return examined_network(name, options)
    recipe = Recipe.load(name)
    title = recipe.model.name if recipe.model.name.rpartition(":")[0] else name
    return examined_recipe(recipe, quiet(lambda: find_network(recipe)), title, options)


def examined_module(module: nn.Module, options: Options) -> Report:
    """Examine a built network. The module stays unchanged."""
    name, shapes = type(module).__name__, options.shapes or input_shapes(module)
    dataset = data_for(shapes[0], options)
    report = probe(module, shapes, classes=classes_in(dataset, options))
    return report + practice_of(module, shapes, name, dataset)


def examined_network(name: str, options: Options) -> Report:
    """Examine a network by name, on images of a shape that it takes."""
    first = {"classes": options.classes} if options.classes else {}
    model = quiet(lambda: build_model(name, suggested=first))
    shapes = options.shapes or input_shapes(model)
    dataset = data_for(shapes[0], options)
    if dataset is not None:
        seen = {"in_channels": dataset.train.shape[0], "classes": classes_in(dataset, options)}
        model = quiet(lambda: build_model(name, suggested=seen))
    report = probe(model, shapes, name=name, classes=classes_in(dataset, options))
    return report + practice_of(model, shapes, name, dataset)


def examined_recipe(recipe: Recipe, blueprint: Blueprint, title: str, options: Options) -> Report:
    """Examine the network of a recipe, on images and classes as the recipe has them."""
    recipe = quiet(lambda: match_images(recipe, blueprint))
    dataset = None if options.data is None else load_once(options.data, options.data_dir, **recipe.data.seen)
    classes = options.classes or (len(dataset.classes) if dataset else classes_of(recipe))
    suggested = {"in_channels": recipe.data.channels, "classes": classes or 10}
    model = quiet(lambda: blueprint.build(recipe.model.arguments, suggested))
    shapes = options.shapes or shapes_of(recipe)
    report = probe(model, shapes, name=title, classes=classes, recipe=recipe)
    return report + practice_of(model, shapes, title, dataset, recipe)


def examined_run(run: Run, options: Options) -> Report:
    """Examine the network of a finished run: built anew as its recipe has it, and as it was trained.

    Raises Untrusted for the network of somebody else that the user has not trusted.
    """
    source = run.source
    title = f"{run.source_folder / source.entry}:{source.attribute}" if source else str(run.path)
    report = examined_recipe(run.recipe, quiet(lambda: run_blueprint(run)), title, options)
    return report + dead_in(run, title, options)


def data_for(shape: Sequence[int], options: Options) -> Dataset | None:
    """Return the data set of the options, resized to images of `shape`, or None without one.

    shape: (C, H, H), or (n,) for flattened images. Raises ModelError for another shape.
    """
    if options.data is None:
        return None
    side = math.isqrt(shape[0])
    channels, *sides = shape if len(shape) == 3 else (1, side, side) if side * side == shape[0] else (0,)
    if channels not in (1, 3) or len(set(sides)) != 1:
        raise ModelError(f"inputs of shape {tuple(shape)} are no square images of 1 or 3 channels. Leave --data out.")
    return load_once(options.data, options.data_dir, channels=channels, size=sides[0], upright=False)


def classes_in(dataset: Dataset | None, options: Options) -> int | None:
    """Return the number of classes that the user gave, else that of the data set."""
    return options.classes or (len(dataset.classes) if dataset else None)


def practice_of(
    model: nn.Module, shapes: Sequence[Sequence[int]], name: str, dataset: Dataset | None, recipe: Recipe | None = None
) -> Report:
    """Return the report of the first training steps, or an empty one without a data set."""
    if dataset is None:
        return Report((), levels=())
    task = build_task(recipe.task if recipe else "digit-sum" if len(shapes) > 1 else "classification")
    return practise(model, shapes, dataset, task, name=name, recipe=recipe)


def classes_of(recipe: Recipe) -> int | None:
    """Return the number of classes of a recipe's data set, or None for data that must be loaded to know."""
    source = SOURCES.get(recipe.data.dataset)
    if source is None or recipe.task != "classification":
        return None
    return len(source.classes) + (recipe.data.marks > 0)


def quiet(make: Callable[[], T]) -> T:
    """Return `make()`, without changing the random state and without prints and warnings of the user's code."""
    with torch.random.fork_rng(devices=[]), quietly():
        torch.manual_seed(0)    # the same findings in each call
        return make()
