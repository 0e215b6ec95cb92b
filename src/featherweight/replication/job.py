"""What is to be done for many seeds, and who looks on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from featherweight.data import Dataset
from featherweight.preparation import PreparedTraining
from featherweight.recipe import Recipe
from featherweight.replication.folder import Replicas

TELL_SECONDS = 0.3      # between two words about where a seed stands


@dataclass(frozen=True)
class Job:
    """One recipe, its data, a device, and the folder that the seeds go into."""

    recipe: Recipe
    dataset: Dataset
    device: str
    replicas: Replicas


@dataclass(frozen=True)
class Standing:
    """Where the training of one seed stands."""

    steps: int                      # done, of all epochs
    loss: float                     # running, of the epoch under way, or the whole of the last one
    accuracy: tuple[float, ...]     # the same, one for each head


class SeedsWatcher(Protocol):
    """Who looks on while seeds are trained."""

    def on_teacher(self, teacher: str, networks: int, answered: int, images: int) -> None:
        """So many networks of a teacher have answered so many training images, once for all seeds."""

    def on_note(self, note: str) -> None:
        """Something about the network or the data that a person should know, in a sentence."""

    def on_start(self, training: PreparedTraining, seeds: Sequence[int], finished: Sequence[int], workers: int) -> None:
        """The seeds to train, those among them that are trained already, and how many go side by side."""

    def on_standing(self, seed: int, standing: Standing) -> None:
        """One seed has moved on."""

    def on_finish(self, seed: int, result: dict[str, Any]) -> None:
        """One seed is trained; its result.json is written."""


class Unwatched:
    """The watcher that says nothing."""

    def on_teacher(self, teacher: str, networks: int, answered: int, images: int) -> None: ...

    def on_note(self, note: str) -> None: ...

    def on_start(
        self, training: PreparedTraining, seeds: Sequence[int], finished: Sequence[int], workers: int
    ) -> None: ...

    def on_standing(self, seed: int, standing: Standing) -> None: ...

    def on_finish(self, seed: int, result: dict[str, Any]) -> None: ...
