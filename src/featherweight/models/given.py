"""Blueprints of networks given as Python objects: a class, a function that builds a network, or a module."""

from __future__ import annotations

import copy
import inspect
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn

from featherweight.errors import FeatherweightError, ModelError
from featherweight.models.blueprint import Blueprint, builder_of, find_blueprint
from featherweight.models.catalogue import CATALOGUE
from featherweight.models.shapes import input_shapes, trying
from featherweight.user_code import UserClass, load_class, load_typed_class

PLAIN = (int, float, str, bool, tuple, type(None))      # types of attributes that are compared between two modules


def blueprint_of(model: str | type[nn.Module] | Callable[..., nn.Module] | nn.Module) -> Blueprint:
    """Return the blueprint of a network that is given as a name, a class, a function or a module.

    The source text comes from the file of the class or from the notebook's cells. If there is no source text, as for
    an nn.Sequential of torch's layers, the run stores the graph from torch.export instead.
    A module is copied: training starts from its weights and does not change it.
    Raises UnknownName for an unknown name, ModelError for any other object.
    """
    if isinstance(model, str):
        return find_blueprint(model)
    if isinstance(model, nn.Module):
        return of_module(model)
    if not callable(model):
        raise ModelError(f"model={model!r} is no network. Give a name, a class, a function or a torch.nn.Module.")
    for name, builder in CATALOGUE.items():
        if builder is model:
            return Blueprint(name, model)
    found = source_class(model)
    if found and not builds_alike(found.builder, model):
        found = None
    name = getattr(model, "__name__", type(model).__name__)
    return Blueprint(name, found.builder if found else model, found)


def of_module(module: nn.Module) -> Blueprint:
    """Return a blueprint that copies a module.

    It has the source of the module's class, if the class without arguments builds an equal network.
    """
    found = source_class(type(module))
    if found and not builds_the_same(found.builder, module):
        found = None
    return Blueprint(type(module).__name__, builder_of(module), found)


def builds_alike(builder: Callable[..., Any], model: Callable[..., Any]) -> bool:
    """True if the class from source text and the class in memory build equal networks.

    They differ if the class was changed after its source was read. True without a test for a class with arguments.
    """
    with trying():
        try:
            module = model()
        except Exception:
            return True
    return builds_the_same(builder, module)


def builds_the_same(builder: Callable[..., Any], module: nn.Module) -> bool:
    """True if builder() has the same parts as `module`, and the same outputs with the module's weights."""
    with trying():
        try:
            other = builder()
            other.load_state_dict(module.state_dict())
            torch.testing.assert_close(described(other), described(module), rtol=0, atol=0, equal_nan=True)
        except Exception:       # the class needs arguments, or builds a different network
            return False
    return parts_of(other) == parts_of(module)


def parts_of(module: nn.Module) -> list[Any]:
    """Return (name, type, plain attributes, shapes of weights) of each submodule."""
    return [
        (name, type(part).__name__, {key: value for key, value in vars(part).items()
                                     if isinstance(value, PLAIN) and key != "training"},
         [(key, tuple(value.shape)) for key, value in part.state_dict().items()])
        for name, part in module.named_modules()
    ]


def described(module: nn.Module) -> Any:
    """Return the outputs of a copy in evaluation mode for two random examples. () if the network raises."""
    like = next(module.parameters(), torch.empty(0))
    torch.manual_seed(0)
    examples = [torch.rand(2, *shape).to(like) for shape in input_shapes(module)]
    try:
        return copy.deepcopy(module).eval()(*examples)
    except Exception:       # the network's code may raise any exception
        return ()


def source_class(model: Callable[..., Any]) -> UserClass | None:
    """Return the class as loaded from its source text. None if there is no source text, or if loading fails."""
    name, module = getattr(model, "__qualname__", ""), sys.modules.get(getattr(model, "__module__", ""))
    if not name.isidentifier() or module is None or module.__name__.partition(".")[0] == "torch":
        return None     # defined in a function or another class, or part of torch
    try:
        cells = typed_cells() if module.__name__ == "__main__" else None
        if cells is not None:
            return load_typed_class(cells, name)
        file = inspect.getsourcefile(module)
        return load_class(file, name) if file and Path(file).is_file() else None
    except (FeatherweightError, TypeError):
        return None


def typed_cells() -> list[str] | None:
    """Return the cells that were executed in this notebook or IPython console. None in other programs."""
    main = sys.modules["__main__"]
    if not hasattr(main, "get_ipython") or not hasattr(main, "In"):
        return None
    return [str(cell) for cell in main.In]
