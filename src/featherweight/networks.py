"""The network of a recipe: new, or a finished run's with its weights; and the shapes of its inputs."""

from __future__ import annotations

import torch
from torch import nn

from featherweight.environment import layout_for
from featherweight.errors import RunError
from featherweight.models import build_model
from featherweight.recipe import Recipe
from featherweight.runs import Run
from featherweight.tasks import build_task


def build_network(recipe: Recipe, classes: tuple[str, ...], device: torch.device) -> nn.Module:
    """The recipe's network for these classes on the device."""
    suggested = {"in_channels": recipe.data.channels, "classes": len(classes)}
    model = build_model(recipe.model.name, recipe.model.arguments, suggested=suggested)
    return model.to(device).to(memory_format=layout_for(device))  # type: ignore[call-overload,no-any-return]


def shapes_of(recipe: Recipe) -> tuple[tuple[int, ...], ...]:
    """The shape of each input of a recipe's network, without the batch axis: (C, H, W), then what the task adds."""
    question = build_task(recipe.task).ask_each(torch.zeros(1, dtype=torch.int64))
    image = (recipe.data.channels, recipe.data.size, recipe.data.size)
    return (image, *(tuple(value.shape[1:]) for value in question.inputs))


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


def cuda_devices() -> list[int]:
    """All of them, whose random state a fork_rng is to keep."""
    return list(range(torch.cuda.device_count()))
