"""The network of a recipe: new, or a finished run's with its weights."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from featherweight.environment import layout_for
from featherweight.errors import ModelError, RunError
from featherweight.models import build_model
from featherweight.recipe import Recipe
from featherweight.runs import Run


def build_network(recipe: Recipe, classes: tuple[str, ...], device: torch.device) -> nn.Module:
    """The recipe's network for these classes on the device."""
    suggested = {"in_channels": recipe.data.channels, "classes": len(classes)}
    model = build_model(recipe.model.name, recipe.model.arguments, suggested=suggested)
    return model.to(device).to(memory_format=layout_for(device))  # type: ignore[call-overload,no-any-return]


def load_network(run: Run, device: torch.device | None = None) -> nn.Module:
    """A finished run's network with its weights, in evaluation mode."""
    with torch.random.fork_rng(devices=cuda_devices()):     # the weights that are drawn here are thrown away
        model = build_network(run.recipe, tuple(run.result["classes"]), device or torch.device("cpu"))
    try:
        model.load_state_dict(run.weights())
    except RuntimeError as fault:
        reason = " ".join(str(fault).split())
        raise RunError(f"the weights of {str(run.path)!r} do not fit {run.recipe.model.name!r}: {reason}") from fault
    return model.eval()


def name_of(model: Any) -> str:
    """Return the name by which a recipe finds a network that is given as an object. ModelError for what is none."""
    shown = getattr(model, "__name__", type(model).__name__)
    raise ModelError(f"model={shown} is no name of a network. Give a name, such as 'session6' or 'net.py:{shown}'.")


def cuda_devices() -> list[int]:
    """All of them, whose random state a fork_rng is to keep."""
    return list(range(torch.cuda.device_count()))
