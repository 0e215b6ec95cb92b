"""The recipe: all sections together, and the rules between them."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, Self

import tomli_w
from pydantic import Field, ValidationError, model_validator

from featherweight.errors import RecipeError
from featherweight.outside import LONGEST_NAME
from featherweight.recipe.faults import in_words
from featherweight.recipe.files import as_then, beside, find_recipe, read_toml
from featherweight.recipe.sections import (
    AugmentationSection,
    DataSection,
    DistillationSection,
    EvaluationSection,
    GoalSection,
    ModelSection,
    OptimizerSection,
    ScheduleSection,
    Section,
    TrainingSection,
)
from featherweight.recipe.settings import apply_setting, keep_goal_data


class Recipe(Section):
    """One experiment. Recipe.load reads a recipe; .to_toml returns its text with all defaults."""

    name: str = Field(min_length=1, max_length=LONGEST_NAME, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    """Name of the experiment, which is also part of the run folder's name. Letters, digits and `.`, `_`, `-`, at most
    100 characters. Example: `"mine"`.
    """
    task: Literal["classification", "digit-sum"] = "classification"
    """`classification`: the class of an image. `digit-sum`: its digit, and the sum of the digit and a given number.
    Example: `"classification"`.
    """
    goal: GoalSection = GoalSection()
    data: DataSection = DataSection()
    model: ModelSection
    augmentation: AugmentationSection = AugmentationSection()
    distillation: DistillationSection = DistillationSection()
    optimizer: OptimizerSection = OptimizerSection()
    schedule: ScheduleSection = ScheduleSection()
    training: TrainingSection = TrainingSection()
    evaluation: EvaluationSection = EvaluationSection()

    @model_validator(mode="after")
    def _settings_fit_together(self) -> Self:
        if self.data.validation == 0 and self.schedule.name == "plateau":
            raise ValueError("schedule.name: 'plateau' watches a validation split. Set data.validation, e.g. 5000")
        if self.data.validation == 0 and self.evaluation.curve == "validation":
            raise ValueError("evaluation.curve: 'validation' needs a validation split. Set data.validation, e.g. 5000")
        if self.data.marks and self.task != "classification":
            raise ValueError("data.marks: the class none is for the task classification. Set data.marks to 0")
        if self.data.validation == 0 and self.data.unseen_writers:
            raise ValueError("data.unseen_writers: true needs a validation split. Set data.validation, e.g. 5000")
        if self.training.balance != "none" and self.task != "classification":
            raise ValueError(f"training.balance: {self.training.balance!r} is for the task classification. "
                             "Set it to none")
        if self.training.balance == "balanced-sampling" and self.training.fraction < 1:
            raise ValueError("training.balance: 'balanced-sampling' chooses the images of an epoch, and so does "
                             "training.fraction. Set training.fraction to 1, or training.balance to class-weights")
        if self.augmentation.crop > self.data.size:
            raise ValueError(f"augmentation.crop: {self.augmentation.crop} is larger than data.size {self.data.size}")
        return self

    @model_validator(mode="after")
    def _epochs_are_chosen_on_validation(self) -> Self:
        training = self.training
        chosen = [("keep", training.keep)] if training.keep != "last" else []
        for key, value in chosen + ([("patience", training.patience)] if training.patience else []):
            if self.data.validation == 0:
                raise ValueError(f"training.{key}: {value!r} needs a validation split. Set data.validation, e.g. 5000")
            if self.curve != "validation":
                raise ValueError(f"evaluation.curve: {self.curve!r} cannot go with training.{key} {value!r}, which "
                                 "watches validation and never test. Set evaluation.curve to auto")
        return self

    @property
    def split_seed(self) -> int:
        """Seed of the validation split: data.split_seed, or by default training.seed."""
        return self.training.seed if self.data.split_seed is None else self.data.split_seed

    @property
    def curve(self) -> Literal["none", "validation", "test"]:
        """Split measured after each epoch, with "auto" replaced by "validation" or "none"."""
        if self.evaluation.curve == "auto":
            return "validation" if self.data.validation else "none"
        return self.evaluation.curve

    @classmethod
    def load(cls, name_or_path: str | Path, settings: Sequence[str] = ()) -> Recipe:
        """Read a recipe of the package by name, or any TOML file, and apply settings such as "training.epochs=1".

        The file of a user's network is looked up beside the recipe's file, then in the working folder.
        Raises UnknownName for an unknown recipe, RecipeError with all faults of the recipe.
        """
        path = find_recipe(name_or_path)
        content = read_toml(path)
        content = as_then(content) if (path.parent / "environment.json").is_file() else content
        model = content.get("model")
        if isinstance(model, dict) and isinstance(model.get("name"), str):
            model["name"] = beside(path.parent, model["name"])
        before = copy.deepcopy(content)
        for setting in settings:
            apply_setting(content, setting)
        keep_goal_data(before, content)
        return cls.from_dict(content, origin=path.name)

    @classmethod
    def read(cls, path: Path) -> Recipe:
        """Read the recipe of a run. The network's path is kept unchanged. Raise RecipeError with all faults.

        A key that runs of earlier versions lack gets the value that means their behaviour.
        """
        return cls.from_dict(as_then(read_toml(path)), origin=path.name)

    @classmethod
    def from_dict(cls, content: dict[str, Any], origin: str = "recipe") -> Recipe:
        """Return the recipe made from nested dictionaries.

        origin: name of the data in messages. Raises RecipeError with every fault: its key, and the allowed values.
        """
        try:
            return cls.model_validate(content)
        except ValidationError as fault:
            faults = [in_words(error, Recipe) for error in fault.errors()]
            count = "1 fault" if len(faults) == 1 else f"{len(faults)} faults"
            raise RecipeError(f"{origin} has {count}:", *faults) from fault

    def with_seed(self, seed: int) -> Recipe:
        """Return a copy of the recipe with another seed."""
        return self.model_copy(update={"training": self.training.model_copy(update={"seed": seed})})

    def with_start(self, run: str) -> Recipe:
        """Return a copy of the recipe that starts with the weights of a finished run."""
        return self.model_copy(update={"training": self.training.model_copy(update={"start": run})})

    def to_toml(self) -> str:
        """Return the complete recipe as TOML, with all defaults. Keys without a value are left out."""
        return tomli_w.dumps(self.model_dump(mode="json", exclude_none=True))
