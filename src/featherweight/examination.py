"""Examine a finished run: its network, and the network's outputs for every test image.

evaluate_weights measures a network whose weights were trained elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from featherweight.data import Dataset, Images, dataset_from_sample, load_dataset
from featherweight.devices import pick_device
from featherweight.errors import DataError, ModelError, NoNumbers, RunError
from featherweight.evaluation import Score
from featherweight.forward import as_input
from featherweight.independence import FEW
from featherweight.models import build_model, input_shapes
from featherweight.models.lazy import fill_lazy
from featherweight.models.weights import put_weights
from featherweight.networks import load_network, suited
from featherweight.record import NEXT_MOVE
from featherweight.runs import Run
from featherweight.tasks import Task, TaskBatch, build_task
from featherweight.training.fit import check_alone, check_fit
from featherweight.training.measurement import measure, run_on
from featherweight.training.randomness import random_calls
from featherweight.wording import option


@dataclass(frozen=True)
class Mistake:
    """A wrong prediction: the image's number, the true class, and the top classes with their probabilities."""

    image: int
    truth: str
    ranked: tuple[tuple[str, float], ...]
    said: str = ""      # the second input, such as "+ 3" for the number to add; "" without one


@dataclass(frozen=True)
class Examination:
    """A finished run with its network's outputs for all N test images.

    task_batch: the inputs beside the images, and the targets.
    answers: log-probabilities, (N, classes) per head.
    """

    run: Run
    network: nn.Module
    task: Task
    dataset: Dataset
    task_batch: TaskBatch
    answers: dict[str, Tensor]

    @property
    def targets(self) -> dict[str, Tensor]:
        """True classes of the test images, int64 (N,) per head."""
        return dict(zip(self.task.heads, self.task_batch.targets, strict=True))

    def classes(self, head: str) -> tuple[str, ...]:
        """Return the names of a head's classes: those of the data set, or 0, 1, ... if their number differs."""
        count, named = self.answers[head].shape[1], self.dataset.classes
        return named if count == len(named) else tuple(str(number) for number in range(count))

    def confusion(self, head: str) -> list[list[int]]:
        """Return the recorded confusion matrix of a head. Raises RunError if it is missing or has another size."""
        matrix: list[list[int]] = self.run.result.get("confusion", {}).get(head, [])
        if len(matrix) != len(self.classes(head)):
            raise RunError(f"{self.run.path / 'result.json'} has no confusion matrix of the {len(self.classes(head))} "
                           f"classes of {head!r}. {NEXT_MOVE}")
        return matrix

    def mistakes(self, head: str, most: int) -> list[Mistake]:
        """Return the wrong predictions with the highest loss, at most `most`, highest first."""
        answers, targets = self.answers[head], self.targets[head]
        losses = -answers.gather(1, targets[:, None])[:, 0]
        wrong = answers.argmax(dim=1) != targets
        worst = losses.masked_fill(~wrong, -1).argsort(descending=True)[: min(most, int(wrong.sum()))]
        return [self.mistake(head, image) for image in worst.tolist()]

    def mistake(self, head: str, image: int) -> Mistake:
        """Return the wrong prediction for one image, with its three most probable classes."""
        classes = self.classes(head)
        top = self.answers[head][image].exp().topk(min(3, len(classes)))
        ranked = zip((classes[index] for index in top.indices.tolist()), top.values.tolist(), strict=True)
        added = "".join(f"+ {int(number[image].argmax())}" for number in self.task_batch.inputs)
        return Mistake(image, classes[int(self.targets[head][image])], tuple(ranked), added)

    def inputs(self, image: int) -> tuple[Tensor, ...]:
        """Return the network's inputs for one test image, each of shape (1, ...)."""
        part = slice(image, image + 1)
        return (self.pixels(part), *(value[part] for value in self.task_batch.inputs))

    def pixels(self, part: slice = slice(None)) -> Tensor:
        """Return a slice of the test images, float32 (N, C, H, W), normalised as in training."""
        mean, std = (torch.tensor(self.run.result[key]) for key in ("mean", "std"))
        return as_input(self.dataset.test.images[part], mean, std)

    def check_image(self, image: int) -> int:
        """Return the number unchanged. Raises DataError if no test image has this number."""
        count = len(self.dataset.test)
        if not 0 <= image < count:
            raise DataError(f"test image {image} is not between 0 and {count - 1}. Give another {option('image')}.")
        return image

    def an_image_of_each_class(self) -> list[int]:
        """Return the number of the first test image of each class."""
        labels = self.dataset.test.labels
        return [int((labels == label).nonzero()[0]) for label in sorted(set(labels.tolist()))]


