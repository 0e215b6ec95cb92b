"""Examine a network by its first training steps on real images."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from featherweight.data import Dataset
from featherweight.doctor.finding import Report
from featherweight.doctor.probe.places import Places
from featherweight.doctor.trying import rules
from featherweight.doctor.trying.attempt import STEPS, attempt
from featherweight.errors import ModelError
from featherweight.recipe import Recipe
from featherweight.tasks import Task


def practise(
    module: nn.Module, shapes: Sequence[Sequence[int]], dataset: Dataset, task: Task, *, name: str = "",
    recipe: Recipe | None = None,
) -> Report:
    """Examine a built network by 30 training steps of a copy on real images. The module stays unchanged.

    shapes: of each input, without the batch axis. recipe: gives optimizer and batch size.
    A network that does not train on these images gives a report without findings, with one line in `unchecked`.
    """
    name = name or type(module).__name__
    places = Places.of_name(name, module)
    try:
        tried = attempt(name, module, shapes, places, dataset, task, recipe)
    except ModelError as fault:
        return Report((), unchecked=(f"{name}: first training steps on {dataset.name}: {fault}",), levels=("try",))
    found = [one for rule in rules.RULES for one in rule(tried)]
    done = (f"{name}: {STEPS} steps of {tried.optimizer} on {dataset.name}, loss {tried.losses[0]:.2f} to "
            f"{tried.losses[-1]:.2f}; {len(tried.repeated)} steps on the same {tried.images} images, loss "
            f"{tried.repeated[0]:.2f} to {tried.repeated[-1]:.2f}")
    return Report(tuple(one for one in found if one.reason is None),
                  tuple(one for one in found if one.reason is not None), (done,), levels=("try",))
