"""A recipe: one experiment as data, in TOML, checked before anything is loaded.

Every section is a small pydantic model with all its defaults here, so this page is also the
reference of what a recipe may say. Configuration ends in experiment.py: everything below it
takes plain values.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Sequence
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import tomli_w
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from featherweight.documents import parse_toml
from featherweight.errors import RecipeError, UnknownName
from featherweight.files import plain_file
from featherweight.outside import LONGEST_NAME, LONGEST_PATH, name_fault, shortened
from featherweight.user_code import ENDINGS, MANIFEST, SOURCE_FOLDER, Source
from featherweight.wording import option

Fraction = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
Decay = Annotated[float, Field(ge=0, lt=1)]
NotNegative = Annotated[float, Field(ge=0)]
LARGEST = 2**53     # of counts: what a float holds exactly
Count = Annotated[int, Field(gt=0, le=LARGEST)]
CountOrNone = Annotated[int, Field(ge=0, le=LARGEST)]


class Section(BaseModel):
    """Unknown keys are faults, values do not change after reading, infinity is no number."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, validate_default=True)


class Goal(Section):
    """What the recipe promises (checked), and in words why and what came of it."""

    target: str = ""                                        # what the experiment is for
    results: str = ""                                       # what a full run of it gave
    analysis: str = ""                                      # what that means
    max_parameters: Count | None = None                     # at most
    max_epochs: Count | None = None                         # at most
    accuracy: Fraction | None = None                        # at least, on test, after training, on every head


class Data(Section):
    """Which images; validation images are taken out of the training set."""

    dataset: str = "mnist"
    validation: CountOrNone = 0                             # images
    split_seed: int | None = Field(None, ge=0, lt=2**63)    # which of them; without it training.seed: each seed its own
    unseen_writers: bool = False                            # mnist: who wrote them wrote no training image
    channels: Literal[1, 3] = 1
    size: int = Field(28, ge=4, le=512)                     # pixels
    upright: bool = False                                   # handwriting: rows are moved until it does not lean

    @property
    def seen(self) -> dict[str, Any]:
        """What load_dataset and specification_of ask of how images look."""
        return {"channels": self.channels, "size": self.size, "upright": self.upright}


class Model(Section):
    """A name of the catalogue or path/to/file.py:Class, and what its builder is given."""

    name: str
    arguments: dict[str, Any] = Field(default_factory=dict)

    @field_validator("name")
    @classmethod
    def _name_can_be_shown(cls, name: str) -> str:
        if fault := name_fault(name, LONGEST_PATH):
            raise ValueError(f"{shortened(repr(name), 60)} {fault}")
        return name

    @model_validator(mode="after")
    def _arguments_can_be_written(self) -> Self:
        for key, value in self.arguments.items():
            if not can_be_written(value):
                raise ValueError(f"argument {key!r} is {shown(value)}, which is no value of a recipe")
        return self


class Augmentation(Section):
    """Largest random change of a training image; every image draws its own. 0 is off."""

    rotation: NotNegative = 0.0                             # degrees, to either side
    shift: Fraction = 0.0                                   # part of the image's size, each way
    scale: float = Field(0.0, ge=0, lt=1)                   # part of 1, smaller or larger
    shear: float = Field(0.0, ge=0, lt=90)                  # degrees, to either side
    crop: CountOrNone = 0                                   # pixels kept by the centre crop, resized back
    crop_probability: Fraction = 0.0                        # of cropping one image
    elastic: float = Field(0.0, ge=0, le=10)                # pixels that each point of a 5x5 grid moves, at most
    erasing: Fraction = 0.0                                 # probability of blanking a rectangle
    fade: Fraction = 0.0                                    # last part of the training, in which all these go down to 0


