"""Finished runs beside a run, in the same folder: a result may have been picked among them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from featherweight.errors import FeatherweightError
from featherweight.runs import Run

MOST = 300              # folders that are read
UNIMPORTANT = ("name", "goal")      # sections of a recipe that change no training
SEED = "training.seed"


@dataclass(frozen=True)
class Sibling:
    """One finished run beside the judged one.

    differs: keys of the recipe with another value, such as "training.seed". accuracy: on test, of the first head.
    """

    run: Run
    differs: tuple[str, ...]
    accuracy: float


def siblings_of(run: Run) -> list[Sibling]:
    """Return the finished runs in the same folder that trained the same network on the same data set.

    Runs that cannot be read are left out.
    """
    found, own = [], settings(run)
    folders = sorted(path for path in run.path.resolve().parent.iterdir() if (path / "result.json").is_file())
    for folder in folders[:MOST]:
        if folder == run.path.resolve():
            continue
        try:
            other = Run(folder)
            theirs, accuracy = settings(other), accuracy_of(other)
        except FeatherweightError:
            continue
        keys = sorted(own.keys() | theirs.keys())
        differs = tuple(key for key in keys if own.get(key) != theirs.get(key))
        if not any(key.startswith("model.") or key == "data.dataset" for key in differs):
            found.append(Sibling(other, differs, accuracy))
    return found


def accuracy_of(run: Run) -> float:
    """Return the test accuracy of the first head, as a fraction."""
    score = next(iter(run.result["test"].values()))
    return float(score["accuracy"])


def settings(run: Run) -> dict[str, Any]:
    """Return the values of a run's recipe that change the training, as "section.key" -> value."""
    content = run.recipe.model_dump()
    return dict(flat({key: value for key, value in content.items() if key not in UNIMPORTANT}))


def flat(content: dict[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    """Yield ("section.key", value) for each value in nested dictionaries."""
    for key, value in content.items():
        if isinstance(value, dict):
            yield from flat(value, f"{before}{key}.")
        else:
            yield f"{before}{key}", value
