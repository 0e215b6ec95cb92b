"""Interpret the record of a run in sentences for the report. Each sentence is computed from numbers of the run.

A function returns "" if the run gives no reason for its sentence.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from featherweight.anatomy import Summary
from featherweight.examination import Examination
from featherweight.report.gap import causes_of, gap
from featherweight.runs import watched_losses
from featherweight.statistics import wilson_interval
from featherweight.words import percent

Lines = Sequence[Mapping[str, Any]]     # of history.jsonl
FLAT = 0.0005       # a curve that moves by less than 0.05 points is flat


def analyse(examination: Examination, summary: Summary) -> list[str]:
    """Return the sentences about one run, most important first."""
    result, history = examination.run.result, examination.run.history
    head, recipe, network = examination.task.heads[0], examination.run.recipe, examination.network
    epoch = result.get("kept", {}).get("epoch", result["epochs"])
    fraction = recipe.training.fraction if epoch > 1 else 1.0       # the first epoch uses all images
    reasons = causes_of(recipe, network, [line["train_accuracy"][head] for line in history], epoch)
    softmax = any("ends in a softmax" in note for note in result.get("notes", []))
    said = [
        kept(result, history),
        gap(result, head, fraction, reasons),
        flattening(history, head),
        schedule(history, head),
        confusions(examination.confusion(head), examination.classes(head)),
        surplus(examination, head),
        calibration(examination.answers[head], result["test"][head], softmax=softmax),
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
    last = f", in the last epoch {losses[-1]:.4f}" if epoch < done else ""
    return (f"The network is that of epoch {epoch} of {done}, which had the lowest validation loss "
            f"({losses[epoch - 1]:.4f}{last}); the epoch was not chosen by test images.")


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
        moved = 100 * (max(values[-3:]) - min(values[-3:]))
        return f"The {what} moved by {moved:.2f} points within the last three epochs ({last})."
    return f"From epoch {flat + 1} on the {what} moved by less than {100 * FLAT:.2f} points."


def schedule(history: Lines, head: str) -> str:
    """Return a sentence about how the learning rate changed and how the training accuracy changed with it.

    The recorded rate of an epoch is that of its last step.
    """
    rates, accuracy = [line["lr"] for line in history], [line["train_accuracy"][head] for line in history]
    if len(rates) < 2:
        return ""
    if max(rates) / max(min(rates), 1e-12) < 1.01:
        return f"The learning rate was {rates[0]:.3g} at the end of every epoch."
    if drops := steps_down(rates):
        return dropped(rates, accuracy, drops[0])
    top, late = rates.index(max(rates)), max(1, len(rates) // 4)
    last = "last epoch" if late == 1 else f"last {late} epochs"
    return (f"At the ends of the epochs, the learning rate was highest in epoch {top + 1} ({max(rates):.3g}), and "
            f"{rates[-1]:.2g} in the last; the {last} brought "
            f"{100 * (accuracy[-1] - accuracy[-1 - late]):+.2f} points of training accuracy.")


def steps_down(rates: Sequence[float]) -> list[int]:
    """Return the epochs, counted from 0, in which a rate that is constant otherwise was lower than before.

    Empty if the rate rose, or if it fell in half of the epochs or more, as on a smooth schedule.
    """
    changed = [n for n in range(1, len(rates)) if abs(rates[n] - rates[n - 1]) > 0.01 * rates[n - 1]]
    rose = any(rates[n] > rates[n - 1] for n in changed)
    return [] if rose or 2 * len(changed) >= len(rates) else changed


def dropped(rates: Sequence[float], accuracy: Sequence[float], first: int) -> str:
    """Return a sentence about the first drop of the learning rate, in epoch `first`, counted from 0."""
    told = (f"The learning rate fell from {rates[first - 1]:.3g} to {rates[first]:.3g} in epoch {first + 1}: training "
            f"accuracy moved by {100 * (accuracy[first] - accuracy[first - 1]):+.2f} points in that epoch")
    if first == 1:
        return f"{told}."
    return f"{told}, after {100 * (accuracy[first - 1] - accuracy[first - 2]):+.2f} in the one before."


def confusions(matrix: Sequence[Sequence[int]], classes: Sequence[str], most: int = 3) -> str:
    """Return a sentence about the confusions that occurred more than once, at most `most` of them.

    matrix: confusion matrix, a row per true class and a column per predicted class.
    """
    wrong = [(count, truth, answer) for truth, row in enumerate(matrix) for answer, count in enumerate(row)
             if truth != answer and count]
    total = sum(count for count, *_ in wrong)
    if total < 2:
        return "One test image was classified wrong." if total else "No test image was classified wrong."
    wrong.sort(key=lambda one: -one[0])
    named = [f"{classes[truth]} read as {classes[answer]} ({count})" for count, truth, answer in wrong[:most]
             if count > 1]
    if not named:
        return f"Of {total:,} wrong answers on test, no two confuse the same classes in the same way."
    return f"Of {total:,} wrong answers on test, the most frequent: {', '.join(named)}."


def calibration(answers: Tensor, score: Mapping[str, Any], *, softmax: bool = False) -> str:
    """Return a sentence that compares mean confidence with accuracy. answers: (N, classes) log-probabilities.

    softmax: the network returns probabilities, so that its outputs pass a softmax twice.
    """
    sure, right = float(answers.exp().max(dim=1).values.mean()), score["accuracy"]
    low, high = wilson_interval(score["correct"], score["count"])
    told = f"The mean confidence is {percent(sure)}, the accuracy {percent(right)}"
    error = f"calibration error {100 * score['calibration_error']:.2f} points"
    if softmax:
        most = math.e / (math.e + answers.shape[1] - 1)
        return f"{told} ({error}): after the softmax in the network, no confidence can be above {percent(most)}."
    if abs(sure - right) < 0.003 and score["calibration_error"] < 0.01:
        return f"{told}: the probabilities are reliable ({error})."
    if low <= sure <= high:
        return f"{told}: no difference of the two that {score['count']:,} test images can show ({error})."
    return f"{told}: too {'sure' if sure > right else 'unsure'} by {100 * abs(sure - right):.2f} points ({error})."


def surplus(examination: Examination, head: str) -> str:
    """Return a sentence about outputs that stand for no class, or "" without such outputs.

    Only for a classification: the sum of the task digit-sum has classes of its own.
    """
    count, classes = examination.answers[head].shape[1], len(examination.dataset.classes)
    if examination.run.recipe.task != "classification" or count <= classes:
        return ""
    chosen = int((examination.answers[head].argmax(dim=1) >= classes).sum())
    return (f"{count - classes} of the {count} outputs stand for no class; for {chosen:,} of "
            f"{len(examination.answers[head]):,} test images such an output was the largest.")


def heaviest_layer(summary: Summary) -> str:
    """Return a sentence about the layer with the most parameters, if its share is at least 25 %.

    "" if it is the only layer with parameters: then the sentence would tell nothing.
    """
    layer = max(summary.layers, key=lambda one: one.parameters)
    share = layer.parameters / max(summary.total_parameters, 1)
    if share < 0.25 or sum(one.parameters > 0 for one in summary.layers) < 2:
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
    if not small:
        return ""
    return (f"{small:,} of {total:,} weights ({percent(small / total, 1)}) are smaller than a hundredth of the largest "
            "in their layer.")
