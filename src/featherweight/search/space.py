"""The space of a search: its dimensions, and how a point of it becomes a network in words and recipe settings.

A point gives proportions of the layers' widths. `fitting.py` multiplies all widths until the network fits a budget.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from math import exp, log
from typing import Any, Protocol

import numpy as np

from featherweight.integrity import digest
from featherweight.models.words import PREFIX

LEAST, MOST = 2, 256        # channels of a layer
STAGES = 7                  # most stages after the first convolution
CHANGES = 3                 # dimensions of a point that change to those of a neighbour, on average
STEP = 0.2                  # standard deviation of the step of a real dimension, as a fraction of its range
MOVES = {"rotation": 7.0, "shift": 0.05, "scale": 0.05}     # augmentation of the tuned recipes; "moves" multiplies it


@dataclass(frozen=True)
class Real:
    """A dimension of real numbers from low to high."""

    low: float
    high: float
    log: bool = False


@dataclass(frozen=True)
class Whole:
    """A dimension of whole numbers from low to high, both included."""

    low: int
    high: int


@dataclass(frozen=True)
class Choice:
    """A dimension of a few values without an order."""

    values: tuple[str | float | bool, ...]


Dimension = Real | Whole | Choice
SPACE: dict[str, Dimension] = {
    "crop": Whole(0, 3),                            # pixels cut off each side
    "stem": Choice(("c", "t", "F")),                # word of the first convolution
    "stem_width": Real(0.2, 2, log=True),
    "stages": Whole(2, STAGES),
    # Words that repeat their weights, such as x8t2, are left out: they are not compiled and train ten times slower.
    **{f"kind{i}": Choice(("s", "e", "S", "c", "x", "w")) for i in range(STAGES)},      # word of each stage
    **{f"width{i}": Real(0.25, 4, log=True) for i in range(STAGES)},
    "pools": Whole(0, 2),
    "pool": Real(0, 1),                             # place of the first pool: 0 after the stem, 1 near the end
    "pool2": Real(0, 1),
    "tail": Choice(("g", "q")),
    "gain": Choice((True, False)),
    "dropout": Whole(0, 3),                         # in steps of 0.02
    "optimizer": Choice(("sgd", "muon")),
    "rate_sgd": Real(0.02, 1, log=True),
    "rate_muon": Real(0.01, 0.3, log=True),
    "fade": Whole(0, 4),                            # in steps of 0.25
    "moves": Real(0, 1.5),
    "fraction": Choice((1.0, 0.5)),
}
START: dict[str, Any] = {       # the form of the hand-made networks: docs/experiments.md
    "crop": 0, "stem": "c", "stem_width": 0.4, "stages": 5,
    **{f"kind{i}": "s" for i in range(STAGES)}, "width0": 0.75, **{f"width{i}": 1.0 for i in range(1, STAGES)},
    "pools": 1, "pool": 0.25, "tail": "q", "gain": False, "dropout": 0, "optimizer": "muon",
    "rate_muon": 0.05, "fade": 2, "moves": 1.0, "fraction": 1.0,
}
STARTS = (START, {**START, "crop": 2, "stem": "t", "stages": 4})    # tried first; the second one needs little RAM


class Suggest(Protocol):
    """Source of the value of a dimension, for example a trial of Optuna."""

    def __call__(self, name: str, dimension: Dimension) -> Any: ...


def draw(suggest: Suggest) -> dict[str, Any]:
    """Return a point: a value for each dimension that has an effect together with the others."""
    left_out = {"pool", "pool2", "rate_sgd", "rate_muon"}
    point = {name: suggest(name, dimension) for name, dimension in SPACE.items() if name not in left_out}
    depending = [*("pool", "pool2")[: point["pools"]], f"rate_{point['optimizer']}"]
    return point | {name: suggest(name, SPACE[name]) for name in depending}


def near(point: Mapping[str, Any], random: np.random.Generator) -> dict[str, Any]:
    """Return a neighbour of a point: most of its dimensions have the same values, on average CHANGES have new ones."""
    def value(name: str, dimension: Dimension) -> Any:
        kept = name in point and random.random() > CHANGES / len(SPACE)
        return point[name] if kept else redrawn(dimension, point.get(name), random)

    return draw(value)


def redrawn(dimension: Dimension, old: Any, random: np.random.Generator) -> Any:
    """Return a new value of a dimension. That of a real dimension is a step of about STEP of its range from the old."""
    if isinstance(dimension, Choice):
        return dimension.values[random.integers(len(dimension.values))]
    if isinstance(dimension, Whole):
        return int(random.integers(dimension.low, dimension.high + 1))
    low, high = (log(end) if dimension.log else end for end in (dimension.low, dimension.high))
    if old is None:
        new = random.uniform(low, high)
    else:
        new = (log(old) if dimension.log else old) + STEP * (high - low) * random.standard_normal()
    new = min(high, max(low, new))
    return float(min(dimension.high, max(dimension.low, exp(new) if dimension.log else new)))


def fingerprint() -> str:
    """Return a hash of the space. Points of another space have another meaning."""
    return digest({name: {type(one).__name__: asdict(one)} for name, one in SPACE.items()}, without="")[:12]


def words_of(point: Mapping[str, Any], factor: float, side: int) -> str:
    """Return the network of a point in words. factor: multiplies all widths. side: of the images, in pixels.

    A stage for which the map is too small gets padding, and a pool for which it is too small is left out.
    """
    row, side = ([f"z{point['crop']}"], side - 2 * point["crop"]) if point["crop"] else ([], side)
    width = channels(point["stem_width"] * factor)
    row.append(f"{point['stem']}{width}")
    side = side - 2 if point["stem"] == "c" else (side + 1) // 2
    pools = {round(point[name] * (point["stages"] - 1)) for name in ("pool", "pool2") if name in point}
    for index in range(point["stages"]):
        if index in pools and side >= 4:
            row, side = [*row, "p"], side // 2
        kind = point[f"kind{index}"]
        kind = PADDED.get(kind, kind) if side <= 2 else kind
        side -= 2 if kind in PADDED else 0
        width = width if kind in "xw" else channels(point[f"width{index}"] * factor)
        row.append(f"{kind}{width}")
    return PREFIX + " ".join([*row, point["tail"], "h"])


PADDED = {"s": "S", "e": "S", "c": "C", "w": "x"}       # word -> word that keeps height and width


def channels(width: float) -> int:
    """Return a width as a number of channels."""
    return min(MOST, max(LEAST, round(width)))


def settings_of(point: Mapping[str, Any]) -> dict[str, Any]:
    """Return the recipe settings of a point, without the number of epochs."""
    return {
        **({} if point["gain"] else {"model.arguments.gain": False}),
        **({"model.arguments.dropout": rounded(0.02 * point["dropout"])} if point["dropout"] else {}),
        "optimizer.name": point["optimizer"],
        "optimizer.lr": rounded(point[f"rate_{point['optimizer']}"]),
        **{f"augmentation.{name}": rounded(most * point["moves"]) for name, most in MOVES.items()},
        "augmentation.fade": 0.25 * point["fade"],
        "training.fraction": point["fraction"],
    }


def rounded(value: float) -> float:
    """Return a number with three digits, so that recipes are easy to read."""
    return float(f"{value:.3g}")
