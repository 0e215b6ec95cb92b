"""A trial: train a recipe and measure it on its validation images. It cannot see test images.

Code that chooses networks or settings uses trials, so that no choice depends on test images.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch

from featherweight.data import Dataset
from featherweight.errors import RecipeError, TrainingInterrupted
from featherweight.evaluation import Score
from featherweight.experiment import Watcher, begin_run, engine_of, run_epochs
from featherweight.models import Blueprint
from featherweight.preparation import PreparedTraining, build_training
from featherweight.recipe import Recipe
from featherweight.runs import Run
from featherweight.teachers import with_teacher
from featherweight.training.loop import train
from featherweight.training.measurement import measure
from featherweight.training.plan import Record
from featherweight.wording import option


@dataclass(frozen=True)
class Trial:
    """Results of one trial, after its last epoch."""

    parameters: int
    validation: dict[str, Score]    # of each head
    records: list[Record]           # of each epoch
    seconds: float                  # of training


def run_trial(
    recipe: Recipe, dataset: Dataset, device: torch.device, *, blueprint: Blueprint | None = None,
    on_epoch: Callable[[Record], None] = lambda record: None, should_stop: Callable[[], int] = lambda: 0,
) -> Trial:
    """Train a recipe and return its scores on the validation images that its seed holds out.

    dataset: not split yet; its test images are removed before anything is built.
    should_stop: returns the signal to stop for, or 0.
    Raises RecipeError without validation images, TrainingInterrupted after a stop, and what build_training raises.
    """
    training = prepared(recipe, dataset, device, blueprint)
    records = []
    for (record,) in train([training.replica], training.task, should_stop=lambda: bool(should_stop())):
        records.append(record)
        on_epoch(record)
    if not training.plan.ended(training.state):
        raise TrainingInterrupted(should_stop(), "the trial was interrupted, and nothing of it is kept.")
    return Trial(training.parameters, scores_of(training), records, training.state.position.seconds)


def resume_trial(
    run: Run, recipe: Recipe, dataset: Dataset, device: torch.device, watcher: Watcher
) -> dict[str, Score]:
    """Train a recipe with checkpoints in a run folder, from the last of them on, and return its validation scores.

    run: an empty folder, or one in which the same trial was interrupted. The scores are those of run_trial.
    Raises the errors of run_trial. After Ctrl-C or SIGTERM the folder holds a checkpoint.
    """
    training = prepared(recipe, dataset, device, begun_by=engine_of(run))
    begin_run(run, recipe, training)
    run_epochs(run, training, watcher)
    return scores_of(training)


def prepared(
    recipe: Recipe, dataset: Dataset, device: torch.device, blueprint: Blueprint | None = None,
    begun_by: str | None = None,
) -> PreparedTraining:
    """Build the training of a trial. The data lose their test images first."""
    if not recipe.data.validation:
        raise RecipeError(f"data.validation is 0, but a trial is measured on validation images. Set it, e.g. "
                          f"{option('set', 'data.validation=5000')}.")
    if recipe.curve == "test":
        raise RecipeError("evaluation.curve is 'test', but a trial cannot see test images. Allowed: none, validation.")
    hidden = replace(with_teacher(recipe, dataset, device), test=dataset.test.first(0))
    return build_training(recipe, hidden, device, blueprint, begun_by=begun_by)


def scores_of(training: PreparedTraining) -> dict[str, Score]:
    """Return the score of each head on the validation images, of the state that the recipe keeps."""
    if training.plan.keep_best:
        training.state.return_to_best()
    assert training.dataset.validation is not None
    return measure(training.state.trained, training.dataset.validation.to(training.device), training.task,
                   training.precision, training.engine.name)