class Distillation(Section):
    """A teacher whose answers are learned beside the labels. Source: Hinton et al. (2015)."""

    teacher: str = Field("", pattern=r"^[^\x00]*$")         # a finished run or a folder of seeds, averaged; "" is none
    weight: Fraction = 0.7                                  # part of the loss that follows the teacher
    temperature: Positive = 2.0                             # divides the logits of both: small probabilities count

    @property
    def teaches(self) -> bool:
        """Whether there is a teacher that counts."""
        return self.teacher != "" and self.weight > 0


class Optimizer(Section):
    """torch.optim's SGD, Adam or AdamW, or Muon."""

    name: Literal["sgd", "adam", "adamw", "muon"] = "sgd"
    lr: Positive = 0.01
    momentum: float = Field(0.9, ge=0, lt=1)                # sgd and muon
    nesterov: bool = False                                  # sgd and muon
    weight_decay: NotNegative = 0.0
    betas: tuple[Decay, Decay] = (0.9, 0.999)               # adam and adamw; of muon for shifts, gains and biases

    @model_validator(mode="after")
    def _nesterov_needs_momentum(self) -> Self:
        if self.nesterov and self.momentum == 0:
            raise ValueError("nesterov needs a momentum greater than 0")
        return self


class Schedule(Section):
    """How the learning rate moves: constant, step and plateau by epoch, one-cycle and cosine by step."""

    name: Literal["constant", "step", "plateau", "one-cycle", "cosine"] = "constant"
    step_size: Count = 10                                   # step: epochs between two drops
    gamma: float = Field(0.1, gt=0, le=1)                   # step and plateau: factor of a drop
    patience: CountOrNone = 10                              # plateau: epochs without a better validation loss
    threshold: NotNegative = 1e-4                           # plateau: what counts as better, absolute
    warmup: float = Field(0.3, ge=0, lt=1)                  # one-cycle: part of all steps until the top
    start_factor: float = Field(0.04, gt=0, le=1)           # one-cycle: first lr / top
    end_factor: float = Field(1e-4, ge=0, le=1)             # one-cycle and cosine: last lr / top


class Training(Section):
    """The loop's own numbers."""

    epochs: Count = 1
    batch_size: int = Field(128, gt=1, le=LARGEST)
    fraction: float = Field(1.0, gt=0, le=1)                # of the images in later epochs, the hardest and others
    seed: int = Field(1, ge=0, lt=2**63)
    precision: Literal["auto", "float32", "bf16"] = "auto"  # auto: bf16 where the machine computes it natively
    ema: float = Field(0.0, ge=0, lt=1)                     # decay a step of the averaged weights; 0 is off
    gradient_clip: NotNegative = 0.0                        # largest norm of all gradients; 0 is off
    keep: Literal["last", "best-on-validation"] = "last"    # the epoch whose network is measured on test and written
    start: str = Field("", pattern=r"^[^\x00]*$")           # a finished run whose weights are the first; "" is none
    patience: CountOrNone = 0                               # epochs without lower validation loss; then stop; 0 is off


class Evaluation(Section):
    """What the per-epoch curve is measured on; test data is otherwise looked at once, at the end."""

    curve: Literal["auto", "none", "validation", "test"] = "auto"  # auto: validation where there is one


