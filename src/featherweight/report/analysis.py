"""Interpret the record of a run in sentences for the report. Each sentence is computed from numbers of the run.

A function returns "" if the run gives no reason for its sentence.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from featherweight.anatomy import Summary
from featherweight.examination import Examination
from featherweight.runs import watched_losses
from featherweight.words import percent

Lines = Sequence[Mapping[str, Any]]     # of history.jsonl
FLAT = 0.0005       # a curve that moves by less than 0.05 points is flat


def analyse(examination: Examination, summary: Summary) -> list[str]:
    """Return the sentences about one run, most important first."""
    result, history = examination.run.result, examination.run.history
    head, training = examination.task.heads[0], examination.run.recipe.training
    epoch = result.get("kept", {}).get("epoch", result["epochs"])
    said = [
        kept(result, history),
        gap(result, head, training.fraction if epoch > 1 else 1.0),     # the first epoch uses all images
        flattening(history, head),
        schedule(history, head),
        confusions(examination.confusion(head), examination.classes(head)),
        calibration(examination.answers[head], result["test"][head]),
        heaviest_layer(summary),
        idle_parameters(examination.network),
    ]
    return [sentence for sentence in said if sentence]


def kept(result: Mapping[str, Any], history: Lines) -> str:
    """Return a sentence about the epoch whose weights were kept, or "" if the run did not choose by validation."""
    if "kept" not in result:
        return ""
    epoch, done = result["kept"]["epoch"], result["kept"]["of"]
    losses = watched_losses(history)
    return (f"The network is that of epoch {epoch} of {done}, which had the lowest validation loss "
            f"({losses[epoch - 1]:.4f}, in the last epoch {losses[-1]:.4f}); test data were not used to choose it.")


def gap(result: Mapping[str, Any], head: str, fraction: float = 1.0) -> str:
    """Return a sentence that compares training accuracy with test accuracy.

    fraction: share of the training images used in the last epoch. Below 1, the hardest images were preferred.
    """
    train, test = result["train"]["accuracy"][head], result["test"][head]["accuracy"]
    points = 100 * (train - test)
    when = f"epoch {result['kept']['epoch']}" if "kept" in result else "the last epoch"
    told = f"In {when} the network classified {percent(train)} of the training images correctly, "
    told += f"on test {percent(test)}: "
    if fraction < 1:
        return told + f"it took {percent(fraction, 0)} of the training images, half of them the hardest."
    if points > 0.5:
        return told + f"a gap of {points:.2f} points. The network knows its training images better than new ones."
    if points < -0.2:
        return told + "training was harder than test, because of augmentation or dropout."
    return told + "hardly a gap."


def flattening(history: Lines, head: str) -> str:
    """Return a sentence about the epoch from which the accuracy was flat. Needs at least three epochs."""
    watched = bool(history[0].get("curve"))
    values = [line["curve"][head]["accuracy"] if watched else line["train_accuracy"][head] for line in history]
    if len(values) < 3:
        return ""
    what = f"accuracy on {history[0]['curve_on']}" if watched else "training accuracy"
    flat = next(n for n in range(len(values)) if max(values[n:]) - min(values[n:]) < FLAT)
    if flat >= len(values) - 2:
        last = ", ".join(percent(value) for value in values[-3:])
        return f"The {what} was still moving in the last epochs ({last})."
    return f"From epoch {flat + 1} on the {what} moved by less than {100 * FLAT:.2f} points."


def schedule(history: Lines, head: str) -> str:
    """Return a sentence about how the learning rate changed and how the training accuracy changed with it."""
    rates = [line["lr"] for line in history]
    if len(rates) < 2:
        return ""
    if max(rates) / max(min(rates), 1e-12) < 1.01:
        return f"The learning rate stayed at {rates[0]:.3g} throughout."
    drops = [n for n in range(1, len(rates)) if rates[n] < 0.6 * rates[n - 1]]
    accuracy = [line["train_accuracy"][head] for line in history]
    smooth = len(drops) == 0 or len(drops) > 4
    if smooth:
        top = rates.index(max(rates))
        late = max(1, len(rates) * 3 // 4)
        gained = 100 * (accuracy[-1] - accuracy[late - 1])
        return (f"The learning rate was highest in epoch {top + 1} ({max(rates):.3g}) and ended at {rates[-1]:.2g}; "
                f"the last quarter of the epochs brought {gained:+.2f} points of training accuracy.")
    first = drops[0]
    step = 100 * (accuracy[first] - accuracy[first - 1])
    before = 100 * (accuracy[first - 1] - accuracy[max(first - 2, 0)])
    return (f"The learning rate fell from {rates[first - 1]:.3g} to {rates[first]:.3g} in epoch {first + 1}: training "
            f"accuracy moved by {step:+.2f} points in that epoch, after {before:+.2f} in the one before.")


def confusions(matrix: Sequence[Sequence[int]], classes: Sequence[str], most: int = 3) -> str:
    """Return a sentence about the most frequent confusions, at most `most` of them.

    matrix: confusion matrix, a row per true class and a column per predicted class.
    """
    wrong = [(count, truth, answer) for truth, row in enumerate(matrix) for answer, count in enumerate(row)
             if truth != answer and count]
    if not wrong:
        return "No test image was classified wrong."
    total = sum(count for count, *_ in wrong)
    wrong.sort(key=lambda one: -one[0])
    named = [f"{classes[truth]} read as {classes[answer]} ({count})" for count, truth, answer in wrong[:most]]
    return f"Of {total:,} wrong answers on test, the most frequent: {', '.join(named)}."


def calibration(answers: Tensor, score: Mapping[str, Any]) -> str:
    """Return a sentence that compares mean confidence with accuracy. answers: (N, classes) log-probabilities."""
    sure, right = float(answers.exp().max(dim=1).values.mean()), score["accuracy"]
    points = 100 * (sure - right)
    told = f"The mean confidence is {percent(sure)}, the accuracy {percent(right)}"
    error = f"calibration error {100 * score['calibration_error']:.2f} points"
    if abs(points) < 0.3:
        return f"{told}: the probabilities are reliable ({error})."
    return f"{told}: too {'sure' if points > 0 else 'unsure'} by {abs(points):.2f} points ({error})."


def heaviest_layer(summary: Summary) -> str:
    """Return a sentence about the layer with the most parameters, if its share is at least 25 %."""
    layer = max(summary.layers, key=lambda one: one.parameters)
    share = layer.parameters / max(summary.total_parameters, 1)
    if share < 0.25:
        return ""
    return (f"{layer.label} holds {layer.parameters:,} of the {summary.total_parameters:,} parameters "
            f"({percent(share, 0)}): the first place to look for savings.")


def idle_parameters(network: nn.Module) -> str:
    """Return a sentence about the weights that are smaller than a hundredth of the largest weight in their layer."""
    small = total = 0
    for name, parameter in network.named_parameters():
        if parameter.dim() > 1 and name:
            values = parameter.detach().abs()
            small += int((values < 0.01 * values.max()).sum())
            total += values.numel()
    if not total:
        return ""
    return (f"{small:,} of {total:,} weights ({percent(small / total, 1)}) are smaller than a hundredth of the largest "
            "in their layer and do little.")
