"""Shared by both ways to train many seeds: the job, the progress of one seed, and the watcher protocol."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from featherweight.data import Dataset
from featherweight.preparation import PreparedTraining
from featherweight.recipe import Recipe
from featherweight.replication.folder import Replicas
from featherweight.user_code import Source

TELL_SECONDS = 0.3      # between two progress reports of a seed


@dataclass(frozen=True)
class Job:
    """One recipe to train with many seeds: its data, the device, and the folder for the runs.

    place: the crew that trains, such as "local" or "ray". storage: for the runs of a cluster while they are trained.
    source: of a network that the user wrote.
    """

    recipe: Recipe
    dataset: Dataset
    device: str
    replicas: Replicas
    place: str = "local"
    storage: str | None = None
    source: Source | None = None


@dataclass(frozen=True)
class Standing:
    """Progress of one seed's training."""

    steps: int                      # optimisation steps done, counted over all epochs
    loss: float                     # mean per image so far in the current epoch; at its end, of the whole epoch
    accuracy: tuple[float, ...]     # fraction of correct predictions over the same images, one per head

    @classmethod
    def of(cls, training: PreparedTraining) -> Standing:
        """Return the progress of a training that has taken at least one step of its epoch."""
        position = training.state.position
        accuracy = tuple(right / position.seen for right in position.correct)
        steps = training.plan.steps_done(position, len(training.dataset.train))
        return cls(steps, position.loss_sum / position.seen, accuracy)


class SeedsWatcher(Protocol):
    """Callbacks that report the progress of training many seeds."""

    def on_teacher(self, teacher: str, networks: int, answered: int, images: int) -> None:
        """Called before training, while the teacher's soft labels are computed (once for all seeds).

        teacher: the recipe's teacher. networks: number of its networks. answered: images done, out of `images`.
        """

    def on_note(self, note: str) -> None:
        """Called with a warning about the network or the data, one sentence."""

    def on_start(self, training: PreparedTraining, seeds: Sequence[int], finished: Sequence[int], workers: int) -> None:
        """Called once before the first step.

        training: of the first seed. seeds: all of them. finished: those that an earlier call has trained already.
        workers: number of seeds that are trained in parallel.
        """

    def on_standing(self, seed: int, standing: Standing) -> None:
        """Called a few times per second with the progress of one seed."""

    def on_finish(self, seed: int, result: dict[str, Any]) -> None:
        """Called when a seed is trained. result: content of its result.json, which is written already."""


class Unwatched:
    """A watcher that reports nothing."""

    def on_teacher(self, teacher: str, networks: int, answered: int, images: int) -> None: ...

    def on_note(self, note: str) -> None: ...

    def on_start(
        self, training: PreparedTraining, seeds: Sequence[int], finished: Sequence[int], workers: int
    ) -> None: ...

    def on_standing(self, seed: int, standing: Standing) -> None: ...

    def on_finish(self, seed: int, result: dict[str, Any]) -> None: ...
