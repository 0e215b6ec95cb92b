"""Rules on a recipe and its network: the parameter goal and the learning rate."""

from __future__ import annotations

from collections.abc import Iterator

from featherweight.data.sources import SOURCES
from featherweight.doctor.finding import Finding
from featherweight.doctor.probe.subject import Subject
from featherweight.doctor.rules.environment import USUAL

NAMES = {"sgd": "SGD", "adam": "Adam", "adamw": "AdamW"}
MUON = (1e-4, 1.0)


def parameter_goal(subject: Subject) -> Iterator[Finding]:
    """Compare the number of parameters with the recipe's goal."""
    goal = subject.recipe.goal.max_parameters if subject.recipe else None
    if goal is not None and subject.total > goal:
        largest = max(subject.rows, key=lambda row: row.parameters)
        yield subject.finding("FW712", largest.name if largest.numbered else "",
                              f"The network has {subject.total:,} parameters; the goal is at most {goal:,}.",
                              f"{largest.name} alone holds {largest.parameters:,} of them.",
                              f"Save {subject.total - goal:,} parameters.")


def learning_rate(subject: Subject) -> Iterator[Finding]:
    """Find a learning rate far outside the usual for the recipe's optimizer."""
    if subject.recipe is None:
        return
    name, rate = subject.recipe.optimizer.name, subject.recipe.optimizer.lr
    lowest, highest = USUAL.get(NAMES.get(name, ""), MUON)
    if not lowest <= rate <= highest:
        start = {"sgd": 0.1, "muon": 0.02}.get(name, 0.001)
        side = "above" if rate > highest else "below"
        yield subject.finding("FW604", "", f"The learning rate {rate:g} is far {side} the usual for {name}.",
                              f"{name} trains small networks with {lowest:g} to {highest:g}.",
                              f"Start with optimizer.lr = {start}.")


def batch_size(subject: Subject) -> Iterator[Finding]:
    """Compare the recipe's batch with the number of training images."""
    source = SOURCES.get(subject.recipe.data.dataset) if subject.recipe else None
    if subject.recipe is None or source is None or not source.train_count:
        return
    images = source.train_count - subject.recipe.data.validation
    if subject.recipe.training.batch_size > images:
        yield subject.finding("FW409", "", f"The batch has {subject.recipe.training.batch_size:,} images, the data set "
                              f"{images:,}.", "Each epoch is one step, on all images.",
                              "Take a smaller training.batch_size.")


RULES = (parameter_goal, learning_rate, batch_size)
