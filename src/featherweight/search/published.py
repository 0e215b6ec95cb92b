"""The hand-made networks of the catalogue with their published results on MNIST, as the recipes' headers state them."""

from __future__ import annotations

import re
from functools import lru_cache

import torch
from torch import nn

from featherweight.budgets.fitting import start
from featherweight.budgets.outline import hollow
from featherweight.errors import ModelError
from featherweight.graph.passes import prepare
from featherweight.graph.twin import one_thread
from featherweight.models import build_model
from featherweight.networks import shapes_of
from featherweight.recipe import Recipe, find_recipe, recipe_names
from featherweight.search.best import Mark
from featherweight.search.records import Costs
from featherweight.shipping.c_files import upright_bytes

RESULT = re.compile(      # "# Result   test 99.56 % (99.43 to 99.63), mean (lowest to highest) of 20 seeds"
    r"^# Result +test ([\d.]+) %(?: \(([\d.]+) to ([\d.]+)\))?, (?:mean \(lowest to highest\) of (\d+)|one) seed",
    re.MULTILINE,
)


@lru_cache
def published_marks(form: str) -> tuple[Mark, ...]:
    """Return the recipes of the package for MNIST whose results were measured. form: of the C code, int8 or float.

    A recipe is left out if its network has no C code in this form.
    """
    found = (published(name, form) for name in recipe_names())
    return tuple(sorted((mark for mark in found if mark), key=lambda mark: mark.costs.parameters))


def published(name: str, form: str) -> Mark | None:
    """Return one recipe with its published result, or None if it is not for MNIST or has no result."""
    recipe = Recipe.load(name)
    result = RESULT.search(find_recipe(name).read_text(encoding="utf-8"))
    if recipe.data.dataset != "mnist" or recipe.task != "classification" or not result:
        return None
    mean, low, high = (float(text or result[1]) / 100 for text in result.group(1, 2, 3))
    try:
        return Mark(name, costs_of(recipe, form), mean, low, high, int(result[4] or 1))
    except ModelError:
        return None


def costs_of(recipe: Recipe, form: str) -> Costs:
    """Return the exact costs of a recipe's network. Raises ModelError if it has no C code in this form."""
    shapes = shapes_of(recipe)
    with torch.random.fork_rng(devices=[]), one_thread(), torch.no_grad():
        module: nn.Module = build_model(recipe.model.name, recipe.model.arguments)
        usage, _ = start(hollow(prepare(module.eval(), shapes).float()), shapes)
    if form not in usage.code:
        raise ModelError(f"{recipe.model.name} has no C code in {form}: {usage.refused}")
    standing = upright_bytes(recipe.data.size) if recipe.data.upright else 0
    code = usage.code[form]
    return Costs(usage.parameters, usage.macs, code.ram + standing, code.flash)
