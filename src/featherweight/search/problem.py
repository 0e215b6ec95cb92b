"""The problem of a search: data, budgets and seed. Two commands with the same problem may share a study."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Self

from featherweight.data import Dataset
from featherweight.defaults import filled
from featherweight.errors import RecipeError, RunError
from featherweight.outside import shortened
from featherweight.preparation import load_data
from featherweight.recipe import Recipe, apply_setting, set_value
from featherweight.search.records import Candidate, Plain
from featherweight.search.space import fingerprint
from featherweight.wording import option

VERSION = 1             # of the ledger
LIMITED = ("parameters", "macs", "ram", "flash")
EPOCHS = 15             # of the last rung, without a budget
SLANTED = ("mnist", "qmnist")       # data for which upright images are known to help: docs/experiments.md
VALIDATION, SHARE = 5000, 5         # validation images: 5,000, at most a fifth of the training images


@dataclass(frozen=True)
class Budgets(Plain):
    """Hard limits of a network. None: any number. accuracy: the smallest that is good enough, or None."""

    parameters: int | None = None
    macs: int | None = None
    ram: int | None = None
    flash: int | None = None
    epochs: int = EPOCHS
    accuracy: float | None = None

    @property
    def limits(self) -> dict[str, int]:
        """The limits of the network's costs by name, without those that are None."""
        return {name: limit for name in LIMITED if (limit := getattr(self, name)) is not None}

    def check(self) -> None:
        """Raise RecipeError for a limit that is not allowed, or if nothing is limited."""
        if not self.limits:
            names = ", ".join(option(f"max-{name}") for name in LIMITED)
            raise RecipeError(f"no budget is given. Give at least one of {names}.")
        for name, limit in {**self.limits, "epochs": self.epochs}.items():
            if limit < 1:
                raise RecipeError(f"{option(f'max-{name}')} is {limit}, allowed are whole numbers from 1.")
        if self.accuracy is not None and not 0 < self.accuracy <= 1:
            raise RecipeError(f"{option('min-accuracy')} is {self.accuracy}, allowed are fractions above 0 up to 1, "
                              "e.g. 0.994.")


@dataclass(frozen=True)
class Problem(Plain):
    """All options and facts that decide which trials a search makes, beside their number.

    shape: of one image. images: number of training images. levels: number of budgets, each half of the one before.
    upright: True if the C code keeps a copy of the image that is stood upright.
    """

    data: str
    shape: tuple[int, int, int]
    classes: int
    images: int
    budgets: Budgets
    form: str
    levels: int
    seed: int
    settings: tuple[str, ...]
    upright: bool = False
    version: int = VERSION
    space: str = field(default_factory=fingerprint)

    @classmethod
    def of(cls, recipe: Recipe, dataset: Dataset, **given: Any) -> Self:
        """Return the problem of a recipe and its data."""
        channels, height, width = dataset.train.images.shape[1:]
        return cls(recipe.data.dataset, (channels, height, width), len(dataset.classes), len(dataset.train),
                   upright=recipe.data.upright, **given)

    @classmethod
    def read(cls, header: Mapping[str, Any], folder: Path) -> Self:
        """Return the problem in the first line of a ledger. Raises RunError for one of another version or space."""
        for key, name, here in (("version", "version of featherweight", VERSION), ("space", "space", fingerprint())):
            if header.get(key) != here:
                raise RunError(f"{str(folder)!r} holds a search of another {name}. Resume it with the featherweight "
                               f"that began it, or give another folder with {option('out')}.")
        try:
            given = {one.name: header[one.name] for one in fields(cls)}
            return cls(**{**given, "shape": tuple(given["shape"]), "settings": tuple(given["settings"]),
                          "budgets": Budgets.from_dict(given["budgets"])})
        except (KeyError, TypeError) as fault:
            raise RunError(f"the first line of the ledger in {str(folder)!r} is damaged: {shortened(fault)}. Give "
                           f"another folder with {option('out')}.") from fault

    def check_same(self, other: Problem, folder: Path) -> None:
        """Raise RunError, with the first difference, if a folder holds another problem."""
        now, before = self.to_dict(), other.to_dict()
        flat = [{**one.pop("budgets"), **one} for one in (now, before)]
        for key, value in flat[0].items():
            if flat[1][key] != value:
                raise RunError(f"{str(folder)!r} holds a search with another {key}: {flat[1][key]} and not {value}. "
                               f"Resume it as it was begun, or give another folder with {option('out')}.")


def base_recipe(data: str, settings: Sequence[str]) -> dict[str, Any]:
    """Return the content of the recipe that all candidates share, without validation images."""
    from featherweight.data.sources import SOURCES

    content: dict[str, Any] = {"name": "search", "data": {"dataset": data}, "model": {"name": "words:c8 g h"}}
    if data in SLANTED:
        content["data"]["upright"] = True
    if source := SOURCES.get(data):
        content["data"] |= {"channels": source.channels, **({"size": max(28, source.side)} if source.side else {})}
    for setting in settings:
        apply_setting(content, setting)
    return content


def load(data: str, settings: Sequence[str], data_dir: Path | None) -> tuple[dict[str, Any], Dataset]:
    """Return the content of the shared recipe, and the data that are not split yet."""
    content = base_recipe(data, settings)
    dataset = load_data(Recipe.from_dict(content, origin="the command line"), data_dir)
    content = filled(content, len(dataset.train))
    known = content["data"]["dataset"] == "mnist" and dataset.writers is not None
    content["data"] = {"validation": min(VALIDATION, len(dataset.train) // SHARE), "unseen_writers": known,
                       **content["data"]}
    return content, dataset


def blind(dataset: Dataset) -> Dataset:
    """Return the data without any test image, also without those that a view of them would share."""
    test = dataset.test
    return replace(dataset, test=replace(test, stored=test.stored[:0].clone(), rows=None, stored_soft=None,
                                         stored_labels=test.stored_labels[:0].clone()))


def recipe_for(
    content: Mapping[str, Any], candidate: Candidate, *, epochs: int, seed: int, name: str, everything: bool = False
) -> Recipe:
    """Return the recipe that trains a candidate. everything: hold out no validation images."""
    filled_in: dict[str, Any] = copy.deepcopy(dict(content))
    filled_in |= {"name": name, "model": {"name": candidate.words}, "evaluation": {"curve": "none"}}
    for key, value in candidate.settings.items():
        set_value(filled_in, key, value)
    set_value(filled_in, "training.epochs", epochs)
    set_value(filled_in, "training.seed", seed)
    if everything:
        filled_in["data"] |= {"validation": 0, "unseen_writers": False}
    return Recipe.from_dict(filled_in)
