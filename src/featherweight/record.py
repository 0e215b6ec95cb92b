"""Models of result.json and history.jsonl of a run. Both files are validated when read: they may be somebody else's.

Keys that no model names are kept unchanged.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from featherweight.errors import RunError
from featherweight.outside import LONGEST_NAME, LONGEST_PATH, MOST_CLASSES, name_fault, shortened

NEXT_MOVE = "Put the original back, or train again into another folder."


def _name(most: int) -> AfterValidator:
    def check(name: str) -> str:
        if fault := name_fault(name, most):
            raise ValueError(fault)
        return name

    return AfterValidator(check)


Name = Annotated[str, _name(LONGEST_NAME)]
LongName = Annotated[str, _name(LONGEST_PATH)]
Fraction = Annotated[float, Field(ge=0, le=1)]
NotNegative = Annotated[float, Field(ge=0)]
Count = Annotated[int, Field(ge=0, le=10**15)]
Epoch = Annotated[int, Field(ge=1, le=10**9)]
Channels = Annotated[list[float], Field(min_length=1, max_length=3)]


class Part(BaseModel):
    """Base of all parts of a record: values must have the exact JSON type, NaN and infinity are faults."""

    model_config = ConfigDict(extra="allow", strict=True, allow_inf_nan=False)


class RecordedScore(Part):
    """Results of one head on a split."""

    accuracy: Fraction
    correct: Count
    count: Annotated[int, Field(ge=1, le=10**15)]
    loss: float | None = None
    calibration_error: Fraction | None = None
    macro_recall: Fraction | None = None
    recall: Annotated[list[Fraction | None], Field(max_length=MOST_CLASSES)] = []

    @model_validator(mode="after")
    def _of_all(self) -> Self:
        if self.correct > self.count:
            raise ValueError(f"{self.correct} of {self.count} answers are correct")
        return self


class RecordedGoal(Part):
    """The recipe's goal, and the parts of the goal that the run missed."""

    met: bool | None
    missed: list[str] = []
    accuracy: Fraction | None = None
    max_parameters: Count | None = None
    max_epochs: Count | None = None
    macro_recall: Fraction | None = None
    lowest_recall: Fraction | None = None
    max_ram: Count | None = None
    max_flash: Count | None = None
    dataset: LongName = ""


class Trained(Part):
    """Accuracy and loss on training images in the last epoch."""

    accuracy: dict[Name, Fraction]
    loss: float


class Kept(Part):
    """The epoch whose network was kept, chosen on validation."""

    epoch: Epoch
    of: Epoch
    by: str


class StoppedEarly(Part):
    """A training that stopped before all planned epochs."""

    planned: Epoch
    patience: Count


class Start(Part):
    """The run that gave the initial weights."""

    run: str
    sha256: str


class Result(Part):
    """The content of result.json."""

    recipe: Name
    model: LongName
    parameters: Count
    dataset: LongName
    train_images: Count
    epochs: Count
    seed: Annotated[int, Field(ge=0, lt=2**63)]
    seconds: NotNegative
    device: Name
    precision: Literal["float32", "bf16"]
    engine: Literal["torch", "compiled"] = "torch"
    test: Annotated[dict[Name, RecordedScore], Field(min_length=1)]
    goal: RecordedGoal
    classes: Annotated[list[Name], Field(min_length=1, max_length=MOST_CLASSES)]
    mean: Channels
    std: Channels
    train: Trained | None = None
    confusion: dict[Name, list[list[Count]]] = {}
    wrong: dict[Name, list[Count]] = {}
    test_sha256: str = ""
    notes: list[str] = []
    kept: Kept | None = None
    stopped_early: StoppedEarly | None = None
    start: Start | None = None
    picture: dict[str, Any] | None = None
    weights: str | None = None
    recorded: dict[Literal["recipe.toml", "history.jsonl", "environment.json", "data.safetensors"], str] = {}

    @model_validator(mode="after")
    def _square(self) -> Self:
        for head, rows in self.confusion.items():
            if not 1 <= len(rows) <= MOST_CLASSES or any(len(row) != len(rows) for row in rows):
                raise ValueError(f"the confusion matrix of {head!r} is not square")
        if any(value <= 0 for value in self.std):
            raise ValueError("std has a value that is not above 0")
        return self


class Line(Part):
    """One line of history.jsonl."""

    epoch: Epoch
    lr: NotNegative
    train_loss: float
    train_accuracy: Annotated[dict[Name, Fraction], Field(min_length=1)]
    seconds: NotNegative = 0.0
    curve: dict[Name, RecordedScore] | None = None
    curve_on: Name | None = None


_LINES = TypeAdapter(list[Line])


def check_result(content: dict[str, Any], file: object) -> None:
    """Raise RunError, with one line, for a result.json with a value of a wrong type or out of range."""
    try:
        Result.model_validate(content)
    except ValidationError as fault:
        raise RunError(f"{file} is no result of a training: {_first(fault)}. {NEXT_MOVE}") from fault


def check_history(lines: Sequence[Any], file: object) -> None:
    """Raise RunError, with one line, if a line of history.jsonl is not an epoch or the lines have different heads."""
    try:
        found = _LINES.validate_python(lines)
    except ValidationError as fault:
        raise RunError(f"{file} holds a line that is no epoch: {_first(fault)}. {NEXT_MOVE}") from fault
    for place, line in enumerate(found):
        first = found[0]
        if line.train_accuracy.keys() != first.train_accuracy.keys() or _watched(line) != _watched(first):
            raise RunError(f"{file} holds lines of different heads: line {place + 1} is not like line 1. {NEXT_MOVE}")


def _watched(line: Line) -> tuple[str | None, tuple[str, ...]]:
    return line.curve_on, tuple(line.curve or ())


def _first(fault: ValidationError) -> str:
    """Return the first fault as text: its place, the value, and what is allowed."""
    error = fault.errors(include_url=False)[0]
    place = ".".join(str(part) for part in error["loc"])
    if error["type"] == "missing":
        return f"it has no {place!r}"
    said = error["msg"].removeprefix("Value error, ").removeprefix("Input ")
    value = "" if isinstance(error["input"], dict) else f" {shortened(repr(error['input']), 60)}"
    return shortened(f"{place}{value} {said}".strip())
