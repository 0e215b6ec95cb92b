"""featherweight.train: train a network on data by a recipe, each given by name or as an object."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from featherweight import cores, experiment, runs
from featherweight.budgets.chip import code_size
from featherweight.continuation import recipe_from
from featherweight.data import Dataset, as_dataset, resized
from featherweight.defaults import filled
from featherweight.devices import pick_device
from featherweight.errors import DataError, RecipeError
from featherweight.interface.run import Run
from featherweight.models import Blueprint, blueprint_of, find_blueprint
from featherweight.networks import fitting_shape
from featherweight.progress import progress
from featherweight.recipe import Recipe, apply_setting, keep_goal_data, set_value
from featherweight.specification import HANDWRITING

TOLD: list[str] = []        # the note on threads that this process has shown

Settings = str | Sequence[str] | Mapping[str, Any]


def train(
    recipe: Recipe | str | Path | None = None,
    out: str | Path | None = None,
    *,
    model: Any = None,
    data: Any = None,
    settings: Settings = (),
    start: runs.Run | str | Path | None = None,
    data_dir: str | Path | None = None,
    device: str = "auto",
    resume: bool = False,
    force: bool = False,
    quiet: bool = False,
) -> Run:
    """Train a network and write a run folder. Return the finished run.

    recipe: a name, a .toml file or a Recipe. Default: 15 epochs with a one-cycle schedule, under the name "mine".
    out: the run folder, by default runs/NAME-seedN.
    model: replaces the recipe's network: a name such as "session6" or "net.py:Net", a class or a module.
    data: a data set's name, or any argument of `as_dataset`: (images, labels), a (train, test) pair, a torch
    Dataset or DataLoader.
    settings: changes to the recipe, such as ["training.epochs=2"] or {"training.epochs": 2}.
    start: a finished run whose weights training starts from. Its recipe is the default.
    data_dir: folder of data sets, searched first. device: "auto", "cuda", "mps" or "cpu".
    resume: continue an interrupted run. force: replace the run in `out`. quiet: show no progress.
    Raises FeatherweightError if the arguments do not fit together, TrainingInterrupted after Ctrl-C.
    """
    settled = settle(recipe if start is None else recipe_from(start, recipe), model, data, settings)
    with nullcontext(experiment.Silent()) if quiet else progress() as watcher:
        for note in (*settled.notes, *([] if quiet else threads_notes(str(device)))):
            watcher.on_note(note)
        run = experiment.train_recipe(
            settled.recipe, out, data_dir=data_dir, device=str(device), resume=resume, force=force, watcher=watcher,
            dataset=settled.dataset, blueprint=settled.blueprint, measure_code=code_size,
        )
    return Run(run.path, data_dir=data_dir)


def threads_notes(device: str) -> list[str]:
    """Return a note if torch's threads make training on this device slow. A process gets one such note at most."""
    if TOLD or pick_device(device).type != "cpu":
        return []
    notes = [note for note in [cores.advice(torch.get_num_threads())] if note]
    TOLD.extend(notes)
    return notes


@dataclass(frozen=True)
class Settled:
    """A complete recipe. dataset, blueprint: data and network if they were given as objects, None if given by name."""

    recipe: Recipe
    dataset: Dataset | None
    blueprint: Blueprint | None
    notes: tuple[str, ...] = ()


def settle(recipe: Recipe | str | Path | None, model: Any, data: Any, settings: Settings) -> Settled:
    """Merge a recipe, a network, data and settings. Later arguments override earlier ones."""
    content = content_of(recipe, model)
    before = deepcopy(content)
    blueprint = None if model is None or isinstance(model, str) else blueprint_of(model)
    if model is not None:
        content["model"] = {"name": blueprint.name if blueprint else model}
    if isinstance(data, str | Path):
        section(content, "data")["dataset"] = data if isinstance(data, str) else f"folder:{data}"
    for setting in [settings] if isinstance(settings, str) else settings:
        if isinstance(settings, Mapping):
            set_value(content, setting, settings[setting])
        else:
            apply_setting(content, setting)
    dataset: Dataset | None = None
    notes: tuple[str, ...] = ()
    if data is not None and not isinstance(data, str | Path):
        dataset, notes = taken(data, content, blueprint)
    if recipe is None:
        content = filled(content, None if dataset is None else len(dataset.train))
    else:
        keep_goal_data(before, content)
    return Settled(Recipe.from_dict(content), dataset, blueprint, notes)


def content_of(recipe: Any, model: Any) -> dict[str, Any]:
    """Return the values that a recipe sets, without defaults. Empty if there is no recipe but a model.

    Raises RecipeError if both are missing, or if `recipe` is not a recipe.
    """
    if recipe is None:
        if model is None:
            raise RecipeError("nothing to train is given. Give a recipe, such as featherweight.train('session6'), or a "
                              "network with model=.")
        return {}
    if isinstance(recipe, str | Path):
        recipe = Recipe.load(recipe)
    if not isinstance(recipe, Recipe):
        name = getattr(recipe, "__name__", type(recipe).__name__)
        network = inspect.isclass(recipe) or callable(recipe)
        raise RecipeError(f"{name} is no recipe. " + (f"Give a network as model={name}." if network else
                          "Give a name, the path of a .toml file, or a featherweight.Recipe."))
    return recipe.model_dump(exclude_unset=True)


def taken(data: Any, content: dict[str, Any], blueprint: Blueprint | None) -> tuple[Dataset, tuple[str, ...]]:
    """Return data given as objects as a Dataset, with notes for the user. Writes name and shape into `content`.

    Images are resized to the channels and size in `content`, or else to those that the network takes.
    Raises DataError if `content` sets data.upright and the data set is not known to be handwriting.
    """
    wanted, network = section(content, "data"), section(content, "model")
    dataset = as_dataset(data, channels=wanted.get("channels"), size=wanted.get("size"),
                         fit=wanted.get("fit", "letterbox"))
    if wanted.get("upright") and dataset.name not in HANDWRITING:
        raise DataError("data.upright: data given in Python are not known for light ink on black. Train with "
                        "settings=['data.upright=false'].")
    notes: tuple[str, ...] = ()
    shape = dataset.train.shape
    if not {"channels", "size"} & wanted.keys():
        blueprint = blueprint or find_blueprint(str(network.get("name")))
        fits = fitting_shape(blueprint, network.get("arguments", {}), len(dataset.classes), shape)
        if fits != shape:
            dataset = resized(dataset, *fits[:2])
            notes = (f"{blueprint.name} takes images of {by(fits)}, so those of {by(shape)} are resized",)
    channels, _, size = dataset.train.shape
    wanted |= {"dataset": dataset.name, "channels": channels, "size": size}
    return dataset, notes


def by(shape: Sequence[int]) -> str:
    """A shape as text: (1, 28, 28) -> "1x28x28"."""
    return "x".join(map(str, shape))


def section(content: dict[str, Any], name: str) -> dict[str, Any]:
    """Return a section of a recipe's content. Creates it if it is missing."""
    found: dict[str, Any] = content.setdefault(name, {})
    return found
