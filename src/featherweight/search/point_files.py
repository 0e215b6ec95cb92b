"""Texts of the files of one network of the front: network.py, recipe.toml and seeds.json."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import tomli_w

from featherweight.outside import visible
from featherweight.recipe import Recipe, set_value
from featherweight.runs import Run
from featherweight.search.network_file import CLASS, FILE, network_file
from featherweight.search.records import Front, Point
from featherweight.statistics import summarize_values
from featherweight.words import duration, percent

ARGUMENTS = "model.arguments."      # settings that network.py holds itself


@dataclass(frozen=True)
class Found:
    """One network of the front, with everything that is written about it.

    number: 1, 2, ... by parameters; the name of its folder. shape: (C, H, W) of the images.
    runs: finished trainings on all training images, one per seed.
    """

    number: int
    point: Point
    front: Front
    base: Recipe
    shape: tuple[int, ...]
    classes: int
    runs: Sequence[Run]

    @property
    def arguments(self) -> dict[str, Any]:
        """Arguments of the network in words."""
        settings = self.point.candidate.settings
        return {key.removeprefix(ARGUMENTS): value for key, value in settings.items() if key.startswith(ARGUMENTS)}

    @property
    def network(self) -> str:
        """The text of network.py."""
        return network_file(
            self.point.candidate.words, shape=self.shape, classes=self.classes, arguments=self.arguments,
            costs=self.point.costs, form=self.front.form, found=f"{self.origin} {self.result}".strip(),
        )

    @property
    def origin(self) -> str:
        """A sentence on how the network was found."""
        tried = f"candidate {self.point.number}; {len(self.front.tried):,} were tried on {self.front.data}"
        return f"Found by `{shown(self.front.command)}` (seed {self.front.seed}): {tried}."

    @property
    def result(self) -> str:
        """A sentence with the accuracy on test, or on validation before the test. "" before both."""
        if not (values := self.point.test or self.point.validation):
            return ""
        images = "Test" if self.point.test else "Validation"
        return f"{images} {spread(values)} at the last epoch."

    @property
    def recipe(self) -> Recipe:
        """The recipe that trains network.py: the recipe of its runs, or the planned one before the runs."""
        content = (self.runs[0].recipe if self.runs else self.planned).model_dump(mode="json", exclude_defaults=True)
        shape = {"channels": self.shape[0], "size": self.shape[-1]}     # else the class would be asked for them
        content["data"] = {"dataset": self.base.data.dataset, **content.get("data", {}), **shape}
        return Recipe.from_dict({**content, "name": f"{self.base.name[:90]}-{self.number}", "goal": self.goal,
                                 "model": {"name": f"{FILE}:{CLASS}"}})

    @property
    def planned(self) -> Recipe:
        """The base with the candidate's settings, on all training images, for as many epochs as the budget allows."""
        content = self.base.model_dump(mode="json", exclude_unset=True)
        if epochs := self.front.budgets.get("epochs"):
            set_value(content, "training.epochs", int(epochs))
        for key, value in self.point.candidate.settings.items():
            set_value(content, key, value)
        for key, value in {"data.validation": 0, "data.unseen_writers": False, "evaluation.curve": "auto"}.items():
            set_value(content, key, value)
        return Recipe.from_dict(content)

    @property
    def goal(self) -> dict[str, Any]:
        """The section `goal` of the recipe: the budgets of the search, and the result."""
        budgets = self.front.budgets
        limits = {"max_parameters": budgets.get("parameters"), "max_epochs": budgets.get("epochs")}
        goal = {key: int(value) for key, value in limits.items() if value}
        accuracy = {"accuracy": budgets["accuracy"]} if budgets.get("accuracy") else {}
        return {**goal, **accuracy, **({"results": self.result} if self.result else {})}

    def recipe_text(self) -> str:
        """Return the text of recipe.toml, with a header that states command, time and result."""
        seeds = len(self.runs)
        command = f"featherweight train {self.number}/recipe.toml" + (f" --seeds {seeds}" if seeds > 1 else "")
        header = [("Command", command)]
        if self.runs:
            spent = sum(run.result["seconds"] for run in self.runs) / seeds
            machine = self.runs[0].environment
            header.append(("Time", f"{duration(spent)} per seed, {machine.get('threads', 1)} thread(s) of "
                                   f"{shown(machine.get('device_name', 'an unknown processor'))}"))
        header += [("Result", self.result[0].lower() + self.result[1:])] if self.result else []
        lines = [f"# {name:8} {text}" for name, text in header]
        lines += [f"# {line}" for line in textwrap.wrap(self.origin, 116)]
        return "\n".join([*lines, "", tomli_w.dumps(self.recipe.model_dump(mode="json", exclude_defaults=True))])

    def seeds(self) -> dict[str, Any]:
        """Return the content of seeds.json: words, settings, costs, and the accuracy of each seed."""
        point = self.point
        return {
            "number": point.number, **point.candidate.to_dict(), "costs": point.costs.to_dict(),
            "form": self.front.form,
            **{name: {"accuracies": values, **({"mean": summarize_values(values).mean} if values else {})}
               for name, values in (("validation", point.validation), ("test", point.test))},
            "runs": [{"run": name, "seed": run.result["seed"], "seconds": run.result["seconds"],
                      "test": run.result["test"]} for name, run in zip(point.runs, self.runs, strict=True)]
            if len(self.runs) == len(point.runs) else [],
        }


def spread(values: Sequence[float]) -> str:
    """Return "99.46 % (99.38 to 99.55), mean (lowest to highest) of 5 seeds", or "99.46 %, one seed"."""
    found = summarize_values(values)
    if found.count == 1:
        return f"{percent(found.mean)}, one seed"
    return (f"{percent(found.mean)} ({100 * found.lowest:.2f} to {100 * found.highest:.2f}), mean (lowest to highest) "
            f"of {found.count} seeds")


def shown(text: object) -> str:
    """Return text as one line for a comment."""
    return visible(text)
