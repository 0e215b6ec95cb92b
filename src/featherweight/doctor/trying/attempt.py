"""Attempt: the measurements of 30 training steps on real images, and of one batch that is repeated."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, repeat

import torch
from torch import Tensor, nn

from featherweight.data import Dataset, Images
from featherweight.doctor.probe.places import Places
from featherweight.doctor.probe.subject import SEED, Subject
from featherweight.errors import ModelError
from featherweight.forward import as_input
from featherweight.graph.passes import prepare, run
from featherweight.graph.recorder import Recorder
from featherweight.graph.twin import blank_inputs, one_thread, untouched_random_state
from featherweight.networks import suited
from featherweight.recipe import Recipe
from featherweight.tasks import Loss, Task, as_heads
from featherweight.training.optimization import build_optimizer
from featherweight.training.rehearsal import copy_of, why
from featherweight.training.step import make_passes
from featherweight.user_code import quietly

STEPS = 30
BATCH = 64          # images in a step; a larger batch of a recipe takes too long
REPEATS = 200       # steps on the repeated batch, at most
REPEATED = 16       # images of the repeated batch, about; each class has as many
MOST = 32           # images of the repeated batch
HALVED = 0.5        # a loss below this fraction of the first one ends the repetition
LOOKED_AT = 64      # test images of the last pass, whose activations are examined
ADAM = {"name": "adam", "lr": 3e-3}     # without a recipe, and for the repeated batch


@dataclass(frozen=True)
class Attempt:
    """One network after its first steps.

    subject: the trained copy and its pass in evaluation mode on test images, with all activations.
    guess: loss of a network that gives each class the same probability, summed over heads, in nats.
    losses: mean loss of each step; shorter than STEPS if a loss was NaN or infinite. after: loss of the first batch
    after all steps.
    repeated: loss of each step on the repeated batch of `images` images.
    gradients: parameter -> size of its gradient relative to its size, both as root mean square, in the first step.
    optimizer: its name and learning rate, in words.
    """

    subject: Subject
    guess: float
    losses: Sequence[float]
    after: float
    images: int
    repeated: Sequence[float]
    gradients: dict[str, float]
    optimizer: str

    @property
    def diverged(self) -> bool:
        """True if a loss was NaN or infinite."""
        return not math.isfinite(self.after)


def attempt(
    name: str, module: nn.Module, shapes: Sequence[Sequence[int]], places: Places, dataset: Dataset, task: Task,
    recipe: Recipe | None = None,
) -> Attempt:
    """Train copies of the network on the data and return what was measured. The module stays unchanged.

    shapes: of each input, without the batch axis. recipe: gives optimizer and batch size; by default Adam on 64 images.
    Raises ModelError, one line, if the network does not run on the images or cannot be trained.
    """
    with torch.inference_mode(False), untouched_random_state(module), one_thread(), quietly(), torch.enable_grad():
        torch.manual_seed(SEED)
        twin = prepare(module, [tuple(shape) for shape in shapes]).cpu()
        twin = suited(twin, tuple(blank_inputs(twin, shapes_on(dataset, shapes), 2))).train()
        guess = guessed(twin, dataset, task)
        again = copy_of(twin) or twin
        settings = recipe.optimizer.model_dump() if recipe else ADAM
        size = min(recipe.training.batch_size if recipe else BATCH, BATCH, len(dataset.train))
        gradients: dict[str, float] = {}
        first = next(batches(dataset.train, size))
        found = list(steps(name, twin, task, chain(batches(dataset.train, size), [first]), settings, gradients))
        losses = found[:-1] if math.isfinite(found[-1]) else found[:STEPS]
        few = of_each_class(dataset.train, len(dataset.classes))
        repeated = list(until_halved(steps(name, again, task, repeat(few, REPEATS), ADAM, {})))
        subject = looked_at(name, twin, dataset, task, places, recipe)
    words = f"{settings['name']} at lr {settings['lr']:g}"
    return Attempt(subject, guess, losses, found[-1], len(few[1]), repeated, gradients, words)


def shapes_on(dataset: Dataset, shapes: Sequence[Sequence[int]]) -> list[tuple[int, ...]]:
    """Return the shapes of the network's inputs, with the images' shape first."""
    return [dataset.train.shape, *(tuple(shape) for shape in shapes[1:])]


def guessed(network: nn.Module, dataset: Dataset, task: Task) -> float:
    """Return the loss of equal probabilities: ln(outputs), summed over heads.

    Raises ModelError if a head has fewer outputs than classes.
    """
    images, labels = next(batches(dataset.train, 2))
    with torch.no_grad():
        heads = as_heads(run(Recorder(network), [images, *task.fixed_batch(labels).inputs]))
    if len(heads) != len(task.heads) or any(head.dim() != 2 for head in heads):
        raise ModelError(f"outputs of {[tuple(head.shape) for head in heads]} cannot be trained on {dataset.name}. "
                         "Needed is (N, classes) for each head.")
    if heads[0].shape[1] < len(dataset.classes):
        raise ModelError(f"the network has {heads[0].shape[1]} outputs, but {dataset.name} has "
                         f"{len(dataset.classes)} classes. Give the last layer {len(dataset.classes)} outputs.")
    return sum(math.log(head.shape[1]) for head in heads)


def batches(images: Images, size: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield (normalised images, labels) of STEPS batches, in an order that a fixed seed shuffles."""
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(SEED))
    for step in range(STEPS):
        part = images.pick(order[(torch.arange(size) + step * size) % len(order)])
        yield as_input(part.images, part.mean, part.std), part.labels


