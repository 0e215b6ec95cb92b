"""Records of a search: candidates, their costs, what was tried, and the front. Plain data, to JSON and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, Self

State = Literal["running", "stopped", "done", "failed"]


class Plain:
    """A dataclass that is written as a JSON object of its fields."""

    def to_dict(self) -> dict[str, Any]:
        """Return the fields, nested ones included, for JSON."""
        return asdict(self)  # type: ignore[call-overload, no-any-return]

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Return the object that `to_dict` wrote. Raises TypeError for missing or unknown fields."""
        return cls(**data)


@dataclass(frozen=True)
class Costs(Plain):
    """Exact costs of a network before training. ram, flash: bytes of its exported C code, input and stack included."""

    parameters: int
    macs: int
    ram: int
    flash: int


@dataclass(frozen=True)
class Candidate(Plain):
    """A network in words, and the recipe settings to train it with."""

    words: str                                                      # "words:c8 s16 p s22 g h"
    settings: dict[str, Any] = field(default_factory=dict)          # {"optimizer.lr": 0.02, "training.epochs": 15}


@dataclass(frozen=True)
class Tried(Plain):
    """One candidate of a study and its last measurement."""

    number: int
    candidate: Candidate
    costs: Costs
    rung: int                   # the last rung at which it was measured; -1 before the first
    accuracy: float | None      # fraction of the validation images at that rung; None: not measured
    state: State                # stopped: worse than others at its rung
    reason: str                 # of a failure, otherwise ""
    seconds: float              # of training, all rungs

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Return the object that `to_dict` wrote."""
        return cls(**{**data, **nested(data)})


@dataclass(frozen=True)
class Point(Plain):
    """One network of the front: trained with several seeds on all training images, and tested once."""

    number: int                 # of its Tried
    candidate: Candidate
    costs: Costs
    validation: list[float]     # accuracy by seed, by which the network was chosen
    test: list[float]           # accuracy by seed, measured once at the end; empty before
    runs: list[str]             # run folders, relative to the folder of the study

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Return the object that `to_dict` wrote."""
        return cls(**{**data, **nested(data)})


@dataclass(frozen=True)
class Front(Plain):
    """Result of a search: its points by number of parameters, and all that was tried."""

    data: str
    form: str                           # of the C code that ram and flash measure: int8 or float
    budgets: dict[str, float | None]    # parameters, macs, ram, flash, epochs: largest; accuracy: smallest
    seed: int
    points: list[Point]
    tried: list[Tried]
    machine: dict[str, Any]
    seconds: float
    command: str

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Return the object that `to_dict` wrote."""
        points = [Point.from_dict(one) for one in data["points"]]
        return cls(**{**data, "points": points, "tried": [Tried.from_dict(one) for one in data["tried"]]})


def nested(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return the candidate and the costs of a record as objects."""
    return {"candidate": Candidate.from_dict(data["candidate"]), "costs": Costs.from_dict(data["costs"])}