def examine(
    run: Run | str | Path, *, data: str | Dataset | None = None, data_dir: str | Path | None = None,
    device: str = "auto",
) -> Examination:
    """Load a finished run and run its network on all test images of its data set, or of `data`.

    Raises RunError if the run has no weights, or if the data set has another number of classes.
    Raises NoNumbers if an output is NaN.
    """
    run = run if isinstance(run, Run) else Run.open(run)
    network, dataset, images = load(run, data, data_dir, device)
    task = build_task(run.recipe.task, none=run.recipe.data.marks > 0)
    task_batches = [task.fixed_batch(images.labels)]
    answers, _ = run_on(network, images, task_batches, run.result["precision"], run.result.get("engine", "torch"),
                        none=task.none)
    for head, found in zip(task.heads, answers, strict=True):
        if found.isnan().any():
            raise NoNumbers(run.path, head)
    task_batch = task.fixed_batch(dataset.test.labels)
    return Examination(run, network, task, dataset, task_batch, dict(zip(task.heads, answers, strict=True)))


def evaluate(
    run: Run | str | Path, *, data: str | Dataset | None = None, data_dir: str | Path | None = None,
    device: str = "auto",
) -> dict[str, Score]:
    """Measure a finished run's network again on the test images of its data set, or of `data`. One score per head.

    Raises ModelError if the output for an image depends on the other images of the batch.
    The accuracy of such a network depends on the order of the images.
    """
    run = run if isinstance(run, Run) else Run.open(run)
    network, _, images = load(run, data, data_dir, device)
    task = build_task(run.recipe.task, none=run.recipe.data.marks > 0)
    pixels = as_input(images.images[:FEW], images.mean, images.std)
    if not random_calls(network, (pixels[:2], *task.fixed_batch(images.labels[:2]).inputs)):
        check_alone(network, (pixels, *task.fixed_batch(images.labels[:FEW]).inputs))
    return measure(network, images, task, run.result["precision"], run.result.get("engine", "torch"))


def against_record(run: Run, scores: Mapping[str, Score]) -> list[str]:
    """Return one sentence for each head whose score differs from the recorded score."""
    recorded = run.result["test"]
    return [
        f"{head}: {score.correct:,} of {score.count:,} right now, {recorded[head]['correct']:,} of "
        f"{recorded[head]['count']:,} in the run's record."
        for head, score in scores.items()
        if head in recorded and (score.correct, score.count) != (recorded[head]["correct"], recorded[head]["count"])
    ]


@dataclass(frozen=True)
class Measured:
    """A network with given weights, and its scores on the test images of a data set."""

    network: nn.Module
    dataset: Dataset
    scores: dict[str, Score]