class Recipe(Section):
    """One experiment. Recipe.load reads, .to_toml writes with every default filled in."""

    name: str = Field(min_length=1, max_length=LONGEST_NAME, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    task: Literal["classification", "digit-sum"] = "classification"
    goal: Goal = Goal()
    data: Data = Data()
    model: Model
    augmentation: Augmentation = Augmentation()
    distillation: Distillation = Distillation()
    optimizer: Optimizer = Optimizer()
    schedule: Schedule = Schedule()
    training: Training = Training()
    evaluation: Evaluation = Evaluation()

    @model_validator(mode="after")
    def _validation_where_it_is_needed(self) -> Self:
        if self.data.validation == 0 and self.schedule.name == "plateau":
            raise ValueError("schedule.name: 'plateau' watches a validation split. Set data.validation, e.g. 5000")
        if self.data.validation == 0 and self.evaluation.curve == "validation":
            raise ValueError("evaluation.curve: 'validation' needs a validation split. Set data.validation, e.g. 5000")
        if self.data.validation == 0 and self.data.unseen_writers:
            raise ValueError("data.unseen_writers: true needs a validation split. Set data.validation, e.g. 5000")
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
        """Which images are validation images, with the default resolved."""
        return self.training.seed if self.data.split_seed is None else self.data.split_seed

    @property
    def curve(self) -> Literal["none", "validation", "test"]:
        """Where the per-epoch curve is measured, with the default resolved."""
        if self.evaluation.curve == "auto":
            return "validation" if self.data.validation else "none"
        return self.evaluation.curve

    @classmethod
    def load(cls, name_or_path: str | Path, settings: Sequence[str] = ()) -> Recipe:
        """Read a recipe of the package by name, or any TOML file; settings are "section.key=value".

        A network's file is looked for beside the recipe's file, then in the working folder. Raises UnknownName for a
        recipe that does not exist, RecipeError with all faults at once.
        """
        path = find_recipe(name_or_path)
        content = read_toml(path)
        model = content.get("model")
        if isinstance(model, dict) and isinstance(model.get("name"), str):
            model["name"] = beside(path.parent, model["name"])
        for setting in settings:
            apply_setting(content, setting)
        return cls.from_dict(content, origin=path.name)

    @classmethod
    def read(cls, path: Path) -> Recipe:
        """Read a TOML file as it stands. Raises RecipeError with all faults at once."""
        return cls.from_dict(read_toml(path), origin=path.name)

    @classmethod
    def from_dict(cls, content: dict[str, Any], origin: str = "recipe") -> Recipe:
        """Validate plain data; RecipeError lists every fault, each with its key and what is allowed."""
        try:
            return cls.model_validate(content)
        except ValidationError as fault:
            faults = [_in_words(error) for error in fault.errors()]
            count = "1 fault" if len(faults) == 1 else f"{len(faults)} faults"
            raise RecipeError(f"{origin} has {count}:", *faults) from fault

    def with_seed(self, seed: int) -> Recipe:
        """The same experiment with another seed."""
        return self.model_copy(update={"training": self.training.model_copy(update={"seed": seed})})

    def with_start(self, run: str) -> Recipe:
        """The same experiment, beginning with the weights of a finished run."""
        return self.model_copy(update={"training": self.training.model_copy(update={"start": run})})

    def to_toml(self) -> str:
        """The whole recipe with its defaults written out; what is None is left out."""
        return tomli_w.dumps(self.model_dump(mode="json", exclude_none=True))


def recipe_names() -> list[str]:
    """The recipes that come with the package, sorted."""
    return sorted(file.name.removesuffix(".toml") for file in _folder().iterdir() if file.name.endswith(".toml"))


def find_recipe(name_or_path: str | Path) -> Path:
    """The file of a recipe: a path that ends in .toml, or a name of the package."""
    text = str(name_or_path)
    if text.endswith(".toml"):
        if not Path(text).is_file():
            raise RecipeError(f"recipe file {text!r} does not exist. See: featherweight recipes")
        return Path(text)
    if text not in recipe_names():
        raise UnknownName("recipe", text, recipe_names(), "See: featherweight recipes, or give a .toml file.")
    return Path(str(_folder() / f"{text}.toml"))


def read_toml(path: Path) -> dict[str, Any]:
    """Return a recipe file's content. Raises RecipeError if it is no TOML or cannot be read."""
    try:
        return parse_toml(plain_file(path).read_text(encoding="utf-8"))
    except ValueError as fault:
        raise RecipeError(
            f"{path.name} is not TOML: {shortened(fault)}. Compare it with: featherweight recipes"
        ) from fault
    except OSError as fault:
        raise RecipeError(f"{path} cannot be read: {fault.strerror}.") from fault


def beside(folder: Path, name: str) -> str:
    """Return "FILE:Class" with the file's path from the working folder, if it lies in the recipe's run or beside it."""
    if kept := kept_copy(folder):
        return kept
    file, _, attribute = name.rpartition(":")
    return f"{folder / file}:{attribute}" if file.endswith(ENDINGS) and (folder / file).is_file() else name


def kept_copy(folder: Path) -> str | None:
    """Return "FILE:Class" of the network's source that a run folder holds, None without one."""
    if not (folder / SOURCE_FOLDER / MANIFEST).is_file():
        return None
    source = Source.read(folder / SOURCE_FOLDER)
    return f"{folder / SOURCE_FOLDER / source.entry}:{source.attribute}"


def apply_setting(content: dict[str, Any], setting: str) -> None:
    """Write "training.epochs=1" into nested content. The value is TOML, or a bare word taken as text."""
    key, equals, text = setting.partition("=")
    parts = key.strip().split(".")
    if not equals or not all(parts):
        raise RecipeError(f"{option('set', setting)} is not section.key=value, such as training.epochs=1.")
    try:
        parsed = parse_toml(f"value = {text}")
    except ValueError:
        parsed = {"value": text.strip()}
    if len(parsed) > 1:
        raise RecipeError(f"{option('set', setting)} holds more than one value. Give each by itself.")
    set_value(content, key.strip(), parsed["value"])


def can_be_written(value: Any) -> bool:
    """True for a value that a recipe holds as it is: text, finite numbers, and lists and tables of them."""
    if isinstance(value, list | tuple | dict):
        return all(map(can_be_written, value.values() if isinstance(value, dict) else value))
    if isinstance(value, float):
        return math.isfinite(value)
    return isinstance(value, str | bool) or (isinstance(value, int) and -(2**63) <= value < 2**63)


def shown(value: Any) -> str:
    """Return a value as a message shows it, also a number with more digits than Python prints."""
    try:
        return repr(value)
    except ValueError:
        return "a number of thousands of digits"


def set_value(content: dict[str, Any], key: str, value: Any) -> None:
    """Write a value under "section.key" into nested content; RecipeError where a section is none."""
    *sections, last = key.split(".")
    for part in sections:
        content = content.setdefault(part, {})
        if not isinstance(content, dict):
            raise RecipeError(f"{option('set', key)}: {part!r} is not a section.")
    content[last] = value


def _folder() -> Any:
    return resources.files("featherweight") / "recipes"


def _in_words(error: Any) -> str:
    """One pydantic error as "key: what is wrong and what is allowed"."""
    key = shortened(".".join(str(part) for part in error["loc"]))
    value, context = shortened(shown(error["input"]), 60), error.get("ctx", {})
    match error["type"]:
        case "extra_forbidden":
            return f"{key}: unknown key.{_nearest(str(error['loc'][-1]), _siblings(error['loc']), 'Keys')}"
        case "literal_error":
            allowed = context["expected"].replace("'", "").replace(" or ", ", ").split(", ")
            return f"{key}: {value} is not one of {', '.join(allowed)}.{_nearest(value, allowed)}"
        case "missing":
            return f"{key}: is missing."
        case "greater_than" | "greater_than_equal" | "less_than" | "less_than_equal":
            return f"{key}: {value} is not {error['msg'].removeprefix('Input should be ')}"
        case "value_error":
            return f"{key}: {context['error']}" if key else str(context["error"])
        case _:
            return f"{key}: {value}: {error['msg'].removeprefix('Input ')}"


def _siblings(location: Sequence[int | str]) -> Iterable[str]:
    """The keys that are allowed where an unknown one was found."""
    section: Any = Recipe
    for part in location[:-1]:
        section = section.model_fields[part].annotation
    return list(section.model_fields)


def _nearest(name: str, allowed: Iterable[str], otherwise: str = "") -> str:
    names = list(allowed)
    near = difflib.get_close_matches(name, names, n=1)
    if near:
        return f" Did you mean {near[0]!r}?"
    return f" {otherwise}: {', '.join(names)}." if otherwise else ""
