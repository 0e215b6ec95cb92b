"""Networks that are given in Python: a class, a function that builds one, or a module."""

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

PLAIN = (int, float, str, bool, tuple, type(None))      # attributes by which two modules are compared


def blueprint_of(model: str | type[nn.Module] | Callable[..., nn.Module] | nn.Module) -> Blueprint:
    """Return how to build a network that is given as a name, a class, a function or a module.

    Its source text comes from its file or from the cells of the notebook. Where there is none, as for a module that was
    put together from torch's own, the run keeps the graph that torch.export finds. A module is copied: training begins
    with its weights and leaves it alone. Raises ModelError for any other object, UnknownName for a name.
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
    """Return a blueprint that copies a module; with its class's source if that builds the same without arguments."""
    found = source_class(type(module))
    if found and not builds_the_same(found.builder, module):
        found = None
    return Blueprint(type(module).__name__, builder_of(module), found)


def builds_alike(builder: Callable[..., Any], model: Callable[..., Any]) -> bool:
    """True if a class's text builds what the class itself does, which may have been changed since it was loaded.

    A class that needs arguments is not tried.
    """
    with trying():
        try:
            module = model()
        except Exception:
            return True
    return builds_the_same(builder, module)


def builds_the_same(builder: Callable[..., Any], module: nn.Module) -> bool:
    """True if a class without arguments builds the same parts, and with the module's weights they answer the same."""
    with trying():
        try:
            other = builder()
            other.load_state_dict(module.state_dict())
            torch.testing.assert_close(described(other), described(module), rtol=0, atol=0, equal_nan=True)
        except Exception:       # a class that needs arguments, or builds something else
            return False
    return parts_of(other) == parts_of(module)


def parts_of(module: nn.Module) -> list[Any]:
    """Return a module's parts by name, with their kinds, plain attributes and shapes of weights."""
    return [
        (name, type(part).__name__, {key: value for key, value in vars(part).items()
                                     if isinstance(value, PLAIN) and key != "training"},
         [(key, tuple(value.shape)) for key, value in part.state_dict().items()])
        for name, part in module.named_modules()
    ]


def described(module: nn.Module) -> Any:
    """Return a copy's answers to two random examples in evaluation mode, () if it takes none of a usual shape."""
    like = next(module.parameters(), torch.empty(0))
    torch.manual_seed(0)
    examples = [torch.rand(2, *shape).to(like) for shape in input_shapes(module)]
    try:
        return copy.deepcopy(module).eval()(*examples)
    except Exception:       # the network's own code may raise anything
        return ()


def source_class(model: Callable[..., Any]) -> UserClass | None:
    """Return the class loaded from its own source text; None where there is none that builds it."""
    name, module = getattr(model, "__qualname__", ""), sys.modules.get(getattr(model, "__module__", ""))
    if not name.isidentifier() or module is None or module.__name__.partition(".")[0] == "torch":
        return None     # made inside a function, an attribute of another class, or torch's own
    try:
        cells = typed_cells() if module.__name__ == "__main__" else None
        if cells is not None:
            return load_typed_class(cells, name)
        file = inspect.getsourcefile(module)
        return load_class(file, name) if file and Path(file).is_file() else None
    except (FeatherweightError, TypeError):
        return None


def typed_cells() -> list[str] | None:
    """Return what was typed into this notebook or IPython console so far; None elsewhere."""
    main = sys.modules["__main__"]
    if not hasattr(main, "get_ipython") or not hasattr(main, "In"):
        return None
    return [str(cell) for cell in main.In]