def evaluate_weights(
    model: str, weights: str | Path, *, data: str = "mnist", arguments: Mapping[str, Any] | None = None,
    shape: tuple[int, ...] | None = None, data_dir: str | Path | None = None, device: str = "auto",
) -> Measured:
    """Measure a network with weights that were trained elsewhere, on the test images of a data set.

    model: a name of the catalogue, or "path/to/file.py:Class".
    weights: a .safetensors file, or a state dict written by torch.save.
    shape: of an image, (C, H, H). Default: the shape that the network takes.
    Images are normalised with the mean and standard deviation of the training images, as in recipes.
    Raises ModelError if network, weights and images do not fit together.
    """
    channels, size = side_of(shape or (1, 28, 28))
    dataset = load_once(data, data_dir, channels=channels, size=size, upright=False)
    suggested = {"in_channels": channels, "classes": len(dataset.classes)}
    network = build_model(model, arguments, suggested=suggested)
    if shape is None and (own := side_of(input_shapes(network)[0])) != (channels, size):
        dataset = load_once(data, data_dir, channels=own[0], size=own[1], upright=False)
    torch_device = pick_device(device)
    task = build_task("digit-sum" if len(input_shapes(network)) > 1 else "classification")
    task_batch = task.fixed_batch(dataset.test.labels[:2])
    fill_lazy(network, (dataset.test.images[:2].float(), *task_batch.inputs))
    put_weights(network, Path(weights))
    blank = (torch.zeros(2, *dataset.test.images.shape[1:]), *task_batch.inputs)
    network = suited(network.to(torch_device), tuple(value.to(torch_device) for value in blank))
    check_fit(network, task, dataset)
    scores = measure(network, dataset.test.to(torch_device), task, "float32")
    return Measured(network, dataset, scores)


def side_of(shape: tuple[int, ...]) -> tuple[int, int]:
    """Return (C, H) of the image shape (C, H, H). Raises ModelError if images of this shape are not square."""
    if len(shape) != 3 or shape[1] != shape[2]:
        raise ModelError(f"the network takes {shape}, but images of a data set are square, such as (1, 28, 28). Give "
                         "its shape with --input C,H,H.")
    return shape[0], shape[1]


def load(
    run: Run, data: str | Dataset | None, data_dir: str | Path | None, device: str
) -> tuple[nn.Module, Dataset, Images]:
    """Return a run's network, the data set, and its test images on the device, normalised as in training.

    Raises RunError if the data set has another number of classes than the run.
    """
    torch_device, dataset = pick_device(device), data_of(run, data, data_dir)
    if len(dataset.classes) != len(run.result["classes"]):
        raise RunError(
            f"run {str(run.path)!r} knows {len(run.result['classes'])} classes, "
            f"{dataset.name} has {len(dataset.classes)}. Give another with {option('data')}."
        )
    images = normalised_by(dataset.test.to(torch_device), run.result["mean"], run.result["std"])
    return load_network(run, torch_device), dataset, images


def normalised_by(images: Images, mean: Sequence[float], std: Sequence[float]) -> Images:
    """Return the same images with another normalisation, one mean and standard deviation per channel."""
    return replace(images, mean=images.mean.new_tensor(mean), std=images.std.new_tensor(std))


def data_of(
    run: Run, data: str | Dataset | None = None, data_dir: str | Path | None = None, *, upright: bool | None = None
) -> Dataset:
    """Return the data set to run a network on: `data`, else the sample in the run's folder, else the recipe's data set.

    upright: None loads the images with the orientation that the run was trained with.
    """
    if isinstance(data, Dataset):
        return data
    how = run.recipe.data.loading | ({} if upright is None else {"upright": upright})
    if data is None and (run.path / "data.safetensors").is_file():
        return dataset_from_sample(*run.load_tensors("data.safetensors"))
    found, known = load_once(data or run.recipe.data.dataset, data_dir, **how), tuple(run.result["classes"])
    if run.recipe.data.marks and found.classes == known[:-1]:
        return replace(found, classes=known)        # no test image is of the class of drawn marks
    return found


@lru_cache(maxsize=1)
def load_once(name: str, data_dir: str | Path | None, **how: Any) -> Dataset:
    """Load a data set as load_dataset does. The last one is cached, because the next run often uses the same data."""
    return load_dataset(name, **how, data_dir=data_dir)
