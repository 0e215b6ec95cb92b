"""Targets of any kind: source files are read, networks and recipes are built and run once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from featherweight.doctor.examination import examine
from featherweight.doctor.finding import Report
from featherweight.doctor.limit import limited
from featherweight.doctor.source import ENDINGS
from featherweight.errors import FeatherweightError, SourceError, Untrusted

if TYPE_CHECKING:
    from featherweight.recipe import Recipe

Shapes = Sequence[Sequence[int]] | None


def consult(targets: Iterable[Any], shapes: Shapes = None, classes: int | None = None) -> Report:
    """Examine scripts, notebooks, folders, networks, recipes and modules, and return one report.

    shapes: of each input of the networks; by default those that a network takes.
    classes: number of classes; by default those of a recipe's data set.
    A target that fails is named in `unread`. Raises its error if no target can be examined.
    Raises Untrusted for a network in a run folder that the user has not trusted.
    """
    given = list(targets)
    files = [target for target in given if is_source(target)]
    networks = [target for target in given if not is_source(target)]
    report, faults = Report((), levels=()), list[FeatherweightError]()
    if files or not networks:
        report = examine(files)
    for target in networks:
        try:
            report += probed(target, shapes, classes)
        except Untrusted:
            raise
        except FeatherweightError as fault:
            faults.append(fault)
    if faults and len(faults) == len(given):
        raise faults[0] if len(faults) == 1 else SourceError(*map(str, faults))
    return report + Report((), unread=tuple(map(str, faults)), levels=())


def is_source(target: Any) -> bool:
    """Return True for the path of a script, notebook or folder, and for a path that looks like one and is missing."""
    if isinstance(target, Path):
        return target.suffix != ".toml"
    if not isinstance(target, str):
        return False
    return target.endswith(ENDINGS) or Path(target).is_dir() or not is_network(target)


def is_network(name: str) -> bool:
    """Return True for the name of a network or a recipe, or the path of a recipe."""
    from featherweight.models.words import PREFIX
    from featherweight.recipe import recipe_names

    if name.startswith(PREFIX) or name.endswith(".toml") or name.rpartition(":")[0].endswith(ENDINGS):
        return True
    from featherweight.models import CATALOGUE

    return name in CATALOGUE or name in recipe_names()


def probed(target: Any, shapes: Shapes, classes: int | None) -> Report:
    """Build the network of a target and examine it. Raises ModelError if it cannot be built or does not run."""
    from torch import nn

    from featherweight.doctor.probe import probe
    from featherweight.models import build_model
    from featherweight.recipe import recipe_names

    if isinstance(target, nn.Module):
        return probe(target, shapes, classes=classes)
    if not isinstance(target, (str, Path)):
        raise SourceError(f"{type(target).__name__} cannot be examined. Give a path, a name or a built network.")
    name = str(target)
    with limited(name):
        if name.endswith(".toml") or name in recipe_names():
            return probed_recipe(name, shapes, classes)
        return probe(quiet(lambda: build_model(name, suggested={"classes": classes} if classes else None)), shapes,
                     name=name, classes=classes)


def probed_recipe(name: str, shapes: Shapes, classes: int | None) -> Report:
    """Examine the network of a recipe, on images and classes as the recipe has them."""
    from featherweight.doctor.probe import probe
    from featherweight.networks import find_network, match_images, shapes_of
    from featherweight.recipe import Recipe

    recipe = Recipe.load(name)
    blueprint = quiet(lambda: find_network(recipe))
    recipe = quiet(lambda: match_images(recipe, blueprint))
    count = classes or classes_of(recipe)
    suggested = {"in_channels": recipe.data.channels, "classes": count or 10}
    model = quiet(lambda: blueprint.build(recipe.model.arguments, suggested))
    title = recipe.model.name if recipe.model.name.rpartition(":")[0] else name
    return probe(model, shapes or shapes_of(recipe), name=title, classes=count, recipe=recipe)


def classes_of(recipe: Recipe) -> int | None:
    """Return the number of classes of a recipe's data set, or None for data that must be loaded to know."""
    from featherweight.data.sources import SOURCES

    source = SOURCES.get(recipe.data.dataset)
    if source is None or recipe.task != "classification":
        return None
    return len(source.classes) + (recipe.data.marks > 0)


def quiet(make: Any) -> Any:
    """Return `make()`, without changing the random state and without prints and warnings of the user's code."""
    import torch

    from featherweight.user_code import quietly

    with torch.random.fork_rng(devices=[]), quietly():
        torch.manual_seed(0)    # the same findings in each call
        return make()