def of_each_class(images: Images, classes: int) -> tuple[Tensor, Tensor]:
    """Return (normalised images, labels) with as many images of each class, so that no answer fits all of them."""
    count = max(1, REPEATED // classes)
    found = [(images.labels == label).nonzero()[:count, 0] for label in range(classes)]
    part = images.pick(torch.cat(found)[:MOST])
    return as_input(part.images, part.mean, part.std), part.labels


def until_halved(losses: Iterator[float]) -> Iterator[float]:
    """Yield losses until one is below HALVED times the first one."""
    first = math.inf
    for loss in losses:
        yield loss
        first = loss if first == math.inf else first
        if loss < HALVED * first:
            return


def steps(
    name: str, network: nn.Module, task: Task, given: Iterable[tuple[Tensor, Tensor]], settings: dict[str, object],
    gradients: dict[str, float],
) -> Iterator[float]:
    """Train the network on these batches and yield the loss of each. Stop after a loss that is NaN or infinite.

    gradients: is filled with the relative gradient sizes of the first step.
    Raises ModelError, one line, if a step fails.
    """
    generator = torch.Generator().manual_seed(SEED)
    passes = make_passes(network, Loss(), precision="float32", device=torch.device("cpu"))
    optimizer = build_optimizer(network.parameters(), **settings)  # type: ignore[arg-type]
    for step, (images, labels) in enumerate(given):
        try:
            loss, _ = passes(images, task.training_batch(labels, generator))
        except Exception as fault:  # a user's network may raise any exception
            raise ModelError(f"{name} cannot be trained: {why(fault, step, len(labels))}") from fault
        if step == 0:
            gradients.update(relative_gradients(network))
        optimizer.step()
        yield float(loss)
        if not math.isfinite(float(loss)):
            return


def relative_gradients(network: nn.Module) -> dict[str, float]:
    """Return parameter -> root mean square of its gradient, divided by that of its values. Only weights, no vectors."""
    return {name: float(value.grad.pow(2).mean().sqrt() / value.detach().pow(2).mean().sqrt().clamp_min(1e-12))
            for name, value in network.named_parameters() if value.grad is not None and value.dim() > 1}


def looked_at(
    name: str, network: nn.Module, dataset: Dataset, task: Task, places: Places, recipe: Recipe | None
) -> Subject:
    """Run the network in evaluation mode on test images and return the pass, with all activations."""
    test = dataset.test.first(LOOKED_AT)
    inputs = [as_input(test.images, test.mean, test.std), *task.fixed_batch(test.labels).inputs]
    with torch.no_grad():
        recorder = Recorder(network.eval(), keep=True, distinct=True)
        outputs = as_heads(run(recorder, inputs))
    return Subject(name, recorder.record, inputs, outputs, places, len(dataset.classes), recipe)
