"""Check that a network, a task and a data set fit together, before anything is trained or written."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from featherweight.blame import explain
from featherweight.data import Dataset
from featherweight.errors import ModelError
from featherweight.forward import evaluating, scaled
from featherweight.graph.faults import failed_layer
from featherweight.graph.recorder import Recorder
from featherweight.graph.twin import untouched_random_state
from featherweight.graph.warned import warnings_placed
from featherweight.independence import CAUSES, changed_by_neighbours
from featherweight.tasks import Outputs, Task, as_heads, run_network
from featherweight.training.randomness import random_calls
from featherweight.training.rehearsal import BATCHES, copy_of, rehearse
from featherweight.user_code import quietly

TRIED = 8       # images that are run as one batch, in another order, and alone
SHOWN = 5       # largest number of parameter names in a sentence
DEPENDS = 0.01  # allowed change in standard deviations of the outputs; another order of summing gives 1e-5


def check_fit(model: nn.Module, task: Task, dataset: Dataset) -> list[str]:
    """Return notes for the user about the network, one sentence each. Empty if the network has no known weakness.

    Raises ModelError, one line, in each of these cases:
    - The network does not run on the data.
    - The heads of the network do not fit the task.
    - The outputs for an image depend on the other images of the batch.
    - A training step fails.

    The network, its buffers and the random state stay unchanged. The checks run on a copy if Python can make one.
    """
    asked = copy_of(model) or model
    with untouched_random_state(asked):
        return notes_on(asked, task, dataset)


def notes_on(model: nn.Module, task: Task, dataset: Dataset) -> list[str]:
    """Return the notes of check_fit. Runs `model` itself, not a copy. Raises ModelError as check_fit does."""
    if not any(parameter.requires_grad for parameter in model.parameters()):
        raise ModelError("the network has no parameters to train.")
    needed = needed_classes(task, dataset)
    inputs = first_inputs(model, task, dataset, 2)
    outputs = as_heads(try_out(model, inputs, dataset, task))
    check_heads(outputs, task, needed, dataset)
    with quietly():
        random = random_calls(model, inputs)
    if not random:
        check_alone(model, first_inputs(model, task, dataset, TRIED))
    few = dataset.train.first(sum(BATCHES))
    unused = rehearse(model, task, few.images, few.labels)
    return [
        *(f"{call}. Until then answers change from one call to the next." for call in random),
        *squeeze_notes(model, inputs), *head_notes(outputs, task, needed), *unused_notes(unused, model),
    ]


def check_heads(outputs: Sequence[Any], task: Task, needed: Sequence[int], dataset: Dataset) -> None:
    """Raise ModelError unless each head has an output of shape (2, classes) or wider."""
    if len(outputs) != len(task.heads):
        raise ModelError(f"the network has {len(outputs)} outputs, but task {task.name!r} has the heads {task.heads}.")
    for head, output, classes in zip(task.heads, outputs, needed, strict=True):
        if not answers_two(output, classes):
            given = f"{tuple(output.shape)} of {output.dtype}" if isinstance(output, Tensor) \
                else f"a {type(output).__name__}"
            raise ModelError(
                f"head {head!r} gives {given} for two images of {dataset.name}; "
                f"needed are floating-point numbers of shape (2, {classes})."
            )


def answers_two(output: Any, classes: int) -> bool:
    """Return True for a floating-point tensor of shape (2, classes) or wider."""
    fits = isinstance(output, Tensor) and output.is_floating_point() and output.dim() == 2
    return fits and len(output) == 2 and output.shape[1] >= classes


def first_inputs(model: nn.Module, task: Task, dataset: Dataset, count: int) -> tuple[Tensor, ...]:
    """Return the first training images in [0, 1] and the further inputs of the task, on the device of the network."""
    device = next(model.parameters()).device
    few = dataset.train.first(count)
    task_batch = task.training_batch(few.labels, torch.Generator(few.device))
    return tuple(value.to(device) for value in (scaled(few.images), *task_batch.inputs))


@torch.no_grad()
def try_out(model: nn.Module, inputs: tuple[Tensor, ...], dataset: Dataset, task: Task) -> Outputs:
    """Return the outputs for two images. Warnings name the source line of the network that caused them.

    Raises ModelError for any exception of the network: one line that names the layer and the source line.
    """
    recorder = Recorder(model)
    try:
        with evaluating(model), warnings_placed(lambda: recorder.layer):
            outputs: Outputs = recorder.run(inputs)
    except Exception as fault:  # a user's network may raise any exception
        layer = failed_layer(model, fault)
        raise ModelError(
            f"the network does not run on {tuple(inputs[0].shape[1:])} images of {dataset.name} "
            f"for task {task.name!r}: {f'{layer}, ' if layer else ''}{explain(fault)}{further_inputs(fault)}"
        ) from fault
    return outputs


def further_inputs(fault: Exception) -> str:
    """Return a hint if forward has more inputs than the task provides. Return "" for any other exception."""
    if isinstance(fault, TypeError) and "forward() missing" in str(fault):
        return ". A second input is given by task = 'digit-sum' alone: a number 0..9, one-hot"
    return ""


@torch.no_grad()
def check_alone(model: nn.Module, inputs: tuple[Tensor, ...]) -> None:
    """Raise ModelError if the outputs for an image depend on the other images of its batch.

    Changes up to DEPENDS standard deviations of the outputs are allowed.
    """
    with evaluating(model), quietly():
        spreads = [head.float().std().clamp_min(1e-12) for head in run_network(model, *inputs)]

        def answer(*given: Tensor) -> list[Tensor]:
            heads = run_network(model, *given)
            return [(head.float() / spread).cpu() for head, spread in zip(heads, spreads, strict=True)]

        change = changed_by_neighbours(answer, *inputs)
    if change > DEPENDS:
        raise ModelError(
            "the network's answer to an image depends on the other images of its batch, so its accuracy would hold for "
            f"one order of the images only. {CAUSES}."
        )


@torch.no_grad()
def squeeze_notes(model: nn.Module, inputs: tuple[Tensor, ...]) -> list[str]:
    """Return a sentence if the network drops the batch axis of a single image."""
    with evaluating(model), quietly():
        try:
            kept = all(output.dim() == 2 for output in as_heads(model(*(value[:1] for value in inputs))))
        except (IndexError, RuntimeError, ValueError):     # tasks.run_network runs such a network on two images
            kept = False
    return [] if kept else ["for a single image the network drops the batch axis, as squeeze() does. It is put back "
                            "here; elsewhere write flatten(1)."]


def head_notes(outputs: Sequence[Tensor], task: Task, needed: Sequence[int]) -> list[str]:
    """Return a sentence for each head that has more outputs than classes or returns probabilities."""
    notes = []
    for head, output, classes in zip(task.heads, outputs, needed, strict=True):
        if output.shape[1] > classes:
            notes.append(f"head {head!r} has {output.shape[1]} outputs for {classes} classes. Give its last layer "
                         f"{classes} outputs: the others are never right.")
        values = output.float()
        if bool((values >= 0).all()) and bool((values.sum(dim=1) - 1).abs().max() < 1e-4):
            notes.append(f"head {head!r} ends in a softmax, and the loss applies another one: training is slower and "
                         "probabilities come out flat. Return the logits.")
    return notes


def unused_notes(names: Sequence[str], model: nn.Module) -> list[str]:
    """Return a sentence that lists the parameters without a gradient, or no sentence if `names` is empty."""
    if not names:
        return []
    sizes = {name: parameter.numel() for name, parameter in model.named_parameters()}
    shown = ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")
    count = sum(sizes[name] for name in names)
    return [f"{count:,} parameters are never trained, as forward does not use them: {shown}."]


def needed_classes(task: Task, dataset: Dataset) -> list[int]:
    """Return the number of classes of each head: the largest target of an evaluation plus one."""
    labels = torch.arange(len(dataset.classes))
    largest = [[int(target.max()) for target in task_batch.targets] for task_batch in task.evaluation_batches(labels)]
    return [max(heads) + 1 for heads in zip(*largest, strict=True)]
